"""Counts the rows that a downgrade would delete, before anybody decides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg
from psycopg import sql

from environments.schema.plan.render import Rendered, without_passwords
from environments.schema.run.database import connection
from environments.schema.sql.parser import UnreadableError, joined, parse
from environments.schema.sql.part import Part
from environments.schema.sql.parts import parts

COUNT_SECONDS = 5
MANY = 50  # how many things are counted; the others are named without a number


@dataclass(frozen=True)
class Loss:
    """A table or column that goes, or rows that are deleted.

    `rows`: how many rows, or values that are not null; None: not counted, as `sentence` says.
    """

    table: str
    column: str = ""
    rows: int | None = None
    exact: bool = True
    sentence: str = ""
    countable: bool = True  # False: no table of which rows could be counted


def dropped(rendered: Rendered) -> tuple[Loss, ...]:
    """Return what the statements of a downgrade drop or delete, not counted yet, in their order."""
    losses = (loss for statement in rendered.statements for loss in _of(statement.sql))
    return tuple(dict.fromkeys(losses))


def _of(sql: str) -> Iterator[Loss]:
    try:
        read = parse(sql)
    except UnreadableError:
        shown = without_passwords(" ".join(sql.split()))[:200]
        yield Loss("a statement that cannot be read", sentence=shown, countable=False)
        return
    for part in (part for statement in read for part in parts(statement)):
        yield from _lost(part)


def _lost(part: Part) -> Iterator[Loss]:
    if part.kind in ("DropStmt.TABLE", "DropStmt.MATVIEW", "DropStmt.FOREIGN_TABLE"):
        yield Loss(part.name)
    elif part.kind == "AlterTableStmt.AT_DropColumn" and part.columns:
        yield Loss(part.name, joined([part.columns[0]]))
    elif part.kind in ("DeleteStmt", "TruncateStmt", "MergeStmt"):
        yield Loss(part.name, sentence="At most: it deletes rows of it.")
    elif part.kind == "DropOwnedStmt" or part.kind.endswith(".CASCADE"):
        yield Loss(part.name, sentence="And, by CASCADE, what depends on it.", countable=False)
    elif part.kind in _OPAQUE:
        why = "What it deletes is not known: no rule can look into it."
        yield Loss(part.name or part.kind, sentence=why, countable=False)


_OPAQUE = ("DoStmt", "CallStmt", "ExecuteStmt", "FuncCall")


def count(url: str, losses: Sequence[Loss]) -> tuple[Loss, ...]:
    """Return `losses` with their numbers, read only and for five seconds each at most.

    Raise `DatabaseError`.
    """
    with connection(url) as opened:
        opened.execute("set default_transaction_read_only = on")
        opened.execute(f"set statement_timeout = '{COUNT_SECONDS}s'")
        return tuple(_counted(opened, loss) for loss in losses[:MANY]) + tuple(losses[MANY:])


# A name that the portal's session does not find may stand in a schema of the run's search path.
_PLACES = """
select c.oid, c.oid::regclass::text from pg_class c
where c.oid = to_regclass(%(name)s) or (
  to_regclass(%(name)s) is null and c.relname = case
    when %(name)s ~ '^([a-z_][a-z0-9_$]*|"([^"]|"")+")$' then (parse_ident(%(name)s))[1] end
  and c.relkind in ('r', 'p', 'm', 'f')
  and c.relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
) order by 2
"""


def _counted(opened: psycopg.Connection, loss: Loss) -> Loss:
    if not loss.countable:
        return loss
    places = opened.execute(_PLACES, {"name": loss.table}).fetchall()
    if not places:
        return replace(loss, rows=0, sentence="It is not there.")
    if len(places) > 1:
        names = ", ".join(name for _, name in places)
        return replace(loss, sentence=f"Its search path decides: {names}.")
    [(oid, table)] = places  # in the server's own spelling, quoted where it must be
    what: sql.Composable = sql.SQL("count(*)")
    if name := loss.column:
        name = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
        what = sql.SQL("count({})").format(sql.Identifier(name))
    query = sql.SQL("select {} from {}").format(what, sql.SQL(table))
    try:
        row = opened.execute(query).fetchone()
        return replace(loss, rows=row[0] if row else None)
    except psycopg.errors.QueryCanceled:
        estimate = "select greatest(reltuples, 0)::bigint from pg_class where oid = %s"
        row = opened.execute(estimate, [oid]).fetchone()
        guess = row[0] if row else None
        return replace(loss, rows=guess, exact=False, sentence="The server's estimate.")
    except psycopg.errors.UndefinedColumn:
        return replace(loss, rows=0, sentence="It is not there.")
    except psycopg.errors.InsufficientPrivilege:
        return replace(loss, sentence="The role may not read it.")
