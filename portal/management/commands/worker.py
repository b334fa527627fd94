"""`manage.py worker`: runs the background jobs until it is told to stop."""

import os
import signal
import sys
import time

from django.core.management.base import BaseCommand

from portal.jobs import WORKER_VARIABLE, host_name
from portal.server.children import forks_die_with_us
from portal.server.start_checks import settle_or_leave
from portal.server.worker import TICK, Worker


class Command(BaseCommand):
    help = "Runs the background jobs until it is told to stop."
    requires_system_checks = []

    def handle(self, **options: object) -> None:
        settle_or_leave()
        # Not at startup, where every command would wait for it; here, so that workers share it.
        import alembic.script.revision  # noqa: F401

        forks_die_with_us()
        os.environ[WORKER_VARIABLE] = f"{host_name()} {os.getpid()}"
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        worker = Worker()
        try:
            while True:
                worker.tick(time.monotonic())
                time.sleep(TICK)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            worker.stop()
