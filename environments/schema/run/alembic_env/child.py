"""The process of one migration run: started by `process.py` (`python -I`), told its work on stdin.

Two processes: a small guard, and the worker which goes through the door (`portal/isolation`) and
then runs Alembic, or becomes the shell of the project's own command. The guard ends everything,
also what was forked or made itself a daemon, once the worker ends or stdin closes, as it does when
the portal dies, be it by `kill -9`. Events go to a descriptor of their own, as JSON lines.
"""

import contextlib
import ctypes
import importlib.util
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FAILED = 1

Instructions = dict[str, Any]  # what the portal says on stdin, as JSON


def main() -> None:
    early = "early" in sys.argv
    if early:
        _load()
    request = json.loads(_line())
    if early:  # it was started before there were files to run
        os.chdir(request["directory"])
        os.environ.update(HOME=request["directory"], TMPDIR=request["directory"])
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the worker ends on it, then we do
    guard = os.getpid()
    door = request.pop("door", None)
    request["nest"] = _isolation().confine.nest if door else lambda: None
    bounds = _prepare(door, request) if door else None
    ours, theirs = socket.socketpair()
    worker = os.fork()
    if worker == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if door:
            _go_through(door, request["events"], theirs)
        # The project's: nothing outside the door may see them.
        os.environ.update(request.get("variables", {}))
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a change of user clears it
        os._exit(_work(request) if os.getppid() == guard else FAILED)
    # The guard asks this machine's own name server, which need not answer over TCP.
    os.environ.pop("RES_OPTIONS", None)
    relay = _relay(request) if door else None
    if relay is None:
        os.close(request["events"])
    theirs.close()
    if door and door["broker"] and (listener := _isolation().broker.receive(ours)) >= 0:
        _isolation().broker.Broker(door, listener, relay).start()
    stopped = _watch(worker, bounds)
    code = _end_all(worker)
    if stopped:
        os.write(1, f"{stopped}\n".encode())
    os._exit(FAILED if stopped else code)


def _isolation() -> Any:
    """Return the package `portal.isolation`, without the portal."""
    if "isolation" not in sys.modules:
        place = Path(__file__).parents[4] / "portal" / "isolation"
        spec = importlib.util.spec_from_file_location("isolation", place / "__init__.py")
        assert spec and spec.loader  # noqa: S101
        sys.modules["isolation"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["isolation"])
        for name in ("bounds", "broker", "confine"):
            importlib.import_module(f"isolation.{name}")
    return sys.modules["isolation"]


def _prepare(door: Instructions, request: Instructions) -> object:
    """Do what must be done outside the door: load it, give the files to its user."""
    isolation = _isolation()
    for top in door["owned"]:
        isolation.confine.give(top, door["uid"])
    if door["broker"]:  # names are asked over TCP, which the broker can answer
        os.environ["RES_OPTIONS"] = "use-vc"
        request.get("environ", {})["RES_OPTIONS"] = "use-vc"
    return isolation.bounds.Bounds(door)


def _relay(request: Instructions) -> object:
    """Return what reads a command's statements on the wire and tells of them; None if not asked.

    A statement that is not among `allowed` (keys, None allows all) is not sent. The command itself
    has no descriptor of the events, so its statements are the guard's word.
    """
    if not (terms := request.get("relay")):
        return None
    known = runpy.run_path(str(Path(__file__).with_name("statements.py")))
    own, plumbing = (known[name](terms["version_table"]) for name in ("bookkeeping", "plumbing"))
    allowed = None if terms["allowed"] is None else set(terms["allowed"])
    keys_told: set[str] = set()

    def tell(event: dict[str, object]) -> None:
        os.write(request["events"], json.dumps(event).encode() + b"\n")

    def judge(sql: str) -> str:
        shape = known["shape_of"](sql)
        if own.fullmatch(shape):
            keys_told.clear()
            if terms["record"]:
                tell({"sent": "", "sql": sql[:500]})
        elif not plumbing.fullmatch(shape):
            key, text = known["key_of"](sql), sql.strip()[: known["MAX_CHARACTERS"]]
            if allowed is not None and not known["is_among"](sql, allowed):
                statement = " ".join(sql.split())[:300]
                why = f"staging did not run this statement, so it was not run here: {statement}"
                tell({"error": {"message": why, "statement": text}})
                return why
            if (
                terms["record"]
                and key not in keys_told
                and len(keys_told) < known["MAX_STATEMENTS"]
            ):
                keys_told.add(key)
                tell({"sent": key, "sql": text})
        return ""

    relay = importlib.import_module("isolation.relay").Relay(terms, judge)
    relay.start()
    return relay


def _go_through(door: Mapping[str, object], events: int, guard: socket.socket) -> None:
    """Enter the isolation before anything is loaded; end the process if the kernel refuses it."""
    confine = _isolation().confine
    try:
        listener = confine.enter(door, keep=(events, guard.fileno()))
        if listener >= 0:
            confine.hand_over(listener, guard)
        guard.close()
    except OSError as error:
        print(f"Nothing was run, for it could not be isolated: {error}", flush=True)
        os._exit(FAILED)


