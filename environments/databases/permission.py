"""Why a migration run may not start: staging has not run it, nobody agreed to it, or nothing
waits for it.
"""

from collections.abc import Iterable, Sequence

from environments.clients import withhold
from environments.git.repository import Mirror
from environments.models import (
    Direction,
    EnvironmentKind,
    MigrationRun,
    Runner,
    StagedRevision,
    unknown_staging,
)
from environments.schema.history import identity
from environments.schema.history import reader as history_reader
from environments.schema.history.status import PROVE
from portal.jobs import Finished, JobStatus, Outcome, Requeue
from portal.outbound.http import WatchOnly

WATCHING_SECONDS = 15.0  # between two looks of a run that may not write
APPROVE = "releases.approve_release"


def watched(job: MigrationRun, pending: Sequence[history_reader.Revision]) -> Outcome | None:
    """Stop where the project only watches: what would run is recorded, and the run waits until the
    database is there by somebody else's doing.
    """
    if not pending:
        return None
    revisions = [one.id for one in pending]
    where = job.database.of(job.environment)
    doing = f"{job.direction} {where}: {', '.join(revisions)}"
    content = {"database": str(job.database), "revisions": revisions, "commit": job.commit}
    try:
        withhold(job.environment.project, "database", doing, content)
    except WatchOnly as withheld:
        if job.cancel_requested_at:
            return Finished(JobStatus.CANCELLED, "The project is only watched: nothing was run.")
        return Requeue(WATCHING_SECONDS, str(withheld))
    return None


def turn(job: MigrationRun) -> Outcome | None:
    """Let one database go after the other: two runs on Railway would set one command, and a log
    tells of one run.
    """
    if job.cancel_requested_at or job.before is not None:
        return None
    others = MigrationRun.objects.open().filter(environment=job.environment, pk__lt=job.pk)
    earlier = (
        others.exclude(database=job.database).select_related("database").order_by("pk").first()
    )
    return (
        Requeue(1, f"Waits for run {earlier.pk} of {earlier.database} to end.") if earlier else None
    )


def pending_revisions(
    job: MigrationRun, mirror: Mirror, history: history_reader.History, current: Sequence[str]
) -> tuple[history_reader.Revision, ...]:
    """Return what the run is to do from `current`, in its order, bound to all that each revision
    can read.
    """
    if job.direction == Direction.DOWNGRADE:
        return bound_files(job, mirror, history, history.back(current, job.target[0]))
    return bound_files(job, mirror, history, history.between(set(current), history.heads))


def bound_files(
    job: MigrationRun,
    mirror: Mirror,
    history: history_reader.History,
    files: Iterable[history_reader.Revision],
) -> tuple[history_reader.Revision, ...]:
    return identity.bound(
        mirror, job.commit, history, files, command=job.database.runs_project_code
    )


def why_not(
    job: MigrationRun,
    mirror: Mirror,
    history: history_reader.History,
    current: tuple[str, ...],
    start: tuple[str, ...],
    invalid: tuple[str, ...],
) -> Finished | None:
    """Return why this run may not start, if it may not."""
    environment, problem = job.environment, next(iter(history.problems), None)
    if problem:
        return Finished(JobStatus.FAILED, f"Nothing was changed: {problem.sentence}")
    unknown = [one for one in current if one not in history.revisions]
    if unknown:
        at = f"{job.database.of(environment)} is at {', '.join(unknown)}"
        message = f"{at}, which commit {job.commit[:7]} does not know. {PROVE}"
        return Finished(JobStatus.FAILED, f"Nothing was changed: {message}")
    if job.before is not None and invalid and job.runner != Runner.VERIFY:
        message = (
            f"An interrupted run left invalid indexes: {', '.join(invalid)}. Drop them, then start"
            " a new run."
        )
        MigrationRun.objects.filter(pk=job.pk).update(
            invalid_indexes=list(invalid), after=list(current)
        )
        return Finished(JobStatus.NEEDS_PERSON, message)
    if job.direction == Direction.DOWNGRADE and (
        ended := _not_agreed(job, mirror, history, current)
    ):
        return ended
    if environment.kind == EnvironmentKind.PRODUCTION:
        return _not_proven(job, pending_revisions(job, mirror, history, start))
    return None


def _not_agreed(
    job: MigrationRun, mirror: Mirror, history: history_reader.History, current: tuple[str, ...]
) -> Finished | None:
    """Return why the run may not start: a downgrade undoes exactly the one file that two people
    agreed on.
    """
    agreed = [(one["id"], one["sha256"]) for one in job.planned]
    try:
        pending = [(one.id, one.sha256) for one in pending_revisions(job, mirror, history, current)]
    except history_reader.HistoryError as error:
        return Finished(JobStatus.FAILED, f"Nothing was changed: {error}")
    done = job.before is not None and not pending  # a look that was killed had finished it
    if len(agreed) != 1 or (pending != agreed and not done):
        would = ", ".join(one for one, _ in pending) or "nothing"
        message = (
            f"From {', '.join(current) or 'no revision'} this would undo {would}, which differs "
            "from the approved downgrade."
        )
        return Finished(JobStatus.FAILED, f"Nothing was changed: {message}")
    if job.environment.kind == EnvironmentKind.PRODUCTION and (
        message := unknown_staging(job.database)
    ):
        return Finished(JobStatus.FAILED, f"Nothing was changed: {message}")
    return None


def _not_proven(job: MigrationRun, pending: Sequence[history_reader.Revision]) -> Finished | None:
    """Production runs only what staging ran: the same revisions with the same file hashes."""
    proven = set(
        StagedRevision.objects.filter(
            database=job.database, revision__in=[one.id for one in pending]
        ).values_list("revision", "sha256")
    )
    missing = [one.id for one in pending if (one.id, one.sha256) not in proven]
    if not missing:
        return None
    message = (
        f"Staging has not run these files successfully: {', '.join(missing)}. Migrate staging"
        " first."
    )
    return Finished(JobStatus.FAILED, f"Nothing was changed: {message}")
