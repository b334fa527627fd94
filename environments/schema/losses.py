"""What a downgrade throws away, counted in the database before anybody decides."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from environments.schema.alembic_env.statements import bare
from environments.schema.database import connection
from environments.schema.plan import Rendered

COUNT_SECONDS = 5
MANY = 50  # so many things are counted; what is left is named without a number
_PART = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_NAME = rf"{_PART}(?:\.{_PART})?"
_TABLES = re.compile(rf"drop table (?:if exists )?({_NAME}(?:\s*,\s*{_NAME})*)", re.I)
_ALTER = re.compile(rf"alter table (?:if exists )?(?:only )?({_NAME}) (.*)", re.I)
_COLUMN = re.compile(rf"(?:^|,\s*)drop (?!constraint\b|expression\b)(?:column )?(?:if exists )?({_PART})", re.I)
_ROWS = re.compile(rf"(?:delete from|truncate(?: table)?) (?:only )?({_NAME})", re.I)


@dataclass(frozen=True)
class Loss:
    """A table or column that goes, or rows that are deleted.

    `rows`: how many rows, or values that are not null, are lost; None: not counted, and `sentence` says why.
    """

    table: str
    column: str = ""
    rows: int | None = None
    exact: bool = True
    sentence: str = ""


def dropped(rendered: Rendered) -> tuple[Loss, ...]:
    """What the statements of a downgrade drop or delete, not counted yet, in their order."""
    return tuple(dict.fromkeys(loss for one in rendered.statements for loss in _of(bare(one.sql))))


def _of(text: str) -> Iterator[Loss]:
    if found := _TABLES.match(text):
        yield from (Loss(name) for name in re.findall(_NAME, found[1]))
    elif found := _ALTER.match(text):
        yield from (Loss(found[1], column) for column in _COLUMN.findall(found[2]))
    elif found := _ROWS.match(text):
        yield Loss(found[1], sentence="At most: it deletes rows of it.")


def count(url: str, losses: Sequence[Loss]) -> tuple[Loss, ...]:
    """`losses` with their numbers, read only and for five seconds each at most. Raises `DatabaseError`."""
    with connection(url) as opened:
        opened.execute("set default_transaction_read_only = on")
        opened.execute(f"set statement_timeout = '{COUNT_SECONDS}s'")
        return tuple(_counted(opened, one) for one in losses[:MANY]) + tuple(losses[MANY:])


def _counted(opened: psycopg.Connection, loss: Loss) -> Loss:
    found = opened.execute("select to_regclass(%s)::oid, to_regclass(%s)::text", [loss.table, loss.table]).fetchone()
    if found is None or found[0] is None:
        return Loss(loss.table, loss.column, 0, True, "It is not there.")
    # The server's own spelling of the name, quoted where it must be.
    what: sql.Composable = sql.SQL("count(*)")
    if loss.column:
        name = loss.column[1:-1].replace('""', '"') if loss.column.startswith('"') else loss.column.lower()
        what = sql.SQL("count({})").format(sql.Identifier(name))
    query = sql.SQL("select {} from {}").format(what, sql.SQL(found[1]))
    try:
        row = opened.execute(query).fetchone()
        return Loss(loss.table, loss.column, row[0] if row else None, sentence=loss.sentence)
    except psycopg.errors.QueryCanceled:
        rows = opened.execute("select greatest(reltuples, 0)::bigint from pg_class where oid = %s", [found[0]])
        guess = rows.fetchone()
        return Loss(loss.table, loss.column, guess[0] if guess else None, False, "The server's estimate.")
    except psycopg.errors.UndefinedColumn:
        return Loss(loss.table, loss.column, 0, True, "It is not there.")
    except psycopg.errors.InsufficientPrivilege:
        return Loss(loss.table, loss.column, None, True, "The role may not read it.")
