"""Keep the rows that a risky migration of production may lose, before it runs: a backup of the
volume by Railway, where the database has one there; else `pg_dump` of the rows that it touches.

What `pg_dump` wrote lies in VAR_DIR/backups, readable by the portal's user alone, for
`BACKUP_DAYS`. The run holds where, and how to bring it back.
"""

import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from environments.databases import volume_backup
from environments.databases.tables_at_risk import Touched, measure, touched_by
from environments.models import EnvironmentKind, MigrationRun, Runner
from environments.schema.plan.table_stats import many
from environments.schema.rehearsal.dump import Cancelled, DumpError, dump_rows
from environments.schema.run import address
from portal.jobs import Finished, JobStatus, Outcome, Requeue
from portal.outbound.parsing import JsonObject


def before(
    job: MigrationRun, url: str, *, tell: Callable[[list[str]], None], alive: Callable[[], bool]
) -> Outcome | None:
    """Take the backup that this run needs, once; return how the job goes on while it is being
    taken, or ends where it could not be. None: the run may begin.

    `tell` gets lines for the run's log.
    """
    touched = _needed(job)
    if touched is None:
        return None
    by_railway = volume_backup.take(job, now=timezone.now())
    if isinstance(by_railway, Requeue):
        return by_railway if alive() else _cancelled(job)
    if not isinstance(by_railway, str):
        _keep(job, by_railway, tell)
        return None
    if by_railway:
        tell([f"Railway took no backup of the volume: {by_railway} pg_dump does it instead."])
    try:
        kept = _take(job, url, touched, alive)
    except Cancelled:
        return _cancelled(job)
    except (DumpError, address.DatabaseError, OSError) as error:
        if "version mismatch" not in str(error):
            why = f"the backup before it could not be taken: {error}"
            what = "Retry, or set BACKUP_MAX_MB=0 and take one manually."
            return _unchanged(job, JobStatus.FAILED, f"{why} {what}")
        kept = {"at": timezone.now().isoformat(), "sentence": f"No backup was taken: {error}"}
    _keep(job, kept, tell)
    return None


def _needed(job: MigrationRun) -> Touched | None:
    """Return what of the database the run touches, if that must be kept first and is not yet."""
    if (
        job.environment.kind != EnvironmentKind.PRODUCTION
        or job.runner == Runner.VERIFY
        or job.backup.get("sentence")
        or settings.BACKUP_MAX_MB <= 0
    ):
        return None
    return touched_by(job) or None


def _cancelled(job: MigrationRun) -> Finished:
    return _unchanged(job, JobStatus.CANCELLED, "the run was cancelled while a backup was taken.")


def _unchanged(job: MigrationRun, status: JobStatus, why: str) -> Finished:
    """End the run where it began, and say so on its row."""
    job.keep(after=job.before)
    return Finished(status, f"Nothing was changed: {why}")


def _keep(job: MigrationRun, kept: JsonObject, tell: Callable[[list[str]], None]) -> None:
    job.keep(backup=kept)
    tell([kept[name] for name in ("sentence", "restore") if kept.get(name)])


def _take(
    job: MigrationRun, url: str, touched: Touched, alive: Callable[[], bool]
) -> dict[str, object]:
    if not alive():
        raise Cancelled
    sizes = measure(url, touched)
    tables = [table.name for table in sizes.tables]
    named = "the whole database" if sizes.everything else ", ".join(tables)
    now = timezone.now().isoformat()
    if not named:
        return {"at": now, "sentence": "No backup needed: the tables do not exist yet."}
    if sizes.bytes > settings.BACKUP_MAX_MB * 1_000_000:
        sentence = (
            f"No backup was taken: {named} holds {many(sizes.bytes)}B, more than"
            f" BACKUP_MAX_MB={settings.BACKUP_MAX_MB}. Take one by hand, or give the database a"
            " volume on Railway, of which Railway takes one."
        )
        return {"at": now, "sentence": sentence}
    folder = Path(settings.VAR_DIR) / "backups"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget(folder)
    path = folder / f"run-{job.pk}.dump"
    dump_rows(url, tables, sizes.others, path, alive)
    message = (
        f"Backup of {named} ({many(sizes.bytes)}B in the database) kept in {path.name} for"
        f" {settings.BACKUP_DAYS} days."
    )
    if triggers := ", ".join(table.name for table in sizes.tables if table.triggers):
        message += f" Triggers of {triggers} may change other tables, whose rows it does not hold."
    return {
        "at": now,
        "path": str(path),
        "bytes": path.stat().st_size,
        "tables": tables,
        "sentence": message,
        "restore": restore(path, [table.plain for table in sizes.tables]),
    }


def restore(path: Path, tables: Sequence[str]) -> str:
    """Return how rows come back: first beside the database, to be looked at, then into it.

    `tables`: names without a schema; none: the whole database was kept.
    """
    names = " ".join(f"--table={shlex.quote(table)}" for table in tables or ["NAME"])
    return (
        f"To look at it: createdb look && pg_restore --no-owner --dbname=look {path} (an error"
        " about a key to a table whose rows it does not hold is harmless). To bring back tables"
        " that were dropped, with their rows: pg_restore --no-owner --no-data-for-failed-tables"
        f" --dbname=ADDRESS {path} (it makes what is missing, and says what is there). To bring"
        f" rows back into a table that was emptied: pg_restore --data-only {names}"
        f" --dbname=ADDRESS {path}."
    )


def _forget(folder: Path) -> None:
    """Remove what is older than `BACKUP_DAYS`."""
    limit = time.time() - settings.BACKUP_DAYS * 86_400
    for backup in folder.glob("run-*"):
        if backup.stat().st_mtime < limit:
            backup.unlink(missing_ok=True)
