"""What a target database says of itself: the revisions it holds, and indexes that a broken run left invalid."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

SCHEME = re.compile(r"^(postgres|postgresql)(\+\w+)?://")


class DatabaseError(Exception):
    """The database could not be read; the message is one sentence without address or password."""


def libpq(url: str) -> str:
    """`url` as libpq wants it; raises `DatabaseError` for another engine."""
    if not SCHEME.match(url):
        engine = url.split(":", 1)[0][:20] if "://" in url else "no address"
        raise DatabaseError(f"The database must be PostgreSQL; its address names {engine}.")
    return SCHEME.sub("postgresql://", url, count=1)


@contextmanager
def _connected(url: str, connect_timeout: int) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(libpq(url), connect_timeout=connect_timeout, autocommit=True) as connection:
            connection.execute("set statement_timeout = '15s'")
            yield connection
    except psycopg.OperationalError as error:
        raise DatabaseError(_sentence(str(error))) from None
    except psycopg.Error as error:
        raise DatabaseError(f"The database refused to be read ({type(error).__name__}).") from None


def _sentence(text: str) -> str:
    for words, said in (
        ("password authentication failed", "The database refused the user name or password."),
        ("does not exist", "The database server has no such database or user."),
        ("timeout", "The database did not answer in time."),
        ("too many clients", "The database has no connection left."),
    ):
        if words in text:
            return said
    return "The database cannot be reached."


def current(
    url: str, *, table: str = "alembic_version", schema: str | None = None, connect_timeout: int = 10
) -> tuple[str, ...]:
    """The revisions in the version table, sorted; empty when there is no such table."""
    name = sql.Identifier(schema, table) if schema else sql.Identifier(table)
    with _connected(url, connect_timeout) as connection:
        found = connection.execute("select to_regclass(%s)", [name.as_string(connection)]).fetchone()
        if not found or found[0] is None:
            return ()
        rows = connection.execute(sql.SQL("select version_num from {}").format(name)).fetchall()
    return tuple(sorted(row[0] for row in rows))


def invalid_indexes(url: str, *, connect_timeout: int = 10) -> tuple[str, ...]:
    """Names of indexes that a broken concurrent build left behind."""
    query = "select indexrelid::regclass::text from pg_index where not indisvalid order by 1"
    with _connected(url, connect_timeout) as connection:
        return tuple(row[0] for row in connection.execute(query).fetchall())
