"""Which SQL production may send for each revision: the SQL that staging sent."""

from collections.abc import Sequence

from django.utils import timezone

from environments.databases.permission import bound_files
from environments.git.repository import Mirror
from environments.models import Direction, EnvironmentKind, MigrationRun, Runner, StagedRevision
from environments.schema.history.graph import History
from environments.schema.run.alembic_env.statements import MAX_STATEMENTS, READS, key_of


def remember_staged(
    job: MigrationRun, mirror: Mirror, history: History, after: Sequence[str]
) -> None:
    """Count what is in effect in staging's database as run there: what this run brought, with this
    content.

    What was there before counts only when it is met for the first time: a file that was edited
    after staging ran it has never run.
    """
    now, project = timezone.now(), job.environment.project
    base = {"project": project, "database": job.database, "run": job, "at": now}
    behind = history.ancestors(revision for revision in after if revision in history.revisions)
    staged = StagedRevision.objects.filter(database=job.database)
    before = set(staged.values_list("revision", flat=True)) - {
        planned["id"] for planned in job.planned
    }
    fresh = behind - before
    revisions = [revision for id, revision in history.revisions.items() if id in fresh]
    rows = [
        StagedRevision(**base, revision=file.id, sha256=file.sha256)
        for file in bound_files(job, mirror, history, revisions)
    ]
    StagedRevision.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)


def expected_statements(job: MigrationRun) -> dict[str, list[str]]:
    """Return what production may send of each revision: what staging sent, where the SQL does not
    depend on the data.

    A revision that cannot be rendered without a database asks it what to do, so its statements are
    only recorded.
    """
    if job.environment.kind != EnvironmentKind.PRODUCTION or job.direction != Direction.UPGRADE:
        return {}
    files = {(planned["id"], planned["sha256"]) for planned in job.planned}
    rows = StagedRevision.objects.filter(
        database=job.database, revision__in=[id for id, _ in files]
    )
    expected = {}
    for row in rows.select_related("run").defer("run__log"):
        if (row.revision, row.sha256) in files and row.rendered and not row.rendered.get("kind"):
            planned = [key_of(statement["sql"]) for statement in row.rendered["statements"]]
            if (sent := _sent(job, row)) is not None:
                expected[row.revision] = [*sent, *planned]
    return expected


def _sent(job: MigrationRun, row: StagedRevision) -> list[str] | None:
    """Return the keys of what staging sent of a revision; None where nothing can be held against
    it.

    A command's `env.py` sends statements of its own, which belong to the run. Where nothing was
    recorded because staging had the revision before, our own runner is held to the plan, and may
    read.
    """
    recorded = row.run.executed
    if any(len(statements) >= MAX_STATEMENTS for statements in recorded.values()):
        return None  # there may have been more than were kept
    if job.runner == Runner.COMMAND:
        return [key for statements in recorded.values() for key, _ in statements] or None
    if row.revision in recorded:
        return [key for key, _ in recorded[row.revision]]
    return [READS] if job.runner == Runner.PORTAL else None
