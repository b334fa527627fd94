"""Breaks a running portal's parts and measures when it says so, by whom it is asked and in the
audit trail.

Web server and worker run apart, as on a platform: the worker is frozen and killed, the database
restarted and stopped, the worker's disk filled. Run by `make faults`; ends with 1 when anything was
said later than after a minute, or when the portal did not recover by itself.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from portal.server.embedded_postgres import Server, start
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 60.0


class Portal:
    """A web server and a worker on one database, in processes and directories of their own."""

    def __init__(self, directory: Path, *, worker_files: Path | None = None) -> None:
        self.directory, self.port = directory, free_port()
        self.server: Server = start(directory / "postgres")
        self.worker_files = worker_files or directory / "worker-files"
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        self.manage("migrate", "--verbosity=0", files=directory / "web-files").wait()
        self.parts["web"] = self.manage(
            "web", f"--port={self.port}", "--host=127.0.0.1", files=directory / "web-files"
        )
        self.begin_worker()

    def manage(self, *arguments: str, files: Path) -> "subprocess.Popen[bytes]":
        """A management command with this portal's settings, and only those."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in ("PATH", "HOME", "LANG", "TZ")
        }
        env = kept | {
            "ALLOW_SUPERUSER_DATABASE": "1",
            "DATABASE_URL": self.server.url,
            "PORTAL_VAR_DIR": str(files),
            "PORTAL_ENV_FILE": os.devnull,
        }
        env |= {"SECRET_KEY": "x" * 50, "SANDBOX": "0"}
        files.mkdir(exist_ok=True)
        log = (self.directory / f"{arguments[0]}.log").open("ab")
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def begin_worker(self) -> None:
        self.parts["worker"] = self.manage("worker", files=self.worker_files)

    def states(self) -> dict[str, str]:
        """Check → state, as `/health/ready` says; what is served but cannot be read is an empty
        answer.
        """
        try:
            body = urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/health/ready", timeout=15
            ).read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError:
            return {}
        worst: dict[str, str] = {}
        for one in json.loads(body)["checks"]:
            order = ["ok", "unknown", "warning", "failing"]
            worst[one["check"]] = max(one["state"], worst.get(one["check"], "ok"), key=order.index)
        return worst

    def events(self, action: str, check: str) -> int:
        """How many events of this kind the trail holds."""
        with (
            suppress(psycopg.Error),
            psycopg.connect(self.server.url, connect_timeout=3) as connection,
        ):
            asked = (
                "SELECT count(*) FROM portal_auditevent WHERE action = %s AND data::json->>'check'"
                " = %s"
            )
            return connection.execute(asked, [action, check]).fetchone()[0]  # type: ignore[index]
        return 0

    def restart_database(self) -> None:
        """Stops PostgreSQL as a crash does and starts it on the same port."""
        self.server.stop()
        self.server = start(self.directory / "postgres")

    def end(self) -> None:
        for part in self.parts.values():
            with suppress(ProcessLookupError):
                part.send_signal(signal.SIGCONT)
            part.terminate()
        for part in self.parts.values():
            part.wait(30)
        self.server.stop()


def seconds_until(condition: Callable[[], bool], limit: float = 2 * LIMIT_SECONDS) -> float:
    """Seconds until `condition` holds; infinite if it does not within `limit`."""
    started = time.monotonic()
    while time.monotonic() - started < limit:
        if condition():
            return time.monotonic() - started
        time.sleep(0.25)
    return float("inf")


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system of 8 MB at `directory`. Raises `OSError` where this user may not mount one."""
    directory.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", directory], capture_output=True
    )
    if done.returncode:
        raise OSError("no file system can be mounted here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


Row = tuple[str, float, float, float]


def break_everything(portal: Portal) -> Iterator[Row]:
    """Each failure: seconds until `/health/ready` said it, until the trail did, and until all
    was well again.
    """
    assert seconds_until(lambda: portal.states().get("workers") == "ok") < LIMIT_SECONDS, (
        "it did not start"
    )
    yield frozen_worker(portal)
    yield restarted_database(portal)
    yield stopped_database(portal)
    yield killed_worker(portal)


def _noticed(portal: Portal, name: str, check: str, fix: Callable[[], None]) -> Row:
    before = portal.events("health.failing", check)
    recovered = portal.events("health.recovered", check)
    started = time.monotonic()
    shown = seconds_until(lambda: portal.states().get(check) == "failing")
    seconds_until(lambda: portal.events("health.failing", check) > before)
    told = time.monotonic() - started
    fix()
    well = seconds_until(lambda: portal.events("health.recovered", check) > recovered)
    return name, shown, told, well


def frozen_worker(portal: Portal) -> Row:
    """SIGSTOP for the worker's main process and its cluster."""
    worker = portal.parts["worker"]
    worker.send_signal(signal.SIGSTOP)
    return _noticed(portal, "worker frozen", "workers", lambda: worker.send_signal(signal.SIGCONT))


def killed_worker(portal: Portal) -> Row:
    """kill -9, and another worker that takes over."""
    portal.parts["worker"].kill()
    portal.parts["worker"].wait()
    return _noticed(portal, "worker killed", "workers", portal.begin_worker)


def full_disk(portal: Portal) -> Row:
    """The worker's disk is filled to the last byte."""
    ballast = portal.worker_files / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(b"x" * 65536)
            file.flush()
    return _noticed(portal, "disk of the worker full", "disk", ballast.unlink)


def restarted_database(portal: Portal) -> Row:
    """PostgreSQL crashes and is there again after a moment."""
    before = portal.events("health.restarted", "restarts")
    portal.restart_database()
    told = seconds_until(lambda: portal.events("health.restarted", "restarts") > before)
    well = seconds_until(lambda: portal.states().get("workers") == "ok")
    return "database restarted", told, told, well


def stopped_database(portal: Portal) -> Row:
    """PostgreSQL is gone for a while: nothing can be written, so only who asks is told."""
    portal.server.stop()
    shown = seconds_until(lambda: portal.states().get("database") == "failing")
    portal.server = start(portal.directory / "postgres")
    well = seconds_until(
        lambda: {portal.states().get(one) for one in ("database", "workers")} == {"ok"}
    )
    return "database stopped", shown, shown, well


def main() -> int:
    """Print one line for each failure; 0 when each was said and over within a minute."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="portal-unwell-") as name:
        portal = Portal(Path(name))
        try:
            rows += break_everything(portal)
        finally:
            portal.end()
    with tempfile.TemporaryDirectory(prefix="portal-unwell-") as name:
        try:
            with small_disk(Path(name) / "small") as disk:
                portal = Portal(Path(name), worker_files=disk)
                try:
                    rows.append(full_disk(portal))
                finally:
                    portal.end()
        except OSError as error:
            print(f"  disk of the worker full: not tried, {error}")
    print(f"  {'failure':26} {'shown':>7} {'in trail':>9} {'well again':>11}   (seconds)")
    for name, *seconds in rows:
        print(f"  {name:26} {seconds[0]:7.1f} {seconds[1]:9.1f} {seconds[2]:11.1f}")
    late = [name for name, *seconds in rows if max(seconds) > LIMIT_SECONDS]
    print(f"Later than {LIMIT_SECONDS:.0f} s: {', '.join(late) or 'none'}")
    return 1 if late or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
