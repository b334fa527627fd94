"""Why a migration run may not start: not run on staging, not agreed to, or another is first."""

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
from environments.schema.history.graph import History
from environments.schema.history.revision import HistoryError, Revision
from environments.schema.history.status import PROVE
from portal.jobs import Finished, JobStatus, Outcome, Requeue
from portal.outbound.http import WatchOnly

WATCHING_SECONDS = 15.0  # between two looks of a run that may not write
APPROVE = "releases.approve_release"


def refused(why: str) -> Finished:
    """Return the end of a run of which nothing was begun."""
    return Finished(JobStatus.FAILED, f"Nothing was changed: {why}")


def watched(job: MigrationRun, pending: Sequence[Revision]) -> Outcome | None:
    """Stop where the project only watches: what would run is recorded, and the run waits until the
    database is there by somebody else's doing.
    """
    if not pending:
        return None
    revisions = [revision.id for revision in pending]
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
    before = MigrationRun.objects.open().filter(environment=job.environment, pk__lt=job.pk)
    others = before.exclude(database=job.database).select_related("database")
    if earlier := others.order_by("pk").first():
        return Requeue(1, f"Waits for run {earlier.pk} of {earlier.database} to end.")
    return None


def pending_revisions(
    job: MigrationRun, mirror: Mirror, history: History, current: Sequence[str]
) -> tuple[Revision, ...]:
    """Return what the run is to do from `current`, in order, bound to all that each can read."""
    if job.direction == Direction.DOWNGRADE:
        files = history.back(current, job.target[0])
    else:
        files = history.between(set(current), history.heads)
    return bound_files(job, mirror, history, files)


def bound_files(
    job: MigrationRun, mirror: Mirror, history: History, files: Iterable[Revision]
) -> tuple[Revision, ...]:
    runs_code = job.database.runs_project_code
    return identity.bound(mirror, job.commit, history, files, command=runs_code)


def why_not(
    job: MigrationRun,
    mirror: Mirror,
    history: History,
    current: tuple[str, ...],
    start: tuple[str, ...],
    invalid: tuple[str, ...],
) -> Finished | None:
    """Return why this run may not start, if it may not."""
    if history.problems:
        return refused(history.problems[0].sentence)
    if unknown := [revision for revision in current if revision not in history.revisions]:
        at = f"{job.database.of(job.environment)} is at {', '.join(unknown)}"
        return refused(f"{at}, which commit {job.commit[:7]} does not know. {PROVE}")
    if job.before is not None and invalid and job.runner != Runner.VERIFY:
        job.keep(invalid_indexes=list(invalid), after=list(current))
        left = f"An interrupted run left invalid indexes: {', '.join(invalid)}."
        return Finished(JobStatus.NEEDS_PERSON, f"{left} Drop them, then start a new run.")
    backwards = job.direction == Direction.DOWNGRADE
    if backwards and (ended := _not_agreed(job, mirror, history, current)):
        return ended
    if job.environment.kind == EnvironmentKind.PRODUCTION:
        return _not_proven(job, pending_revisions(job, mirror, history, start))
    return None


def _not_agreed(
    job: MigrationRun, mirror: Mirror, history: History, current: tuple[str, ...]
) -> Finished | None:
    """Return why a downgrade may not start: it undoes exactly the file that was agreed on."""
    agreed = [(planned["id"], planned["sha256"]) for planned in job.planned]
    try:
        pending = [
            (revision.id, revision.sha256)
            for revision in pending_revisions(job, mirror, history, current)
        ]
    except HistoryError as error:
        return refused(str(error))
    done = job.before is not None and not pending  # a look that was killed had finished it
    if len(agreed) != 1 or (pending != agreed and not done):
        would = ", ".join(id for id, _ in pending) or "nothing"
        return refused(
            f"From {', '.join(current) or 'no revision'} this would undo {would}, which differs "
            "from the approved downgrade."
        )
    in_production = job.environment.kind == EnvironmentKind.PRODUCTION
    why = unknown_staging(job.database) if in_production else ""
    return refused(why) if why else None


def _not_proven(job: MigrationRun, pending: Sequence[Revision]) -> Finished | None:
    """Production runs only what staging ran: the same revisions with the same file hashes."""
    ids = [revision.id for revision in pending]
    staged = StagedRevision.objects.filter(database=job.database, revision__in=ids)
    proven = set(staged.values_list("revision", "sha256"))
    missing = [revision.id for revision in pending if (revision.id, revision.sha256) not in proven]
    if not missing:
        return None
    files = f"Staging has not run these files successfully: {', '.join(missing)}."
    return refused(f"{files} Migrate staging first.")
