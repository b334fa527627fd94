"""The step that migrates one database. It reads the database, runs Alembic at most once, and
trusts only what the database reports.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from django.db.models import F, TextField, Value
from django.db.models.functions import Concat

from environments.databases import backup, pre_deploy_command, railway_verify, run_progress, runners
from environments.databases.address import NoDatabase, instance_of, url_of
from environments.databases.expected_sql import expected_statements
from environments.databases.permission import (
    APPROVE,
    pending_revisions,
    refused,
    turn,
    watched,
    why_not,
)
from environments.databases.project_environment import readable, secrets_of
from environments.databases.run_result import PATIENCE_SECONDS, not_started, settle
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.models import Direction, MigrationRun, Runner, place_of
from environments.schema.history import reader as history_reader
from environments.schema.history.graph import History
from environments.schema.history.revision import Revision
from environments.schema.run import address, database, request
from portal.configuration.signing import may_sign
from portal.jobs import Finished, JobStatus, Outcome, Requeue, holds
from portal.jobs.steps import patiently
from portal.outbound.http import ApiError


def migrate(job: MigrationRun, *, now: datetime) -> Outcome:
    """Look at the database, then run Alembic once: to the commit's heads, or one revision back.

    What the database reports decides whether a run that was cut off is repeated.
    """
    begins_downgrade = job.direction == Direction.DOWNGRADE and job.before is None
    if begins_downgrade and not may_sign(job.approved_by, APPROVE):
        who = job.approved_by or "Whoever"
        return refused(f"{who} approved this downgrade but may no longer approve one.")
    if waits := turn(job):
        return waits
    try:
        mirror = mirror_of(job.environment.project)
        if not mirror.has(job.commit):
            mirror.fetch()
        history = history_reader.read(mirror, job.commit, job.database.alembic)
        url = url_of(place_of(job.environment, job.database))
        current = database.current(url, table=job.database.version_table)
        invalid = database.invalid_indexes(url)
    except (ApiError, GitError, NoDatabase, address.DatabaseError) as error:
        return not_started(job, str(error), now)
    start = _start(job, history, current)
    if refusal := why_not(job, mirror, history, current, start, invalid):
        return _after(job, refusal)
    pending = pending_revisions(job, mirror, history, start)
    _plan(job, history, start, pending)
    if job.runner == Runner.VERIFY:
        return _verify(job, mirror, history, current, url, now)
    if outcome := watched(job, pending):
        return outcome
    tell, alive = _teller(job), partial(_alive, job)
    if pending and (ended := backup.before(job, url, tell=tell, alive=alive)):
        return _after(job, ended)
    came_to = runners.run(
        job,
        mirror,
        history,
        url,
        expected=expected_statements(job),
        on_lines=tell,
        on_progress=run_progress.teller(job),
        alive=alive,
    )
    return _after(job, settle(job, mirror, history, came_to))


def _start(job: MigrationRun, history: History, current: tuple[str, ...]) -> tuple[str, ...]:
    """Return where the run begins: what the database reports, or, where Railway may have migrated
    it already, did report.
    """
    if job.runner != Runner.VERIFY:
        return current
    if job.before is not None:
        return tuple(job.before)
    runs = MigrationRun.objects.filter(environment=job.environment, database=job.database)
    past = runs.filter(after__isnull=False).exclude(pk=job.pk)
    last = past.order_by("-pk").values_list("after", flat=True).first()
    known = job.found or last or place_of(job.environment, job.database).revisions
    was = tuple(revision for revision in known or () if revision in history.revisions)
    now = history.ancestors(revision for revision in current if revision in history.revisions)
    return was if known and set(was) <= now else current


def _verify(
    job: MigrationRun,
    mirror: Mirror,
    history: History,
    current: tuple[str, ...],
    url: str,
    now: datetime,
) -> Outcome:
    """Look whether Railway has migrated the database; run nothing."""
    if job.cancel_requested_at:
        return Finished(
            JobStatus.CANCELLED, "The portal stopped watching; the deployment continues on Railway."
        )

    def look() -> Requeue | Finished | request.Outcome:
        secrets = secrets_of(url, readable(instance_of(job.environment, job.database)))
        return railway_verify.verify(job, history, current, url, secrets=secrets, now=now)

    try:
        outcome = patiently(
            look,
            give_up=_not_verified,
            late=(now - job.created_at).total_seconds() > PATIENCE_SECONDS,
            trouble=(ApiError, address.DatabaseError),
            final=(),
            pause=10,
            say="Railway cannot be read yet: {}",
        )
    except NoDatabase as error:
        outcome = _not_verified(error)
    if isinstance(outcome, (Requeue, Finished)):
        return outcome
    return settle(job, mirror, history, outcome)


def _not_verified(error: Exception) -> Finished:
    return Finished(JobStatus.NEEDS_PERSON, f"It is not known whether Railway migrates: {error}")


def _after(job: MigrationRun, outcome: Outcome) -> Outcome:
    """Put back what the run has set on Railway, however it ends."""
    if not isinstance(outcome, Finished) or not job.railway:
        return outcome
    left = pre_deploy_command.put_back(job)
    return Finished(outcome.status, f"{outcome.sentence} {left}") if left else outcome


def _plan(
    job: MigrationRun, history: History, current: tuple[str, ...], pending: Sequence[Revision]
) -> None:
    """Write down what is about to happen before it does.

    The first look's `before` and plan stay.
    """
    if job.before is not None:
        return
    changes: dict[str, object] = {"before": list(current)}
    if job.direction == Direction.UPGRADE:  # else people agreed on the target and its file
        files = [
            {"id": revision.id, "path": revision.path, "sha256": revision.sha256}
            for revision in pending
        ]
        changes |= {"target": list(history.heads), "planned": files}
    job.keep(**changes)


def _teller(job: MigrationRun) -> Callable[[list[str]], None]:
    """Return what appends lines to the run's log."""

    def on_lines(lines: list[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        MigrationRun.objects.filter(pk=job.pk, fence=job.fence).update(
            log=Concat(F("log"), Value(text), output_field=TextField()),
            log_bytes=F("log_bytes") + len(text),
        )

    return on_lines


def _alive(job: MigrationRun) -> bool:
    """Return whether the run is still wanted, and this worker's."""
    wanted = MigrationRun.objects.filter(pk=job.pk, cancel_requested_at=None).exists()
    return wanted and holds(job)
