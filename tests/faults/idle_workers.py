"""Kills the idle workers of the queue again and again, and measures how long until a new task runs.

django-q2 alone never recovers from this (its issue 23). Run by `make faults`, or with a count:
`python -m tests.faults.idle_workers 20`. Ends with 1 when any recovery took longer than 30 s.
"""

import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from portal.server.embedded_postgres import running

ROOT = Path(__file__).resolve().parents[2]
LIMIT_SECONDS = 30.0


def recoveries(worker: psutil.Process, times: int) -> list[float]:
    """Seconds from each of `times` kills until a task enqueued right after it had run; infinite
    if it never did.
    """
    seconds = []
    for _ in range(times):
        _run_task(
            LIMIT_SECONDS
        )  # the cluster of the moment works, so its workers are idle afterwards
        for process in idle_workers(worker):
            process.kill()
        seconds.append(_run_task(2 * LIMIT_SECONDS))
    return seconds


def idle_workers(worker: psutil.Process) -> list[psutil.Process]:
    """The queue's workers under `manage.py worker`: the sentinel's first children, before
    monitor and pusher.
    """
    from django_q.conf import Conf

    cluster = max(worker.children(), key=lambda process: process.create_time())
    [sentinel] = cluster.children()
    children = sorted(sentinel.children(), key=lambda process: (process.create_time(), process.pid))
    return children[: Conf.WORKERS]


def _run_task(limit: float) -> float:
    from django_q.models import Task
    from django_q.tasks import async_task

    started = time.monotonic()
    task = async_task("time.time")
    while time.monotonic() - started < limit:
        if Task.objects.filter(pk=task).exists():
            return time.monotonic() - started
        time.sleep(0.05)
    return float("inf")


def main(times: int = 20) -> int:
    """Prints one line for each kill and a summary; 0 when all recovered in time."""
    with (
        tempfile.TemporaryDirectory(prefix="portal-faults-") as var,
        running(Path(var) / "postgres") as server,
    ):
        os.environ |= {
            "PORTAL_VAR_DIR": var,
            "DATABASE_URL": server.url,
            "ALLOW_SUPERUSER_DATABASE": "1",
            "PORTAL_ENV_FILE": os.devnull,
        }
        os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
        manage = [sys.executable, str(ROOT / "manage.py")]
        subprocess.run([*manage, "migrate", "--verbosity=0"], check=True)
        import django

        django.setup()
        logging.getLogger("django-q").setLevel(logging.ERROR)
        worker = subprocess.Popen(
            [*manage, "worker"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        try:
            return _report(recoveries(psutil.Process(worker.pid), times))
        finally:
            worker.terminate()
            worker.wait()


def _report(seconds: list[float]) -> int:
    print("Idle workers killed: seconds until a new task ran")
    for number, second in enumerate(seconds, 1):
        print(f"  {number:3}  {second:6.1f}")
    late = sum(second > LIMIT_SECONDS for second in seconds)
    print(
        f"  {len(seconds)} kills, slowest {max(seconds):.1f} s, {late} later than"
        f" {LIMIT_SECONDS:.0f} s"
    )
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
