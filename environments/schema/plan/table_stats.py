"""Reads how large and busy the tables of a database are, so that a risk can name them."""

from collections.abc import Collection
from dataclasses import dataclass, field

from environments.schema.run.database import connection

LONG_SECONDS = 60.0
SMALL_BYTES = 8 * 1024 * 1024  # read or rewritten within a moment


@dataclass(frozen=True)
class Table:
    """A table as the server sees it; `rows` is its own estimate, None where it has none yet."""

    rows: int | None
    size: int

    @property
    def is_small(self) -> bool:
        """Whether reading or rewriting all of it takes no time worth a warning."""
        return self.size <= SMALL_BYTES


@dataclass(frozen=True)
class Target:
    """What was read of a database.

    `longest_s`: age of the oldest transaction that is open for over a minute.
    """

    server: int = 0  # major version; 0: not known
    tables: dict[str, Table] = field(default_factory=dict)
    longest_s: float = 0.0


def read_target(url: str, tables: Collection[str]) -> Target:
    """Ask the database of `url` for those of `tables` that it has. Raise `DatabaseError`."""
    with connection(url) as opened:
        rows = opened.execute(
            "select name, c.reltuples::bigint, pg_total_relation_size(c.oid) from"
            " unnest(%s::text[]) name join pg_class c on c.oid = to_regclass(name) where c.relkind"
            " in ('r', 'p', 'm')",
            [sorted(tables)],
        ).fetchall()
        [(longest,)] = opened.execute(
            "select coalesce(max(extract(epoch from now() - xact_start)), 0)::float8"
            " from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchall()
        sizes = {name: Table(None if count < 0 else count, size) for name, count, size in rows}
        version = opened.info.server_version // 10_000
        return Target(version, sizes, longest if longest > LONG_SECONDS else 0.0)


def many(count: int) -> str:
    """Return a number as people say it: 950, 41 k, 41 M."""
    for size, unit in ((1_000_000_000, " G"), (1_000_000, " M"), (1_000, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def named(table: str, target: Target) -> str:
    """Return “events (41 M rows, 9.2 GB)”, as far as it is known."""
    known = target.tables.get(table)
    if known is None:
        return table
    size = f"{many(known.size)}B" if known.size >= 1000 else f"{known.size} B"
    return f"{table} ({'' if known.rows is None else f'{many(known.rows)} rows, '}{size})"
