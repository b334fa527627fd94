"""The step that migrates one database: looks at it, runs at most once, believes only what it
reports.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import F, TextField, Value
from django.db.models.functions import Concat
from django.utils import timezone

from environments.clients import withhold
from environments.clones.clone import mirror_of
from environments.databases import backup, railway_runner, run_progress, runners
from environments.databases.address import NoDatabase, url_of
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.models import (
    Direction,
    EnvironmentDatabase,
    EnvironmentKind,
    MigrationRun,
    Runner,
    StagedRevision,
    place_of,
    unknown_staging,
)
from environments.schema.history import identity
from environments.schema.history import reader as history_reader
from environments.schema.history.status import PROVE
from environments.schema.run import database, runner
from environments.schema.run.alembic_env.statements import MAX_STATEMENTS, READS, key_of
from portal.configuration.signing import may_sign
from portal.jobs import Finished, JobStatus, Outcome, Requeue, holds
from portal.jobs.steps import patiently
from portal.outbound.http import ApiError, WatchOnly

# How long an interrupted run waits for its database before a person is asked.
PATIENCE_SECONDS = 3600.0
WATCHING_SECONDS = 15.0  # between two looks of a run that may not write
APPROVE = "releases.approve_release"


def migrate(job: MigrationRun, *, now: datetime) -> Outcome:
    """One look at the database, then at most one run of Alembic: to the commit's heads, or one
    revision back.

    A run that was cut off is looked at before anything is repeated: what the database reports
    decides.
    """
    if (
        job.direction == Direction.DOWNGRADE
        and job.before is None
        and not may_sign(job.approved_by, APPROVE)
    ):
        who = job.approved_by or "Whoever"
        return Finished(
            JobStatus.FAILED,
            f"Nothing was changed: {who} approved this downgrade but may no longer approve one.",
        )
    if waits := _waits(job):
        return waits
    try:
        mirror = mirror_of(job.environment.project)
        if not mirror.has(job.commit):
            mirror.fetch()
        history = history_reader.read(mirror, job.commit, job.database.alembic)
        url = url_of(place_of(job.environment, job.database))
        current = database.current(url, table=job.database.version_table)
        invalid = database.invalid_indexes(url)
    except (ApiError, GitError, NoDatabase, database.DatabaseError) as error:
        return _not_started(job, str(error), now)
    start = _start(job, history, current)
    refusal = _refusal(job, mirror, history, current, start, invalid)
    if refusal:
        return _after(job, refusal)
    pending = _pending(job, mirror, history, start)
    _plan(job, history, start, pending)
    if job.runner == Runner.VERIFY:
        return _verify(job, mirror, history, current, url, now)
    if watched := _watched(job, pending):
        return watched
    if pending and (ended := backup.before(job, url, tell=_teller(job), alive=_alive(job))):
        return _after(job, ended)
    return _after(job, _execute(job, mirror, history, url))


def _watched(job: MigrationRun, pending: Sequence[history_reader.Revision]) -> Outcome | None:
    """Where the project only watches: what would run is recorded, and the run waits until the
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


