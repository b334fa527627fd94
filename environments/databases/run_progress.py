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
        revision: [one.sql for one in step.upgrade.statements]
        for revision, (step, _) in planned_steps(job).items()
    }
    reached: dict[str, int] = {}

    def tell(found: Progress) -> None:
        mine = planned.get(found.revision, [])
        at = place(found.sql, mine, after=reached.get(found.revision, 0))
        reached[found.revision] = at or reached.get(found.revision, 0)
        kept = asdict(found) | {"at": at, "statements": len(mine), "told": sentence(found)}
        job.keep(progress=kept)

    return tell


def place(sql: str, planned: Sequence[str], *, after: int) -> int:
    """Return which of `planned` runs, from 1, not before the one that was reached; 0: not told."""
    seen = " ".join(sql.split())
    for number, one in enumerate(planned, 1):
        known = " ".join(one.split()).rstrip(";")
        shared = min(len(seen), len(known), 1000)
        same = seen[:shared] == known[:shared]
        whole = shared >= SHORTEST or len(seen.rstrip(";")) == len(known)
        if number >= after and shared and same and whole:
            return number
    return 0


def sentence(found: Progress) -> str:
    """Return how far the statement is, in words; "" where PostgreSQL tells nothing of it."""
    parts = []
    if found.waits:
        parts.append(f"It waits for {found.waits}.")
    if found.of:
        parts.append(f"{found.phase}: {found.done:,} of {found.of:,} {found.unit}.")
    elif found.phase:
        done = f": {found.done:,} {found.unit}" if found.done else ""
        parts.append(f"{found.phase}{done}.")
    if found.table and found.rows:
        changed = f", {found.changed:,} changed by committed batches" if found.changed else ""
        parts.append(f"{found.table} has about {found.rows:,} rows{changed}.")
    if found.grew:
        parts.append(f"{found.table} has grown by {many(found.grew)}B.")
    return " ".join(parts)
