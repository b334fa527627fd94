"""Pre-deploy commands: what a deployment runs between build and start, over its files and with its
variables.

Runs for real, in a process of its own; a deployment stays DEPLOYING as long, and fails when it ends
badly. Railway documents one container of the new image, and that a non-zero exit stops the
deployment without a retry.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from portal.sandbox import databases
from portal.server.children import die_with_parent

from .world import Row, World

MAX_LINES = 20_000
_running: dict[str, "subprocess.Popen[bytes]"] = {}


def wanted(instance: Row) -> Row | None:
    """Return what is noted on a new deployment of `instance`: its command as it is set now; None
    without one.
    """
    command = instance["preDeployCommand"]
    return (
        {"command": command[0], "state": "waiting", "lines": [], "endedAt": None}
        if command
        else None
    )


def holds(deployment: Row) -> bool:
    """Return whether the deployment waits for its command."""
    noted = deployment.get("preDeploy")
    waits = noted is not None and noted["state"] in ("waiting", "running")
    return waits and deployment["status"] == "DEPLOYING"


def begin(world: World, deployment: Row) -> None:
    """Start the command of a deployment that has just been built.

    The lock of the world is held.
    """
    if holds(deployment) and deployment["preDeploy"]["state"] == "waiting":
        deployment["preDeploy"]["state"] = "running"
        threading.Thread(target=_run, args=(world, deployment["id"]), daemon=True).start()


def begin_again(world: World) -> None:
    """Settle what ran before a restart of the stand-in, whose commands ended with it."""
    for deployment in world.rows("deployments"):
        if holds(deployment):
            deployment["preDeploy"]["state"] = "waiting"
            begin(world, deployment)


def end(deployment: Row) -> None:
    """Kill the command of a deployment that is over, with all that it started in its process
    group.
    """
    if process := _running.get(deployment["id"]):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def end_all(world: World) -> None:
    """End every command of this stand-in."""
    for deployment in world.rows("deployments"):
        end(deployment)


def _run(world: World, id: str) -> None:
    with world.reading():
        deployment = world.data["deployments"].get(id)
        if deployment is None:
            return
        command, commit = (
            deployment["preDeploy"]["command"],
            deployment["meta"].get("commitHash") or "",
        )
        root, variables = (
            deployment["meta"].get("rootDirectory") or "",
            dict(deployment["variables"]),
        )
    with tempfile.TemporaryDirectory(prefix="sandbox-image-", ignore_cleanup_errors=True) as name:
        files = Path(name) / "files"
        files.mkdir()
        try:
            databases.extract(world.repository, commit, files)
            code = _follow(world, id, command, files / root.strip("/"), Path(name), variables)
        except (databases.DatabaseProblem, OSError) as error:
            _note(world, id, [str(error)])
            code = 1
    _over(world, id, code)


def _follow(
    world: World, id: str, command: str, directory: Path, home: Path, variables: dict[str, str]
) -> int:
    """Run the command to its end; return its exit code.

    Like in an image of Python, `alembic` is at hand.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    parent = os.getpid()
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=directory,
        env={"PATH": path, "LANG": "C.UTF-8", "HOME": str(home), "PYTHONUNBUFFERED": "1"}
        | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: die_with_parent(parent),
    )
    _running[id] = process
    try:
        with world.reading():  # one that was cancelled before it began
            if not holds(world.data["deployments"].get(id, {"status": ""})):
                end({"id": id})
        assert process.stdout is not None  # noqa: S101
        while chunk := process.stdout.readline(16_384):
            _note(world, id, [chunk.decode("utf-8", "replace").rstrip("\n")])
        return process.wait()
    finally:
        del _running[id]
        process.stdout.close() if process.stdout else None


def _note(world: World, id: str, lines: list[str]) -> None:
    with world.reading():
        if deployment := world.data["deployments"].get(id):
            noted = deployment["preDeploy"]["lines"]
            noted += [[world.iso(), line] for line in lines if len(noted) < MAX_LINES]


def _over(world: World, id: str, code: int) -> None:
    with world.changing():
        deployment = world.data["deployments"].get(id)
        if deployment is None or not holds(deployment):
            return
        deployment["preDeploy"] |= {
            "state": "done" if code == 0 else "failed",
            "endedAt": world.iso(),
        }
        deployment["enteredAt"] = world.clock()
        if code:
            deployment["next"] = ["FAILED"]