def _waits(job: MigrationRun) -> Outcome | None:
    """One database after the other: two runs on Railway would set one command, and a log tells
    of one run.
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


def _start(
    job: MigrationRun, history: history_reader.History, current: tuple[str, ...]
) -> tuple[str, ...]:
    """Where the run begins: what the database reports, or, where Railway may have migrated it
    already, did report.
    """
    if job.runner != Runner.VERIFY:
        return current
    if job.before is not None:
        return tuple(job.before)
    past = MigrationRun.objects.filter(
        environment=job.environment, database=job.database, after__isnull=False
    )
    last = past.exclude(pk=job.pk).order_by("-pk").values_list("after", flat=True).first()
    known = job.found or last or place_of(job.environment, job.database).revisions
    was = tuple(one for one in known or () if one in history.revisions)
    now = history.ancestors(one for one in current if one in history.revisions)
    return was if known and set(was) <= now else current


def _verify(
    job: MigrationRun,
    mirror: Mirror,
    history: history_reader.History,
    current: tuple[str, ...],
    url: str,
    now: datetime,
) -> Outcome:
    """Looks whether Railway has migrated the database; runs nothing."""
    if job.cancel_requested_at:
        return Finished(
            JobStatus.CANCELLED, "The portal stopped watching; the deployment continues on Railway."
        )

    def look() -> Requeue | Finished | runner.Outcome:
        place = railway_runner.place_of(job.environment, job.database)
        secrets = runners.secrets_of(url, railway_runner.variables(job.environment.project, place))
        return railway_runner.verify(job, history, current, url, secrets=secrets, now=now)

    try:
        found = patiently(
            look,
            give_up=_not_verified,
            late=(now - job.created_at).total_seconds() > PATIENCE_SECONDS,
            trouble=(ApiError, database.DatabaseError),
            final=(),
            pause=10,
            say="Railway cannot be read yet: {}",
        )
    except NoDatabase as error:
        found = _not_verified(error)
    if isinstance(found, (Requeue, Finished)):
        return found
    return _settle(job, mirror, history, found)


def _not_verified(error: Exception) -> Finished:
    return Finished(JobStatus.NEEDS_PERSON, f"It is not known whether Railway migrates: {error}")


def _after(job: MigrationRun, outcome: Outcome) -> Outcome:
    """What a run has set on Railway is put back when it ends, however it does."""
    if not isinstance(outcome, Finished) or not job.railway:
        return outcome
    left = railway_runner.put_back(job)
    return Finished(outcome.status, f"{outcome.sentence} {left}") if left else outcome


def _pending(
    job: MigrationRun, mirror: Mirror, history: history_reader.History, current: Sequence[str]
) -> tuple[history_reader.Revision, ...]:
    """What the run is to do from `current`, in its order, bound to all that each revision can
    read.
    """
    if job.direction == Direction.DOWNGRADE:
        return _bound(job, mirror, history, history.back(current, job.target[0]))
    return _bound(job, mirror, history, history.between(set(current), history.heads))


def _bound(
    job: MigrationRun,
    mirror: Mirror,
    history: history_reader.History,
    files: Iterable[history_reader.Revision],
) -> tuple[history_reader.Revision, ...]:
    return identity.bound(
        mirror, job.commit, history, files, command=job.database.runs_project_code
    )


def _not_started(job: MigrationRun, why: str, now: datetime) -> Outcome:
    """Nothing was begun by this look; after an earlier, interrupted one nobody knows, and a
    person must look.
    """
    if job.before is None:
        return Finished(JobStatus.FAILED, f"Nothing was changed: {why}")
    if (now - job.created_at).total_seconds() < PATIENCE_SECONDS:
        return Requeue(10, f"The run was interrupted and the database cannot be read yet: {why}")
    return Finished(
        JobStatus.NEEDS_PERSON, f"The run was interrupted, and its result is not known: {why}"
    )


def _refusal(
    job: MigrationRun,
    mirror: Mirror,
    history: history_reader.History,
    current: tuple[str, ...],
    start: tuple[str, ...],
    invalid: tuple[str, ...],
) -> Finished | None:
    """Why this run may not start, if it may not."""
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
        return _not_proven(job, _pending(job, mirror, history, start))
    return None


def _not_agreed(
    job: MigrationRun, mirror: Mirror, history: history_reader.History, current: tuple[str, ...]
) -> Finished | None:
    """A downgrade undoes exactly the one file that two people agreed on, or nothing."""
    agreed = [(one["id"], one["sha256"]) for one in job.planned]
    try:
        pending = [(one.id, one.sha256) for one in _pending(job, mirror, history, current)]
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


def _remember_staged(
    job: MigrationRun, mirror: Mirror, history: history_reader.History, after: Sequence[str]
) -> None:
    """What is in effect in staging's database counts as run there: what this run brought, with this
    content.

    What was there before counts only when it is met for the first time: a file that was edited
    after staging ran it has never run.
    """
    now, project = timezone.now(), job.environment.project
    base = {"project": project, "database": job.database, "run": job, "at": now}
    behind = history.ancestors(one for one in after if one in history.revisions)
    ran = {one["id"] for one in job.planned}
    known = set(
        StagedRevision.objects.filter(database=job.database).values_list("revision", flat=True)
    )
    found = [
        revision
        for revision in history.revisions.values()
        if revision.id in behind and (revision.id in ran or revision.id not in known)
    ]
    StagedRevision.objects.bulk_create(
        [
            StagedRevision(**base, revision=one.id, sha256=one.sha256)
            for one in _bound(job, mirror, history, found)
        ],
        ignore_conflicts=True,
        batch_size=1000,
    )


def _plan(
    job: MigrationRun,
    history: history_reader.History,
    current: tuple[str, ...],
    pending: Sequence[history_reader.Revision],
) -> None:
    """Writes down what is about to happen before it does.

    The first look's `before` and plan stay.
    """
    if job.before is not None:
        return
    job.before = list(current)
    if job.direction == Direction.DOWNGRADE:  # its target and its file are what people agreed on
        job.save(update_fields=["before"])
        return
    job.target = list(history.heads)
    job.planned = [{"id": one.id, "path": one.path, "sha256": one.sha256} for one in pending]
    job.save(update_fields=["target", "planned", "before"])


def _teller(job: MigrationRun) -> Callable[[list[str]], None]:
    """What appends lines to the run's log."""

    def on_lines(lines: list[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        MigrationRun.objects.filter(pk=job.pk, fence=job.fence).update(
            log=Concat(F("log"), Value(text), output_field=TextField()),
            log_bytes=F("log_bytes") + len(text),
        )

    return on_lines


def _alive(job: MigrationRun) -> Callable[[], bool]:
    """What says whether the run is still wanted, and this worker's."""

    def alive() -> bool:
        wanted = MigrationRun.objects.filter(pk=job.pk, cancel_requested_at=None).exists()
        return wanted and holds(job)

    return alive


def _execute(
    job: MigrationRun, mirror: Mirror, history: history_reader.History, url: str
) -> Outcome:
    tell, alive = _teller(job), _alive(job)
    outcome = runners.run(
        job,
        mirror,
        history,
        url,
        expected=_expected(job),
        on_lines=tell,
        on_progress=run_progress.teller(job),
        alive=alive,
    )
    return _settle(job, mirror, history, outcome)


def _expected(job: MigrationRun) -> dict[str, list[str]]:
    """What production may send of each revision: what staging sent, where the SQL does not depend
    on the data.

    A revision that cannot be rendered without a database asks it what to do, so its statements are
    only recorded.
    """
    if job.environment.kind != EnvironmentKind.PRODUCTION or job.direction != Direction.UPGRADE:
        return {}
    files = {(one["id"], one["sha256"]) for one in job.planned}
    rows = StagedRevision.objects.filter(
        database=job.database, revision__in=[id for id, _ in files]
    )
    expected = {}
    for row in rows.select_related("run").defer("run__log"):
        if (row.revision, row.sha256) in files and row.rendered and not row.rendered.get("kind"):
            planned = [key_of(one["sql"]) for one in row.rendered["statements"]]
            if (sent := _sent(job, row)) is not None:
                expected[row.revision] = [*sent, *planned]
    return expected


def _sent(job: MigrationRun, row: StagedRevision) -> list[str] | None:
    """The keys of what staging sent of a revision; None where nothing can be held against it.

    A command's `env.py` sends statements of its own, which belong to the run. Where nothing was
    recorded because staging had the revision before, our own runner is held to the plan, and may
    read.
    """
    recorded = row.run.executed
    if any(len(one) >= MAX_STATEMENTS for one in recorded.values()):
        return None  # there may have been more than were kept
    if job.runner == Runner.COMMAND:
        return [key for statements in recorded.values() for key, _ in statements] or None
    if row.revision in recorded:
        return [key for key, _ in recorded[row.revision]]
    return [READS] if job.runner == Runner.PORTAL else None


def _settle(
    job: MigrationRun, mirror: Mirror, history: history_reader.History, outcome: runner.Outcome
) -> Outcome:
    """What a run came to, on the rows: what staging has run, where the database is, how the job
    goes on.
    """
    if (
        outcome.status != "busy"
        and outcome.after is not None
        and job.environment.kind == EnvironmentKind.STAGING
    ):
        _remember_staged(job, mirror, history, outcome.after)
    return _ended(job, history, outcome)


def _applied(
    job: MigrationRun, history: history_reader.History, outcome: runner.Outcome
) -> list[list[Any]]:
    """What was planned and has come true, with seconds: also what a look that was killed has
    brought.
    """
    seconds = {revision: took and round(took, 3) for revision, took in outcome.applied}
    behind = history.ancestors(one for one in outcome.after or () if one in history.revisions)
    forward = job.direction == Direction.UPGRADE
    return [
        [one["id"], seconds.get(one["id"])]
        for one in job.planned
        if (one["id"] in behind) == forward
    ]


def _ended(job: MigrationRun, history: history_reader.History, outcome: runner.Outcome) -> Outcome:
    """Writes what the database says after the run, and how the job goes on from there."""
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
    MigrationRun.objects.filter(pk=job.pk, fence=job.fence).update(**changes)
    for name, value in changes.items():
        setattr(job, name, value)
    if outcome.after is not None:
        EnvironmentDatabase.objects.filter(
            environment=job.environment_id, database=job.database_id
        ).update(revisions=list(outcome.after), revisions_at=timezone.now(), revisions_problem="")
    if outcome.status == "busy":
        return Requeue(3, "Another migration holds this database; waiting for it.")
    statuses = {
        "succeeded": JobStatus.SUCCEEDED,
        "failed": JobStatus.FAILED,
        "cancelled": JobStatus.CANCELLED,
    }
    return Finished(statuses.get(outcome.status, JobStatus.NEEDS_PERSON), outcome.sentence)
