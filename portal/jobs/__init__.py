"""Jobs are rows: a job survives any crash, and the queue only wakes it.

A job is a row with a status, a lease and a fencing number. A worker claims it by a conditional
UPDATE, runs one step, and records the outcome only if its fencing number is still the row's
(`running`); what nobody woke is woken by the clock (`sweep`). Steps look at the world first and do
at most one outward write, so a step that ran twice, or died half way, costs nothing but time.
"""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import ExpressionWrapper, F
from django.db.models.functions import Now
from django.utils import timezone
from django_q.tasks import async_task

from portal.logs import trace
from portal.outbound.http import TooLate

LEASE = timedelta(seconds=settings.JOB_LEASE_SECONDS)
# What the processes of one worker inherit from it.
WORKER_VARIABLE = "PORTAL_WORKER"
RENEW_SECONDS = settings.JOB_LEASE_SECONDS / 4


class JobStatus(models.TextChoices):
    """`failed` was expected and explained; `needs_person` could not be known or went wrong."""

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
    """Not finished: look again after `seconds` (0: at once); `sentence` says what is awaited."""

    seconds: float
    sentence: str = ""
    errored: bool = False  # the step broke: its crashes go on counting, so it ends after three


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
    """A unit of background work, by the step (`Job, now -> Outcome`) at `step_function`."""

    step_function = ""
    step_seconds = 120.0  # a longer step loses its lease, so that a hung one is taken over
    urgent = False  # done by a web process while no worker lives
    repeatable = True  # False: a restored backup gives it up, for it may have been done since
    retry_forever = False  # True: whatever goes wrong, as nobody would be there to start it again

    status = models.CharField(max_length=20, choices=JobStatus, default=JobStatus.QUEUED)
    sentence = models.TextField(blank=True, default="")
    crashes = models.PositiveIntegerField(
        default=0, help_text="Claims since the last recorded outcome."
    )
    fence = models.PositiveBigIntegerField(default=0)
    # by the database's clock, for those of hosts differ
    lease_until = models.DateTimeField(null=True, blank=True)
    holder = models.CharField(
        max_length=120,
        blank=True,
        default="",
        db_default="",  # processes of the version before make rows too while it is replaced
        help_text="Host and process of the worker that claimed it last.",
    )
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

    def keep(self, **values: object) -> bool:
        """Write these fields, unless another worker has taken the job over; return whether it was
        written.
        """
        for name, value in values.items():
            setattr(self, name, value)
        held = type(self)._default_manager.filter(pk=self.pk, fence=self.fence)
        return bool(held.update(**values))

    def ended(self, outcome: Finished, *, now: datetime) -> None:
        """Do what belongs to the transaction that ends the job, such as its audit event."""


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
    """Verifies what was added to the audit chain and anchors its head, at an interval; one row."""

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
    """Make `job` due at once and tell the queue, in the caller's transaction."""
    now = now or timezone.now()
    caused = {"trace": trace.current()} if trace.current() else {}
    type(job)._default_manager.filter(pk=job.pk).update(wake_at=now, woken_at=now, **caused)
    queue(type(job), job.pk)


def queue(model: type[Job], pk: int) -> None:
    """Tell the queue of one job; whoever takes the task runs the job's steps."""
    name = f"{model._meta.model_name}-{pk}"[:100]
    async_task("portal.jobs.running.wake", model._meta.label, pk, task_name=name)


def job_models() -> list[type[Job]]:
    """Return every concrete kind of job that is installed."""
    return [model for model in apps.get_models() if issubclass(model, Job)]


def holds(job: Job, *, now: datetime | None = None) -> bool:
    """Renew the lease; False when the job was taken over or stopped: the step should end."""
    now = now or timezone.now()
    return bool(held(job).update(lease_until=Now() + LEASE, heartbeat_at=now))


def seconds_held(job: Job) -> float:
    """Return for how many seconds from now nobody else can claim `job`, without a lock on its row.

    Raise `TooLate` where somebody could by now, or a person stopped it.
    """
    left = ExpressionWrapper(F("lease_until") - Now(), output_field=models.DurationField())
    seen = held(job).annotate(left=left).values_list("left", flat=True).first()
    if seen is None or seen <= timedelta():
        raise TooLate(f"{job._meta.label} {job.pk} is no longer held by this worker.")
    return float(seen.total_seconds())


def this_worker() -> str:
    """Return host and process of the worker that this process belongs to."""
    return os.environ.get(WORKER_VARIABLE) or f"{host_name()} {os.getpid()}"


def host_name() -> str:
    """Return the name that tells this host from others; replicas on Railway may share theirs."""
    return f"{socket.gethostname()} {os.environ.get('RAILWAY_REPLICA_ID', '')[:8]}".strip()[:100]


def held(job: Job) -> models.QuerySet[Job]:
    """Return the row of `job`, as long as this worker holds it and no person stopped it."""
    return type(job)._default_manager.filter(pk=job.pk, fence=job.fence, status__in=OPEN)
