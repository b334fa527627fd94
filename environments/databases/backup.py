"""Keep the rows that a risky migration of production may lose, before it runs: a backup of the
volume by Railway, where the database has one there; else `pg_dump` of the tables it touches.

What `pg_dump` wrote lies in VAR_DIR/backups, readable by the portal's user alone, for
`BACKUP_DAYS`. The run holds where, and how to bring it back.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from environments.databases import volume_backup
from environments.models import Direction, EnvironmentKind, MigrationPlan, MigrationRun, Runner
from environments.schema.downgrade.data_loss import dropped
from environments.schema.plan.render import Step, steps_from_json
from environments.schema.plan.table_stats import many
from environments.schema.rehearsal.dump import Cancelled, DumpError, dump_rows
from environments.schema.run import address, database
from portal.jobs import Finished, JobStatus, Outcome, Requeue
from portal.outbound.parsing import JsonObject

WHOLE = "*"  # what is touched is not known
PLANS = 20  # so many plans are looked through for what is known of a revision
_LOSING = {"data-change", "data-loss", "truncate", "drop-table", "drop-column", "column-type"}
_UNKNOWN = {"cascade", "unrendered", "opaque", "calls", "unknown"}


def before(
    job: MigrationRun, url: str, *, tell: Callable[[list[str]], None], alive: Callable[[], bool]
) -> Outcome | None:
    """Take the backup that this run needs, once; return how the job goes on while it is being
    taken, or ends where it could not be. None: the run may begin.

    `tell` gets lines for the run's log.
    """
    if (
        job.environment.kind != EnvironmentKind.PRODUCTION
        or job.runner == Runner.VERIFY
        or job.backup.get("sentence")
    ):
        return None
    touched = tables_of(job)
    if not touched or settings.BACKUP_MAX_MB <= 0:
        return None
    by_railway = volume_backup.take(job, now=timezone.now())
    if isinstance(by_railway, Requeue):
        if not alive():
            return _unchanged(
                job, JobStatus.CANCELLED, "the run was cancelled while a backup was taken."
            )
        return by_railway
    if by_railway.kept:
        _keep(job, by_railway.kept, tell)
        return None
    if by_railway.why:
        tell([f"Railway took no backup of the volume: {by_railway.why} pg_dump does it instead."])
    try:
        kept = _take(job, url, touched, alive)
    except Cancelled:
        return _unchanged(
            job, JobStatus.CANCELLED, "the run was cancelled while a backup was taken."
        )
    except (DumpError, address.DatabaseError, OSError) as error:
        if "version mismatch" in str(error):
            kept = {"at": timezone.now().isoformat(), "sentence": f"No backup was taken: {error}"}
            _keep(job, kept, tell)
            return None
        message = f"the backup before it could not be taken: {error}"
        return _unchanged(
            job, JobStatus.FAILED, f"{message} Retry, or set BACKUP_MAX_MB=0 and take one manually."
        )
    _keep(job, kept, tell)
    return None


def _unchanged(job: MigrationRun, status: JobStatus, why: str) -> Finished:
    """The run ends where it began, and its row says so."""
    job.after = job.before
    MigrationRun.objects.filter(pk=job.pk).update(after=job.after)
    return Finished(status, f"Nothing was changed: {why}")


def _keep(job: MigrationRun, kept: JsonObject, tell: Callable[[list[str]], None]) -> None:
    job.backup = kept
    MigrationRun.objects.filter(pk=job.pk).update(backup=kept)
    tell([kept["sentence"], *([kept["restore"]] if kept.get("restore") else [])])


def tables_of(job: MigrationRun) -> list[str]:
    """Return the tables whose rows the run may lose or change; `WHOLE` among them where that is
    not known.
    """
    files = {one["id"]: one["sha256"] for one in job.planned}
    plans = MigrationPlan.objects.filter(database=job.database, status=JobStatus.SUCCEEDED)
    steps: dict[str, Step] = {}
    risks: dict[str, list[JsonObject]] = {}
    for plan in plans.order_by("-pk")[:PLANS]:
        for step in steps_from_json(plan.steps):
            if step.revision in files and step.revision not in steps:
                steps[step.revision] = step
                risks[step.revision] = [
                    risk for risk in plan.risks if risk["revision"] == step.revision
                ]
    if job.direction == Direction.DOWNGRADE:
        return _of_downgrades([steps.get(revision) for revision in files])
    found = [
        one for revision in files for one in risks.get(revision, [{"code": "unknown", "table": ""}])
    ]
    if any(
        one["code"] in _UNKNOWN or (one["code"] in _LOSING and not one["table"]) for one in found
    ):
        return [WHOLE]
    return list(dict.fromkeys(one["table"] for one in found if one["code"] in _LOSING))


def _of_downgrades(steps: Sequence[Step | None]) -> list[str]:
    losses = [loss for step in steps if step for loss in dropped(step.downgrade)]
    if any(step is None or step.downgrade.kind for step in steps) or any(
        not loss.countable for loss in losses
    ):
        return [WHOLE]
    return list(dict.fromkeys(loss.table for loss in losses))


def _take(
    job: MigrationRun, url: str, touched: list[str], alive: Callable[[], bool]
) -> dict[str, object]:
    if not alive():
        raise Cancelled
    tables, size = _measure(url, touched)
    named = "the whole database" if WHOLE in touched else ", ".join(tables)
    now = timezone.now().isoformat()
    if not tables and WHOLE not in touched:
        return {"at": now, "sentence": "No backup needed: the tables do not exist yet."}
    if size > settings.BACKUP_MAX_MB * 1_000_000:
        message = (
            f"No backup was taken: {named} holds {many(size)}B, more than"
            f" BACKUP_MAX_MB={settings.BACKUP_MAX_MB}."
        )
        return {
            "at": now,
            "sentence": (
                f"{message} Take one by hand, or give the database a volume on Railway, of which"
                " Railway takes one."
            ),
        }
    folder = Path(settings.VAR_DIR) / "backups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget(folder)
    path = folder / f"run-{job.pk}.dump"
    dump_rows(url, [] if WHOLE in touched else tables, path, alive)
    message = (
        f"Backup of {named} ({many(size)}B in the database) kept in {path.name} for"
        f" {settings.BACKUP_DAYS} days."
    )
    return {
        "at": now,
        "path": str(path),
        "bytes": path.stat().st_size,
        "tables": tables,
        "sentence": message,
        "restore": restore(path, tables),
    }


def restore(path: Path, tables: Sequence[str]) -> str:
    """Return how rows come back: first beside the database, to be looked at, then into the
    table.
    """
    one = f" --table={tables[0].split('.')[-1]}" if len(tables) == 1 else ""
    return (
        f"To look at it: createdb look && pg_restore --no-owner --dbname=look {path}. To bring rows"
        f" back into a table that was emptied: pg_restore --data-only{one} --dbname=ADDRESS {path}."
    )


def _measure(url: str, touched: Sequence[str]) -> tuple[list[str], int]:
    """Return those of the tables that are there, as the server writes them, and the bytes of all
    that is to be kept.
    """
    with database.connection(url) as opened:
        if WHOLE in touched:
            row = opened.execute("select pg_database_size(current_database())").fetchone()
            return [], int(row[0]) if row else 0
        rows = opened.execute(
            "select c.oid::regclass::text, greatest(pg_total_relation_size(c.oid), (select"
            " coalesce(sum(pg_total_relation_size(relid)), 0) from"
            " pg_partition_tree(c.oid)))::bigint from unnest(%s::text[]) name join pg_class c on"
            " c.oid = to_regclass(name) where c.relkind in ('r', 'p')",
            [list(touched)],
        ).fetchall()
    return [name for name, _ in rows], sum(size for _, size in rows)


def _forget(folder: Path) -> None:
    """Remove what is older than `BACKUP_DAYS`."""
    limit = time.time() - settings.BACKUP_DAYS * 86_400
    for one in folder.glob("run-*"):
        if one.stat().st_mtime < limit:
            one.unlink(missing_ok=True)