def _load() -> None:
    """Load what takes long and will be wanted; nothing of the project's is there yet."""
    dialect = "sqlalchemy.dialects.postgresql.psycopg"
    for name in ("alembic.config", "alembic.script", "psycopg", dialect):
        importlib.import_module(name)


def _line() -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        if not (more := os.read(0, 65536)):
            os._exit(FAILED)
        data += more
    return data


def _watch(worker: int, bounds: Any) -> str:
    """Wait until the worker has ended or the portal has gone; say why where it became too large."""
    parent, ended = os.getppid(), os.pidfd_open(worker)
    while True:
        ready = select.select([0, ended], [], [], 0.2 if bounds else 1)[0]
        if ended in ready or os.getppid() != parent or (0 in ready and not os.read(0, 4096)):
            return ""
        if bounds and (stopped := bounds.exceeded()):
            return str(stopped)


def _end_all(worker: int) -> int:
    """Kill all that is left below us, which orphans become ours; return the worker's exit code."""
    code = FAILED
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == worker:
            exit_code = os.waitstatus_to_exitcode(status)
            code = exit_code if exit_code >= 0 else 128 - exit_code
        elif pid == 0:
            # All at once, or those that fork would be quicker than we.
            for child in _isolation().bounds.below(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.005)


def _work(request: Instructions) -> int:
    """Run the migrations; 0 when Alembic raised nothing."""
    events = request["events"]
    os.set_inheritable(events, False)

    def emit(event: dict[str, object]) -> None:
        sys.stdout.flush()
        os.write(events, json.dumps(event).encode() + b"\n")

    if line := request.get("command"):  # the project's own: this process becomes its shell
        if request.get("listen"):
            os.set_inheritable(events, True)
            request["environ"]["PORTAL_EVENTS"] = f"{events}:{os.fstat(events).st_ino}"
        os.execve("/bin/sh", ["sh", "-c", line], request["environ"])  # noqa: S606
    try:
        if "render" in request:  # only SQL is wanted, nothing runs
            here = Path(__file__)
            if request.get("literal"):
                request["load"] = runpy.run_path(str(here.with_name("literal.py")))["load"]
            runpy.run_path(str(here.with_name("render.py")))["render"](request | {"emit": emit})
        else:
            _upgrade(request | {"emit": emit})
    except BaseException as error:  # noqa: BLE001 - whatever a script raises ends this process only
        emit({"error": _described(error)})
        frames = traceback.format_exception(type(error), error, error.__traceback__, limit=-30)
        print("".join(frames)[-20_000:], flush=True)
        return FAILED
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _script(run: Instructions) -> Any:
    """Return Alembic's script directory, also below a private one such as /root.

    Alembic asks access(2), which judges by the real user, without the right to read there that is
    kept for this; os.path.exists judges as the reading itself does.
    """
    from alembic.script import ScriptDirectory

    access, os.access = os.access, lambda path, mode, **_: os.path.exists(path)
    try:
        return ScriptDirectory(
            run["environment"],
            version_locations=run["directories"],
            recursive_version_locations=run["recursive"],
        )
    finally:
        os.access = access


def _upgrade(run: Instructions) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext

    script = _script(run)
    run["current"] = ""
    config = Config(attributes={"run": run})
    emit = run["emit"]

    def steps(current: Any, _context: object) -> Iterator[object]:
        """Yield Alembic's own plan; a step is taken up again once its transaction is committed."""
        if run["direction"] == "upgrade":
            plan = script._upgrade_revs(tuple(run["target"]), current)
        else:
            plan = script._downgrade_revs(run["target"][0], current)
        for step in plan:
            began = time.monotonic()
            run["current"] = step.revision.revision
            emit({"start": step.revision.revision})
            yield step
            run["current"] = ""
            emit({"end": step.revision.revision, "seconds": time.monotonic() - began})

    with EnvironmentContext(config, script, fn=steps, destination_rev=tuple(run["target"])):
        script.run_env()


def _described(error: BaseException) -> dict[str, str]:
    """Return what the portal makes a sentence of."""
    origin = getattr(error, "orig", None) or error
    diagnosis = getattr(origin, "diag", None)

    def of(event: object, name: str) -> str:
        return str(getattr(event, name, None) or "")

    return {
        "type": type(origin).__name__,
        "module": (error.name or "") if isinstance(error, ImportError) else "",
        "message": (of(diagnosis, "message_primary") or str(origin))[:500],
        "statement": of(error, "statement")[:2000],
        "sqlstate": of(origin, "sqlstate"),
        "detail": of(diagnosis, "message_detail")[:500],
        "table": of(diagnosis, "table_name"),
        "column": of(diagnosis, "column_name"),
        "constraint": of(diagnosis, "constraint_name"),
    }


if __name__ == "__main__":
    main()
