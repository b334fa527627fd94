"""Breaks a running portal's parts and measures when it says so, by whom it is asked and in the
audit trail.

Web server and worker run apart, as on a platform: the worker is frozen and killed, the database
restarted and stopped, the worker's disk filled; then GitHub and Railway refuse it
(`unwell_outside`). Run by `make faults`; ends with 1 when anything was said later than after a
minute, or when the portal did not recover by itself.
"""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from portal.server.embedded_postgres import start
from tests.faults import unwell_outside
from tests.faults.unwell_portal import LIMIT_SECONDS, Portal, Row, seconds_until


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
    with (
        tempfile.TemporaryDirectory(prefix="portal-unwell-") as name,
        unwell_outside.connected(Path(name)) as outside,
    ):
        rows += unwell_outside.refuse_everything(outside)
    print(f"  {'failure':26} {'shown':>7} {'in trail':>9} {'well again':>11}   (seconds)")
    for name, *seconds in rows:
        print(f"  {name:26} {seconds[0]:7.1f} {seconds[1]:9.1f} {seconds[2]:11.1f}")
    late = [name for name, *seconds in rows if max(seconds) > LIMIT_SECONDS]
    print(f"Later than {LIMIT_SECONDS:.0f} s: {', '.join(late) or 'none'}")
    return 1 if late or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
