"""The step of a rehearsal: it writes to nothing but a scratch server of its own."""

from dataclasses import asdict, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Now

from environments.databases.address import NoDatabase
from environments.databases.scratch_request import request_of
from environments.drift import detect
from environments.git.calls import GitError
from environments.git_mirrors.clone import mirror_of
from environments.models import RailwaySync, Rehearsal
from environments.schema.history.revision import HistoryError
from environments.schema.rehearsal import rehearsal
from environments.schema.rehearsal.dump import DumpError
from environments.schema.rehearsal.report import CANCELLED, FAILED, PASSED, Report
from environments.schema.run.address import DatabaseError
from environments.schema.run.virtualenvs import NotPrepared
from portal.jobs import Finished, JobStatus, Outcome, Requeue, holds
from portal.outbound.http import ApiError
from portal.server.postgres_wheel import StartError

PATIENCE = timedelta(minutes=10)
PASSING = ("unreachable", "starting", "full")  # kinds of DatabaseError that go away by themselves
HOPELESS = (NoDatabase, StartError, HistoryError)
NOT_REHEARSED = (*HOPELESS, ApiError, GitError, DatabaseError, DumpError)
KEPT = (
    *("start", "target", "files", "statements", "warnings", "changes", "left", "drift"),
    *("drift_problem", "server", "scratch", "phases"),
)
STATUSES = {PASSED: JobStatus.SUCCEEDED, FAILED: JobStatus.FAILED, CANCELLED: JobStatus.CANCELLED}


def step(job: Rehearsal, *, now: datetime) -> Outcome:
    """Run the whole rehearsal, from the beginning also after a worker was killed."""

    def on_phase(report: Report, phase: str) -> None:
        rows = Rehearsal.objects.filter(pk=job.pk, fence=job.fence)
        rows.update(phase=phase, phases=report.phases, start=report.start or None)

    def alive() -> bool:
        return Rehearsal.objects.filter(pk=job.pk, cancel_requested_at=None).exists() and holds(job)

    if not alive():
        return Finished(JobStatus.CANCELLED, "The rehearsal was cancelled before it began.")
    # One after the other, so that a worker stays free for everything else.
    earlier = Rehearsal.objects.filter(
        status=JobStatus.RUNNING, lease_until__gt=Now(), pk__lt=job.pk
    ).first()
    if earlier:
        return Requeue(1, f"Waits for rehearsal {earlier.pk} to end.")
    try:
        mirror = mirror_of(job.environment.project)
        if not mirror.has(job.commit):
            mirror.fetch()
        request = replace(
            request_of(job, mirror, alive),
            direction=job.direction,
            project_code=job.database.runs_project_code,
        )
        report = rehearsal.rehearse(mirror, request, on_phase=on_phase, alive=alive)
    except NotPrepared as error:
        status = JobStatus.CANCELLED if error.cancelled else JobStatus.NEEDS_PERSON
        return Finished(status, f"Not rehearsed: {error}")
    except NOT_REHEARSED as error:
        return _not_yet(job, error, now)
    return _ended(job, report, now)


def _not_yet(job: Rehearsal, error: Exception, now: datetime) -> Outcome:
    """Nothing was learnt: tried again for a while where that can help."""
    lasting = isinstance(error, DatabaseError) and error.kind not in PASSING
    if lasting or isinstance(error, HOPELESS) or now - job.created_at > PATIENCE:
        return Finished(JobStatus.NEEDS_PERSON, f"Not rehearsed: {error}")
    return Requeue(10, f"The rehearsal could not be done yet: {error}")


def _ended(job: Rehearsal, report: Report, now: datetime) -> Outcome:
    values = asdict(report)
    Rehearsal.objects.filter(pk=job.pk, fence=job.fence).update(
        phase="",
        failed_statement=report.failed_statement[:10_000],
        **{name: values[name] for name in KEPT},
    )
    if report.drift is not None and holds(job):
        with transaction.atomic():
            # The lock of the readings, so that one finding is not opened by two.
            RailwaySync.objects.select_for_update().get(project=job.environment.project)
            detect.compare(job.environment.project, now=now)
    return Finished(STATUSES.get(report.status, JobStatus.NEEDS_PERSON), report.sentence)
