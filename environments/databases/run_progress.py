"""Progress of a running migration: the statement's place in the plan, and how far it is."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

from environments.databases.pending import planned_steps
from environments.models import MigrationRun
from environments.schema.plan.table_stats import many
from environments.schema.run.progress import Progress

SHORTEST = 40  # letters by which a statement is known: the server keeps the first 1,023


def teller(job: MigrationRun) -> Callable[[Progress], None]:
    """Return what keeps how far the run is on its row."""
    planned = {
        revision: [statement.sql for statement in step.upgrade.statements]
        for revision, (step, _) in planned_steps(job).items()
    }
    reached: dict[str, int] = {}

    def tell(progress: Progress) -> None:
        statements = planned.get(progress.revision, [])
        at = place(progress.sql, statements, after=reached.get(progress.revision, 0))
        reached[progress.revision] = at or reached.get(progress.revision, 0)
        kept = asdict(progress) | {
            "at": at,
            "statements": len(statements),
            "told": sentence(progress),
        }
        job.keep(progress=kept)

    return tell


def place(sql: str, planned: Sequence[str], *, after: int) -> int:
    """Return which of `planned` runs, from 1, not before the one that was reached; 0: not told."""
    seen = " ".join(sql.split())
    for number, statement in enumerate(planned, 1):
        known = " ".join(statement.split()).rstrip(";")
        shared = min(len(seen), len(known), 1000)
        same = seen[:shared] == known[:shared]
        whole = shared >= SHORTEST or len(seen.rstrip(";")) == len(known)
        if number >= after and shared and same and whole:
            return number
    return 0


def sentence(progress: Progress) -> str:
    """Return how far the statement is, in words; "" where PostgreSQL tells nothing of it."""
    parts = []
    if progress.waits:
        parts.append(f"It waits for {progress.waits}.")
    if progress.of:
        parts.append(f"{progress.phase}: {progress.done:,} of {progress.of:,} {progress.unit}.")
    elif progress.phase:
        done = f": {progress.done:,} {progress.unit}" if progress.done else ""
        parts.append(f"{progress.phase}{done}.")
    if progress.table and progress.rows:
        changed = f", {progress.changed:,} changed by committed batches" if progress.changed else ""
        parts.append(f"{progress.table} has about {progress.rows:,} rows{changed}.")
    if progress.grew:
        parts.append(f"{progress.table} has grown by {many(progress.grew)}B.")
    return " ".join(parts)
