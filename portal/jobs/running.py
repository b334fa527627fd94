"""What a worker does with one job: claim it, run its steps, write down what came of each.

The queue calls `wake`. Come here for leases, fencing numbers and what happens after a crash.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import stamina
from django.apps import apps
from django.db import Error, connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.module_loading import import_string

from portal import observed
from portal.jobs import (
    LEASE,
    RENEW_SECONDS,
    Finished,
    Job,
    JobStatus,
    Outcome,
    Requeue,
    held,
    holds,
    seconds_held,
    this_worker,
)
from portal.jobs.sweep import due
from portal.logs import trace
from portal.outbound import http

log = logging.getLogger(__name__)

MAX_CRASHES = 8


def wake(label: str, pk: int) -> str:
    """Run the job's steps until it waits, ends, or is somebody else's: what the queue calls."""
    model = apps.get_model(label)
    while (job := claim(model, pk)) is not None:
        with trace.within(job.trace, f"{label} {pk}"):
            outcome = _run_step(job)
            recorded = _keep(job, outcome)
        if not recorded:
            return "taken over"
        if isinstance(outcome, Finished):
            return outcome.status
        if outcome.seconds > 0:
            return "waiting"
    return "nothing to do"


def claim(model: type[Job], pk: int, *, now: datetime | None = None) -> Job | None:
    """Take the lease if the job is due and free, raising its fencing number; else return None."""
    now = now or timezone.now()
    won = (
        due(model, now)
        .filter(pk=pk)
        .update(
            status=JobStatus.RUNNING,
            fence=F("fence") + 1,
            crashes=F("crashes") + 1,
            lease_until=Now() + LEASE,
            holder=this_worker(),
            heartbeat_at=now,
            started_at=Coalesce("started_at", now),
        )
    )
    return model._default_manager.get(pk=pk) if won else None


def _run_step(job: Job) -> Outcome:
    if job.crashes > MAX_CRASHES and not job.retry_forever:
        stopped = f"The worker stopped {MAX_CRASHES} times in a row in this step"
        return Finished(JobStatus.NEEDS_PERSON, f"{stopped} without an outcome; see the log.")
    step = import_string(job.step_function)
    try:
        with _renewed_lease(job), _guarded_writes(job):
            return step(job, now=timezone.now())
    except http.TooLate:
        log.warning("%s %s was taken over; this worker sends nothing more", job._meta.label, job.pk)
        return Requeue(1.0, errored=True)
    except Error as error:
        if not _connection_lost(error):
            return _broke(job)
        log.warning("%s %s lost the database in this step", job._meta.label, job.pk)
        return Requeue(1.0, "The database did not answer; this step is being repeated.")
    except Exception:  # noqa: BLE001 (logged there)
        return _broke(job)


def _broke(job: Job) -> Outcome:
    """Return what comes of a step that raised what it should not; called from an `except`."""
    log.exception("%s %s broke", job._meta.label, job.pk)
    stopped = "An unexpected error stopped this step"
    if job.crashes < 3 or job.retry_forever:
        seconds = min(2.0 * job.crashes, 60.0)
        return Requeue(seconds, f"{stopped}; it is being retried.", errored=True)
    return Finished(JobStatus.NEEDS_PERSON, f"{stopped} three times. See the log.")


def _connection_lost(error: Exception) -> bool:
    """Return whether the database went away, which is no fault of the step."""
    opened = connection.connection
    return isinstance(error, Error) and (opened is None or opened.closed)


def _keep(job: Job, outcome: Outcome) -> bool:
    """Record the outcome; while the database is away, try for as long as the lease lasts.

    A worker that gave up at once would leave a step behind that looks as if it had crashed.
    """
    for attempt in stamina.retry_context(
        on=_connection_lost, attempts=None, timeout=LEASE, wait_max=1.0
    ):
        with attempt:
            if attempt.num > 1:
                connection.close()
            observed.keep()
            return record(job, outcome)
    raise AssertionError  # for the type checker: the last attempt raises or returns


def record(job: Job, outcome: Outcome, *, now: datetime | None = None) -> bool:
    """Write the outcome if this worker still holds the job; return whether it does."""
    now = now or timezone.now()
    with transaction.atomic():
        own_row = held(job).select_for_update()
        row = own_row.first()
        if row is None:
            return False
        if isinstance(outcome, Finished):
            job.ended(outcome, now=now)
            ended = {"status": outcome.status, "sentence": outcome.sentence}
            changes: dict[str, object] = {**ended, "finished_at": now, "crashes": 0}
        else:
            later = now + timedelta(seconds=outcome.seconds)
            # Keep a wake-up that arrived while this step ran.
            wake_at = later if row.wake_at == job.wake_at else min(row.wake_at, later)
            changes = {"status": JobStatus.WAITING, "wake_at": wake_at}
            if not outcome.errored:
                changes["crashes"] = 0
            if job.retry_forever and row.trace == job.trace:
                changes["trace"] = ""  # what comes next is by the clock, unless somebody asks
            if outcome.sentence:
                changes["sentence"] = outcome.sentence
        own_row.update(lease_until=None, woken_at=None, heartbeat_at=now, **changes)
    return True


@contextmanager
def _guarded_writes(job: Job) -> Iterator[None]:
    """Let nothing be written outside by a worker that was frozen or cut off and lost its job."""
    token = http.guard.set(lambda: seconds_held(job))
    try:
        yield
    finally:
        http.guard.reset(token)


@contextmanager
def _renewed_lease(job: Job) -> Iterator[None]:
    """Keep the lease while this process runs the step, up to the step's own limit."""
    done = threading.Event()

    def renew() -> None:
        until = time.monotonic() + job.step_seconds
        while not done.wait(RENEW_SECONDS) and time.monotonic() < until:
            try:
                if not holds(job):
                    break
            except Error as error:  # a database that restarts is asked again; meanwhile it may end
                what = str(error).strip().partition("\n")[0]
                log.warning("The lease of %s %s waits: %s", job._meta.label, job.pk, what)
                connection.close()
        connection.close()

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
