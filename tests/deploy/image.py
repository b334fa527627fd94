"""Builds the image with buildah and starts the portal in it: migrate, web, worker, health check.

No registry of images is needed. What the Dockerfile begins with is made here from Debian's packages
and the Python that runs this; so this shows that every instruction works, and that the image has
all that the portal needs, but not that the image of the same name on a registry is the same.

`python -m tests.deploy.image`, as root, with buildah and debootstrap (both Debian packages); it
takes about four minutes. Ends with 1 when anything failed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from portal.server.embedded_owner import owned
from portal.server.embedded_postgres import start
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    "ca-certificates,libssl3,libffi8,libsqlite3-0,zlib1g,libbz2-1.0,liblzma5,libreadline8"
    ",libncursesw6,libuuid1,libexpat1"
)
# A machine behind a proxy of its own trusts and asks what is named here; elsewhere it changes none.
FROM_HOST = ("/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
START_SECONDS = 120.0


class Builder:
    """buildah with a store of its own, which needs no daemon and no namespaces."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        places = [f"--root={folder / 'store'}", f"--runroot={folder / 'run'}"]
        self.begin = ["buildah", *places, "--storage-driver=vfs"]
        self.env = os.environ | {"BUILDAH_ISOLATION": "chroot"}

    def __call__(self, *arguments: str | Path) -> str:
        """Run one command and return what it printed. Raises `SystemExit` with its complaint."""
        command = [*self.begin, *map(str, arguments)]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"buildah {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-3000:]}")
        return done.stdout.strip()

    def inside(
        self, container: str, command: Sequence[str], env: dict[str, str]
    ) -> "subprocess.Popen[str]":
        """Start a command in the image, as its user."""
        given = [part for item in env.items() for part in ("--env", "=".join(item))]
        whole = [*self.begin, "run", *given, container, "--", *command]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(whole, env=self.env, text=True, **pipes)  # type: ignore[call-overload]


def base(build: Builder, name: str) -> None:
    """Make what the Dockerfile begins with: Debian and the Python of this process."""
    release = name.rpartition("-")[2]
    system, python = build.folder / "base", f"python{sys.version_info[0]}.{sys.version_info[1]}"
    command = ["debootstrap", "--variant=minbase", f"--include={LIBRARIES}", release, str(system)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr)
    prefix = Path(sys.base_prefix)
    for part in (f"lib/{python}", f"bin/{python}"):
        (shutil.copytree if (prefix / part).is_dir() else shutil.copy2)(
            prefix / part, system / "usr/local" / part
        )
    shutil.rmtree(system / f"usr/local/lib/{python}/site-packages")
    for shared in (prefix / "lib").glob("libpython*"):
        shutil.copy2(shared, system / "usr/local/lib", follow_symlinks=False)
    (system / "usr/local/bin/python").symlink_to(python)
    pip = system / "usr/local/bin/pip"
    pip.write_text('#!/bin/sh\nexec python -m pip "$@"\n')
    pip.chmod(0o755)
    for words in (["/sbin/ldconfig"], ["python", "-m", "ensurepip"]):
        subprocess.run(["chroot", system, *words], check=True, capture_output=True)
    container = build("from", "scratch")
    build("add", "--quiet", container, system, "/")
    path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/bin:/usr/sbin:/sbin"
    build("config", "--env", path, container)
    build("commit", "--quiet", container, f"docker.io/library/{name}")
    build("rm", container)
    shutil.rmtree(system)


def image(build: Builder) -> dict:
    """Build the image from what git tracks, and return its configuration."""
    clone = build.folder / "portal"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    volumes = [
        part for one in FROM_HOST if Path(one).is_dir() for part in ("--volume", f"{one}:{one}:ro")
    ]
    build("bud", "--pull-never", "--format=docker", "--tag=release-portal", *volumes, clone)
    shown = json.loads(build("inspect", "--type=image", "release-portal"))
    return shown["Docker"]["config"]


def served(build: Builder, config: dict) -> list[str]:
    """Start the portal in the image, and return what was wrong."""
    server = start(build.folder / "postgres")
    port, container = free_port(), build("from", "--pull-never", "localhost/release-portal")
    env = {"DATABASE_URL": owned(server).url, "SECRET_KEY": "k" * 50, "PORT": str(port)}
    env |= {"SANDBOX": "0", "PORTAL_URL": f"http://127.0.0.1:{port}"}
    wrong = []
    programs = []
    try:
        migrate = build.inside(container, ["python", "manage.py", "migrate"], env)
        told = migrate.communicate()[0]
        if migrate.returncode:
            return [f"migrate: {told[-2000:]}"]
        programs = [
            build.inside(container, [*config["Cmd"], "--host=127.0.0.1"], env),
            build.inside(container, ["python", "manage.py", "worker"], env),
        ]
        check = config["Healthcheck"]["Test"][1:]
        deadline = time.monotonic() + START_SECONDS
        while (health := build.inside(container, check, env)).wait():
            if time.monotonic() > deadline:
                wrong.append(f"the health check: {health.communicate()[0][-1000:]}")
                break
            time.sleep(1)
        wrong += [f"{one.args[-1]} ended by itself" for one in programs if one.poll() is not None]
    finally:
        for one in programs:
            below = psutil.Process(one.pid).children(recursive=True)
            for process in reversed(below):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                one.wait(20)
            for process in psutil.wait_procs(below, timeout=5)[1]:
                process.kill()
        server.stop()
    return wrong


def main() -> int:
    """Print what was built and what was wrong; 0 if nothing."""
    missing = [one for one in ("buildah", "debootstrap") if not shutil.which(one)]
    if missing or os.geteuid():
        print(f"Not tried: needs root and the packages buildah and debootstrap ({missing}).")
        return 1
    [name] = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    with tempfile.TemporaryDirectory(prefix="portal-image-") as folder:
        build, began = Builder(Path(folder)), time.monotonic()
        base(build, name)
        config = image(build)
        print(f"Built on a {name} of our own in {time.monotonic() - began:.0f} s:")
        print(f"  user {config['User']}, command {' '.join(config['Cmd'])}")
        wrong = served(build, config)
    for line in wrong:
        print(f"  WRONG {line}")
    print("The portal migrated and answered in it." if not wrong else "It does not work.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
