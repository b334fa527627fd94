"""How a migration run ends: its result is written to its row, and the job continues or finishes."""

from datetime import datetime

from django.utils import timezone

from environments.databases.expected_sql import remember_staged
from environments.databases.permission import refused
from environments.git.repository import Mirror
from environments.models import Direction, EnvironmentDatabase, EnvironmentKind, MigrationRun
from environments.schema.history.graph import History
from environments.schema.run import request
from portal.jobs import Finished, JobStatus, Outcome, Requeue

# How long an interrupted run waits for its database before a person is asked.
PATIENCE_SECONDS = 3600.0
REPEATS = 3  # of a run whose database went away, before a person is asked


def not_started(job: MigrationRun, why: str, now: datetime) -> Outcome:
    """End a run of which nothing was begun by this look; after an earlier, interrupted one nobody
    knows, and a person must look.
    """
    if job.before is None:
        return refused(why)
    if (now - job.created_at).total_seconds() < PATIENCE_SECONDS:
        return Requeue(10, f"The run was interrupted and the database cannot be read yet: {why}")
    return Finished(
        JobStatus.NEEDS_PERSON, f"The run was interrupted, and its result is not known: {why}"
    )


def settle(
    job: MigrationRun, mirror: Mirror, history: History, outcome: request.Outcome
) -> Outcome:
    """Write what a run came to: what staging ran, where the database is, how the job goes on."""
    staging = job.environment.kind == EnvironmentKind.STAGING
    if staging and outcome.status != "busy" and outcome.after is not None:
        remember_staged(job, mirror, history, outcome.after)
    return _ended(job, history, outcome)


def _applied(job: MigrationRun, history: History, outcome: request.Outcome) -> list[list[object]]:
    """Return what was planned and has come true, with seconds; also by a look that was killed."""
    seconds = {revision: took and round(took, 3) for revision, took in outcome.applied}
    behind = history.ancestors(
        revision for revision in outcome.after or () if revision in history.revisions
    )
    forward = job.direction == Direction.UPGRADE
    return [
        [planned["id"], seconds.get(planned["id"])]
        for planned in job.planned
        if (planned["id"] in behind) == forward
    ]


def _ended(job: MigrationRun, history: History, outcome: request.Outcome) -> Outcome:
    """Write what the database says after the run, and how the job goes on from there."""
    changes: dict[str, object] = {
        "after": None if outcome.after is None else list(outcome.after),
        "failed_revision": outcome.failed_revision or "",
        "failed_statement": (outcome.failed_statement or "")[:10_000],
        "invalid_indexes": list(outcome.invalid_indexes),
        "kept": list(outcome.kept),
        "progress": {},
        "executed": {**job.executed, **outcome.executed},
    }
    if outcome.after is not None:
        changes["applied"] = _applied(job, history, outcome)
        EnvironmentDatabase.objects.filter(
            environment=job.environment_id, database=job.database_id
        ).update(revisions=list(outcome.after), revisions_at=timezone.now(), revisions_problem="")
    job.keep(**changes)
    if outcome.status == "busy":
        return Requeue(3, "Another migration holds this database; waiting for it.")
    if outcome.repeatable and job.crashes <= REPEATS:
        repeated = "What had begun was rolled back; the run is repeated."
        return Requeue(5.0 * job.crashes, f"{outcome.sentence} {repeated}", errored=True)
    known = outcome.status in ("succeeded", "failed", "cancelled")
    status = JobStatus(outcome.status) if known else JobStatus.NEEDS_PERSON
    return Finished(status, outcome.sentence)
