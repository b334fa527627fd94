"""Reads a target database: its revision, its invalid indexes, its address."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from environments.schema.run.address import Address, DatabaseError, normalise
from portal.environ import KEEPALIVES

STATEMENT_TIMEOUT_MS = 10_000
APPLICATION_NAME = "release-portal"
# The lock of a run lives in a session: a host that vanished must not keep it for hours.
NOTICES_A_LOST_HOST = {f"tcp_{name}": value for name, value in KEEPALIVES.items()}
_REASONS = (
    (
        "credentials",
        r"authentication failed|no password supplied|no pg_hba\.conf entry"
        r"|role \".*\" does not exist",
        "{where} refused the user name or password; correct the database's address.",
    ),
    (
        "missing",
        r"database \".*\" does not exist",
        "{where} does not exist; correct the database's address.",
    ),
    (
        "full",
        r"too many (?:clients|connections)|remaining connection slots",
        "{where} has no free connection; try again later.",
    ),
    (
        "starting",
        r"starting up|shutting down|in recovery mode",
        "{where} is starting or stopping; try again shortly.",
    ),
    (
        "unreachable",
        r"",
        "{where} cannot be reached; try again, or check the address and the network.",
    ),
)


@contextmanager
def connection(url: str, *, connect_timeout: int = 10) -> Iterator[psycopg.Connection]:
    """Provide an autocommit connection for reading, whose failures become `DatabaseError`."""
    address = normalise(url)
    try:
        opened = psycopg.connect(
            make_conninfo(address.libpq, **KEEPALIVES),
            connect_timeout=connect_timeout,
            autocommit=True,
            application_name=APPLICATION_NAME,
            tcp_user_timeout=20_000,
            prepare_threshold=None,  # poolers do not keep prepared statements
        )
    except (psycopg.Error, UnicodeError) as error:
        raise _refused(address, str(error)) from None
    try:
        with opened:
            opened.execute(f"set statement_timeout = {STATEMENT_TIMEOUT_MS}")
            limits = (f"set {name} = {value}" for name, value in NOTICES_A_LOST_HOST.items())
            opened.execute("; ".join(limits))
            yield opened
    except psycopg.errors.InsufficientPrivilege:
        why = f"{address.where}: its role may not read the version table."
        raise DatabaseError(why, "denied") from None
    except psycopg.OperationalError:
        why = f"{address.where} broke off the connection; try again."
        raise DatabaseError(why, "unreachable") from None
    except psycopg.Error as error:
        state = error.sqlstate or type(error).__name__
        why = f"{address.where} could not answer (SQLSTATE {state})."
        raise DatabaseError(why, "database") from None


def _refused(address: Address, text: str) -> DatabaseError:
    fitting = (
        reason for reason in _REASONS if re.search(reason[1], text)
    )  # the last fits everything
    kind, _, sentence = next(fitting)
    return DatabaseError(sentence.format(where=address.where), kind)


def current(
    url: str, *, table: str = "alembic_version", connect_timeout: int = 10
) -> tuple[str, ...]:
    """Return the revisions in the version table, sorted; () where there is no table or no row."""
    with connection(url, connect_timeout=connect_timeout) as opened:
        return revisions_in(opened, table)


def split_table(table: str) -> tuple[str, str | None]:
    """Return name and schema of a version table, which may be `meta.alembic_version`."""
    schema, dot, name = table.partition(".")
    return (name, schema) if dot else (table, None)


def identifier(table: str) -> sql.Identifier:
    """Return the version table as it stands in SQL."""
    name, schema = split_table(table)
    return sql.Identifier(schema, name) if schema else sql.Identifier(name)


def revisions_in(opened: psycopg.Connection, table: str) -> tuple[str, ...]:
    """Do what `current` does, over an open connection."""
    name = identifier(table)
    table_name = opened.execute("select to_regclass(%s)", [name.as_string(opened)]).fetchone()
    if table_name is None or table_name[0] is None:
        return ()
    rows = opened.execute(sql.SQL("select version_num from {}").format(name)).fetchall()
    return tuple(sorted(str(row[0]) for row in rows))


_STANDING = (
    "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind"
    " in ('r', 'p') and not c.relispartition and n.nspname !~ '^pg_' and n.nspname <>"
    " 'information_schema' and c.oid is distinct from to_regclass(%s) and not exists (select from"
    " pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')"
)


def look(url: str, *, table: str = "alembic_version") -> tuple[tuple[str, ...], int]:
    """Return `current`, and how many tables stand there besides, where that is no revision."""
    with connection(url) as opened:
        revisions = revisions_in(opened, table)
        name = identifier(table).as_string(opened)
        row = None if revisions else opened.execute(_STANDING, [name]).fetchone()
    return revisions, int(row[0]) if row else 0


def version_width(opened: psycopg.Connection, table: str) -> int:
    """Return how long an id may be: 32 before there is a table, 0 for any length."""
    name = identifier(table).as_string(opened)
    row = opened.execute(
        "select a.atttypmod - 4 from pg_attribute a where a.attrelid = to_regclass(%s) and"
        " a.attname = 'version_num'",
        [name],
    ).fetchone()
    return 32 if row is None else max(int(row[0]), 0)


def invalid_indexes(url: str) -> tuple[str, ...]:
    """Return the names of the indexes that a broken-off concurrent build left unusable."""
    with connection(url) as opened:
        rows = opened.execute(
            "select i.indexrelid::regclass::text from pg_index i join pg_class c on c.oid ="
            " i.indexrelid where not i.indisvalid and c.relkind = 'i' and not exists (select from"
            " pg_stat_progress_create_index p where p.index_relid = i.indexrelid) order by 1"
        ).fetchall()
    return tuple(row[0] for row in rows)


_MAY_WRITE = """
select current_user, coalesce(%(schema)s::text, current_schema()),
to_regclass(%(name)s) is not null,
case when to_regclass(%(name)s) is not null then
  has_table_privilege(to_regclass(%(name)s), 'insert')
  and has_table_privilege(to_regclass(%(name)s), 'update')
  and has_table_privilege(to_regclass(%(name)s), 'delete')
when to_regnamespace(quote_ident(%(schema)s::text)) is null and %(schema)s::text is not null then
  has_database_privilege(current_database(), 'create')
else coalesce(has_schema_privilege(
  to_regnamespace(quote_ident(coalesce(%(schema)s::text, current_schema()))), 'create'), false)
end
"""


def refusal(opened: psycopg.Connection, address: Address, table: str) -> str:
    """Return why this role cannot migrate this database, as one sentence; "" if it can."""
    row = opened.execute(
        "select pg_is_in_recovery(), current_setting('default_transaction_read_only')"
    ).fetchone()
    if row is None or row[0] or row[1] == "on":
        fix = "use the address of the primary and a role that may write"
        return f"{address.where} is read-only; {fix}."
    name = identifier(table).as_string(opened)
    table, schema = split_table(table)
    row = opened.execute(_MAY_WRITE, {"schema": schema, "name": name}).fetchone()
    if row is None or row[3]:
        return ""
    what = f"write to “{table}”" if row[2] else f"make tables in schema “{row[1]}”"
    return f"{address.where}: role “{row[0]}” may not {what}; use a role that may migrate."
