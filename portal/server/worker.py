"""A worker: django-q2's cluster, the sweep that wakes due jobs, and the watchdog over both.

A cluster whose idle worker was killed logs "reincarnated" and never runs a task again (django-q2
issue 23), so a living process proves nothing. The watchdog sends a canary through the queue and
starts a new cluster when it does not come back.
"""

import logging
import os
import secrets
import signal
from contextlib import suppress
from dataclasses import dataclass, field

from django.db import Error as DatabaseError
from django.db import connection, connections
from django.db.models.functions import Now
from django_q.cluster import Cluster
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.tasks import async_task

from portal.health import reports, watch
from portal.jobs import this_worker
from portal.jobs.broker import Broker, own_queue
from portal.jobs.sweep import busy as busy_now
from portal.jobs.sweep import canary_seen, sweep
from portal.server.children import fork, has_ended, stop_group

log = logging.getLogger(__name__)

TICK = 1.0
CANARY_EVERY = 3.0
ECHO_WITHIN = 10.0
STOP_PATIENCE = 6.0

Busy = frozenset[tuple[str, int]]


@dataclass
class Watch:
    """Judges whether this worker's queue moves. Times are seconds of a monotonic clock.

    Its canary lies in a queue of its own: another host's worker would answer for a frozen one.
    """

    token: str = ""
    name: str = field(default_factory=lambda: this_worker()[-40:])
    moved_at: float = 0.0
    next_at: float = 0.0

    def is_frozen(self, now: float, busy: Busy) -> bool:
        """Send and await canaries; return whether none came back for too long though a process of
        this worker is free, which takes the canary before all other tasks.
        """
        if not self.token:
            if now >= self.next_at:
                self.token, self.moved_at = secrets.token_hex(8), now
                queue = {"save": False, "task_name": "canary", "broker": Broker(own_queue())}
                async_task("portal.jobs.sweep.canary", self.token, self.name, **queue)
            return False
        if canary_seen(self.token):
            self.reset(now + CANARY_EVERY)
            return False
        if len(busy) >= Conf.WORKERS:
            self.moved_at = now
        return now - self.moved_at > ECHO_WITHIN

    def reset(self, next_at: float) -> None:
        """Forget the canary that is out; the next one flies at `next_at`."""
        self.token, self.next_at = "", next_at


class Worker:
    """The cluster of the moment, and those that were retired while a job of theirs still ran."""

    def __init__(self) -> None:
        self.watch = Watch()
        self.retired: list[tuple[int, Busy]] = []
        self.reported = 0.0
        self.answering = True
        self.cluster = start_cluster()

    def tick(self, now: float) -> None:
        """Look around once; nothing that goes wrong in it may end the worker."""
        try:
            with connection.cursor() as cursor:
                # Nobody's lock may blind the watchdog.
                cursor.execute("set statement_timeout = '5s'")
            self._keep_cluster(now)
            sweep()
            self._report(now)
            if not self.answering:
                log.warning("The database answers again.")
            self.answering = True
        except DatabaseError as error:
            if self.answering:
                what = str(error).strip().partition("\n")[0]
                log.error("The database does not answer; jobs wait until it does: %s", what)
            self.answering = False
            self._blind(now)
        except Exception:
            log.exception("A look around failed; the worker goes on.")
            self._blind(now)

    def _report(self, now: float) -> None:
        if now - self.reported >= reports.REPORT_SECONDS:
            self.reported = now
            watch.beat("worker")

    def _blind(self, now: float) -> None:
        connection.close()
        self.watch.reset(now + TICK)  # a canary that could not fly or echo proves nothing

    def _keep_cluster(self, now: float) -> None:
        # Asked only while somebody wants to know: a canary is out, or a cluster is to go.
        busy = busy_now() if self.retired or self.watch.token else Busy()
        for pid, jobs in [entry for entry in self.retired if not entry[1] & busy]:
            stop_group(pid, patience=0)
            self.retired.remove((pid, jobs))
        if has_ended(self.cluster):
            log.error("The cluster ended by itself; a new one starts.")
            self._replace(frozenset(), now)
        elif self.watch.is_frozen(now, busy):
            log.error(
                "The queue stood still for %.0f s; a new cluster starts.", now - self.watch.moved_at
            )
            self._replace(busy, now)

    def _replace(self, busy: Busy, now: float) -> None:
        """Start a new cluster for the present one, which goes at once, or when its job is done."""
        if busy:
            os.kill(self.cluster, signal.SIGTERM)  # takes no new task
            self.retired.append((self.cluster, busy))
        else:
            stop_group(self.cluster, patience=0)
        # What it had taken would lie in the queue for `retry` seconds; a wake-up may come twice.
        OrmQ.objects.filter(lock__gt=Now()).update(lock=Now())
        self.cluster = start_cluster()
        self.watch.reset(now + TICK)

    def stop(self) -> None:
        """Let running steps finish for a few seconds, then end everything."""
        with suppress(DatabaseError):
            reports.sign_off("worker")
        for pid, _ in self.retired:
            stop_group(pid, patience=0)
        stop_group(self.cluster, patience=STOP_PATIENCE)


def start_cluster() -> int:
    """Start django-q2's cluster in a process group of its own; forked, it starts at once."""
    connections.close_all()
    return fork(_run_cluster)


def _run_cluster() -> None:
    cluster = Cluster()
    cluster.start()
    cluster.sentinel.join()
