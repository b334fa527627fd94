"""Jobs that survive anything: the row is the job, the queue only wakes it.

A job is a row with a status, a lease and a fencing number. A worker claims it by a conditional
UPDATE, runs one step, and records the outcome only if its fencing number is still the row's. Steps
look at the world first and do at most one outward write, so a step that ran twice, or died half
way, costs time and nothing else.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from django.apps import apps
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.tasks import async_task

from portal import observed
from portal.logs import trace

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=settings.JOB_LEASE_SECONDS)
RENEW_SECONDS = settings.JOB_LEASE_SECONDS / 4
WAKE_AGAIN = timedelta(seconds=15)
MAX_CRASHES = 8


class JobStatus(models.TextChoices):
    """Where a job stands.

    `failed` was expected and explained; `needs_person` could not be known or went wrong.
    """

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    WAITING = "waiting", "waiting"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    NEEDS_PERSON = "needs_person", "needs a person"
    CANCELLED = "cancelled", "cancelled"


OPEN = (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.WAITING)
STOPPED = (JobStatus.FAILED, JobStatus.NEEDS_PERSON)


@dataclass(frozen=True)
class Requeue:
    """Not finished: look again after `seconds` (0: at once).

    `progress` says in a sentence what is awaited.
    """

    seconds: float
    sentence: str = ""
    # the step broke unexpectedly: its crashes go on counting, so that it ends after three
    errored: bool = False


@dataclass(frozen=True)
class Finished:
    """Finished for now with `status`; `sentence` says why, for people."""

    status: JobStatus
    sentence: str = ""


Outcome = Requeue | Finished


class JobQuerySet(models.QuerySet[Any]):
    """Jobs, in the words of the domain."""

    def open(self) -> Self:
        """Return those that a worker has still to do."""
        return self.filter(status__in=OPEN)

    def unsettled(self) -> Self:
        """Return those that are open, and those that stopped and wait for a person."""
        return self.filter(status__in=[*OPEN, *STOPPED])


class Job(models.Model):
    """A unit of background work.

    A subclass names its step function (`Job, now -> Outcome`) in `step_function`.
    """

    step_function = ""
    step_seconds = (
        120.0  # a step that runs longer loses its lease, so that a hung one is taken over
    )
    urgent = False  # done by a web process while no worker lives
    repeatable = (
        True  # False: it is given up when a backup is restored, for it may have been done since
    )
    # goes on after any number of errors and crashes: nobody would be there to start it again
    retry_forever = False

    status = models.CharField(max_length=20, choices=JobStatus, default=JobStatus.QUEUED)
    sentence = models.TextField(blank=True, default="")
    crashes = models.PositiveIntegerField(
        default=0, help_text="Claims since the last recorded outcome."
    )
    fence = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    wake_at = models.DateTimeField(default=timezone.now)
    woken_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    trace = models.CharField(
        max_length=64,
        blank=True,
        default=trace.current,
        help_text="Of the request or delivery that woke it last.",
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def ended(self, outcome: Finished, *, now: datetime) -> None:
        """Called in the transaction that ends the job, with the row locked; a subclass writes
        its audit event here.
        """


class Heartbeat(models.Model):
    """The last sign of progress of the worker."""

    name = models.CharField(max_length=40, primary_key=True)
    token = models.CharField(max_length=100)
    at = models.DateTimeField()

    class Meta:
        app_label = "portal"
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} at {self.at}"


class AuditWatch(Job):
    """Verifies what was added to the audit chain and anchors its head, at an interval; one row,
    never ends.
    """

    step_function = "portal.audit.watch.watch"
    step_seconds = 3600.0
    retry_forever = True

    single = models.BooleanField(default=True, unique=True)
    ok = models.BooleanField(null=True)
    at = models.DateTimeField(null=True, blank=True)
    position = models.PositiveBigIntegerField(default=0)

    class Meta:
        app_label = "portal"
        default_permissions = ()

    def __str__(self) -> str:
        return "audit watch"


def wake_now(job: Job, *, now: datetime | None = None) -> None:
    """Makes `job` due at once and tells the queue, in the caller's transaction (a rolled-back
    wake never was).
    """
    now = now or timezone.now()
    caused = {"trace": trace.current()} if trace.current() else {}
    type(job)._default_manager.filter(pk=job.pk).update(wake_at=now, woken_at=now, **caused)
    async_task(
        "portal.jobs.wake",
        job._meta.label,
        job.pk,
        task_name=f"{job._meta.model_name}-{job.pk}"[:100],
    )


def sweep(now: datetime | None = None) -> int:
    """Wakes every job that is due and that nobody woke lately. Returns how many."""
    now = now or timezone.now()
    woken = 0
    for model in job_models():
        for pk in _due(model, now).values_list("pk", flat=True)[:200]:
            # Claim the waking by UPDATE: another sweeper may have won.
            if _due(model, now).filter(pk=pk).update(woken_at=now):
                async_task(
                    "portal.jobs.wake",
                    model._meta.label,
                    pk,
                    task_name=f"{model._meta.model_name}-{pk}"[:100],
                )
                woken += 1
    return woken


def job_models() -> list[type[Job]]:
    """Every concrete kind of job that is installed."""
    return [model for model in apps.get_models() if issubclass(model, Job)]


def _due(model: type[Job], now: datetime) -> models.QuerySet[Job]:
    lately = Q(woken_at=None) | Q(woken_at__lt=now - WAKE_AGAIN)
    return due(model, now).filter(lately)


def due(model: type[Job], now: datetime) -> models.QuerySet[Job]:
    """Return the jobs of this kind that are due and that nobody runs."""
    return model._default_manager.filter(
        Q(lease_until=None) | Q(lease_until__lt=now), status__in=OPEN, wake_at__lte=now
    )


def wake(label: str, pk: int) -> str:
    """What the queue calls: runs the job's steps until it waits, ends, or belongs to somebody
    else.
    """
    model = apps.get_model(label)
    while (job := claim(model, pk)) is not None:
        with trace.within(job.trace, f"{label} {pk}"):
            outcome = _run_step(job)
            observed.keep()
            recorded = record(job, outcome)
        if not recorded:
            return "taken over"
        if isinstance(outcome, Finished):
            return outcome.status
        if outcome.seconds > 0:
            return "waiting"
    return "nothing to do"


def claim(model: type[Job], pk: int, *, now: datetime | None = None) -> Job | None:
    """Takes the lease if the job is due and free, raising its fencing number; None if it is not
    ours to run.
    """
    now = now or timezone.now()
    won = model._default_manager.filter(
        Q(lease_until=None) | Q(lease_until__lt=now), pk=pk, status__in=OPEN, wake_at__lte=now
    ).update(
        status=JobStatus.RUNNING,
        fence=F("fence") + 1,
        crashes=F("crashes") + 1,
        lease_until=now + LEASE,
        heartbeat_at=now,
        started_at=Coalesce("started_at", now),
    )
    return model._default_manager.get(pk=pk) if won else None


def _run_step(job: Job) -> Outcome:
    if job.crashes > MAX_CRASHES and not job.retry_forever:
        return Finished(
            JobStatus.NEEDS_PERSON,
            f"The worker stopped {MAX_CRASHES} times in a row in this step without an outcome; see"
            " the log.",
        )
    step = import_string(job.step_function)
    try:
        with _renewed_lease(job):
            return step(job, now=timezone.now())
    except Exception:
        log.exception("%s %s broke", job._meta.label, job.pk)
        if job.crashes < 3 or job.retry_forever:
            return Requeue(
                min(2.0 * job.crashes, 60.0),
                "An unexpected error stopped this step; it is being retried.",
                errored=True,
            )
        return Finished(
            JobStatus.NEEDS_PERSON,
            "An unexpected error stopped this step three times. See the log.",
        )


def record(job: Job, outcome: Outcome, *, now: datetime | None = None) -> bool:
    """Writes the outcome if this worker still holds the job; False when another one took it over
    meanwhile.
    """
    now = now or timezone.now()
    with transaction.atomic():
        mine = (
            type(job)
            ._default_manager.select_for_update()
            .filter(pk=job.pk, fence=job.fence, status__in=OPEN)
        )
        row = mine.first()
        if row is None:
            return False
        if isinstance(outcome, Finished):
            job.ended(outcome, now=now)
            changes = {
                "status": outcome.status,
                "finished_at": now,
                "sentence": outcome.sentence,
                "crashes": 0,
            }
        else:
            later = now + timedelta(seconds=outcome.seconds)
            # Somebody who asked for another look while this one ran is not forgotten.
            wake_at = later if row.wake_at == job.wake_at else min(row.wake_at, later)
            changes = {"status": JobStatus.WAITING, "wake_at": wake_at}
            if not outcome.errored:
                changes["crashes"] = 0
            if job.retry_forever and row.trace == job.trace:
                changes["trace"] = (
                    ""  # what comes next is by the clock, unless somebody else asks for it
                )
            if outcome.sentence:
                changes["sentence"] = outcome.sentence
        mine.update(lease_until=None, woken_at=None, heartbeat_at=now, **changes)
    return True


@contextmanager
def _renewed_lease(job: Job) -> Iterator[None]:
    """Keeps the lease while the step runs in this process, up to the step's own limit; a killed
    process stops.
    """
    done = threading.Event()

    def renew() -> None:
        started = timezone.now()
        try:
            while not done.wait(RENEW_SECONDS):
                now = timezone.now()
                if (now - started).total_seconds() > job.step_seconds:
                    return
                if not holds(job, now=now):
                    return
        except Exception:
            log.warning(
                "The lease of %s %s was not renewed", job._meta.label, job.pk, exc_info=True
            )
        finally:
            connection.close()

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def holds(job: Job, *, now: datetime | None = None) -> bool:
    """Renews the lease; False when the job was taken over or stopped by a person, so that the
    step should end.
    """
    now = now or timezone.now()
    mine = type(job)._default_manager.filter(pk=job.pk, fence=job.fence, status__in=OPEN)
    return bool(mine.update(lease_until=now + LEASE, heartbeat_at=now))


def canary(token: str, name: str = "worker") -> None:
    """Write the proof of progress that the worker `name` awaits.

    Forgets workers that ended long ago.
    """
    now = timezone.now()
    Heartbeat.objects.update_or_create(name=name, defaults={"token": token, "at": now})
    Heartbeat.objects.filter(at__lt=now - timedelta(days=1)).delete()


def canary_seen(token: str) -> bool:
    """Return whether the canary `token` has flown.

    Workers of several hosts each have their own row.
    """
    return Heartbeat.objects.filter(token=token).exists()
