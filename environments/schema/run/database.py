"""What a target database says: its revision, its invalid indexes; and what its address means to
whom.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

STATEMENT_TIMEOUT_MS = 10_000
APPLICATION_NAME = "release-portal"
# The lock of a run lives in a session: a host that vanished must not keep it for hours.
_NOTICES_A_LOST_HOST = (
    "select set_config(name, setting, false) from (values ('tcp_keepalives_idle', '10'),"
    " ('tcp_keepalives_interval', '3'), ('tcp_keepalives_count', '3')) wanted (name, setting)"
)
_DRIVERS = {
    "",
    "asyncpg",
    "psycopg",
    "psycopg2",
    "psycopg_async",
    "psycopg2cffi",
    "pg8000",
    "aiopg",
}
# libpq's own words (PostgreSQL manual 34.1.2); what drivers and frameworks add to a URL is left
# out.
_LIBPQ = {
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "gssencmode",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "options",
    "password",
    "port",
    "require_auth",
    "sslcert",
    "sslcrl",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
}
_SOCKET_DIRECTORIES = ("/var/run/postgresql", "/run/postgresql", "/tmp")  # noqa: S108 - where libpq looks by itself
_SSL_WORDS = {"true": "require", "1": "require", "false": "disable", "0": "disable"}
_REASONS = (
    (
        "credentials",
        (
            r"authentication failed|no password supplied|no pg_hba\.conf entry|role \".*\" does not"
            r" exist"
        ),
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


class DatabaseError(Exception):
    """One clear sentence without URL or password.

    `kind`: address, engine, credentials, missing, full, starting, unreachable, denied, readonly or
    database.
    """

    def __init__(self, sentence: str, kind: str) -> None:
        super().__init__(sentence)
        self.kind = kind


@dataclass(frozen=True)
class Address:
    """One database in the forms that libpq and SQLAlchemy (with psycopg) understand."""

    libpq: str = field(repr=False)
    sqlalchemy: str = field(repr=False)
    where: str  # host and database, fit to be shown
    database: str
    password: str = field(repr=False)
    host: str = ""


def normalise(url: str) -> Address:
    """Reads `postgres://`, `postgresql+asyncpg://` and their like. Raises `DatabaseError`."""
    text = url.strip()
    if not text:
        raise DatabaseError(
            "No database address is set for this environment; add its URL.", "address"
        )
    scheme, _, rest = text.partition("://")
    engine, _, driver = scheme.lower().partition("+")
    if engine not in ("postgres", "postgresql") or driver not in _DRIVERS:
        shown = engine if rest and re.fullmatch(r"[a-z0-9]{1,20}", engine) else "something else"
        raise DatabaseError(
            f"The database address is one of {shown}; only PostgreSQL is supported.", "engine"
        )
    try:
        parts = urlsplit(f"postgresql://{rest}")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        host = parts.netloc.rpartition("@")[2]
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        bad = (
            bool(parts.fragment)
            or "\n" in text
            or (parts.port is not None and not 0 < parts.port < 65536)
        )
    except ValueError:
        bad = True
    if bad:
        raise DatabaseError(
            "The database address cannot be read; percent-encode its password.", "address"
        )
    if ssl := query.get("ssl"):
        query.setdefault("sslmode", _SSL_WORDS.get(ssl.lower(), ssl))
    kept = {name: value for name, value in query.items() if name in _LIBPQ}
    password = password or kept.get("password", "")
    database = unquote(parts.path.lstrip("/")) or kept.get("dbname", "") or user
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    netloc = f"{who}@{host}" if who else host
    kept.pop("password", None)
    libpq = f"postgresql://{netloc}{parts.path}" + (
        f"?{urlencode(kept, quote_via=quote)}" if kept else ""
    )
    shown_host = kept.get("host", host) or "the local server"
    where = f"The database “{database}” at {shown_host}"
    sqlalchemy = "postgresql+psycopg" + libpq.removeprefix("postgresql")
    return Address(
        libpq, sqlalchemy, where, database, password, kept.get("host") or parts.hostname or ""
    )


def places_of(address: Address) -> tuple[tuple[str, int], ...]:
    """Where the server may be reached: hosts, or directories of sockets, with their ports."""
    parts = conninfo_to_dict(address.libpq)
    named = str(parts.get("hostaddr") or parts.get("host") or "")
    hosts = named.split(",") if named else list(_SOCKET_DIRECTORIES)
    hosts += str(parts.get("host") or "").split(",") if parts.get("hostaddr") else []
    ports = [int(port or 5432) for port in str(parts.get("port") or "5432").split(",")]
    return tuple((host, port) for host in hosts if host for port in dict.fromkeys(ports))


def files_in(address: Address) -> tuple[Path, ...]:
    """The certificates and keys that the address names."""
    parts = conninfo_to_dict(address.libpq)
    named = (
        str(parts[name])
        for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl")
        if parts.get(name)
    )
    return tuple(Path(one) for one in named if one.startswith("/"))


def same_database(one: str, other: str) -> bool:
    """Whether URLs of two environments lead to one database by name.

    Raises `DatabaseError` for what is no such URL.

    A private name is the same in every environment of Railway and leads to another database in
    each.
    """
    first, second = normalise(one), normalise(other)
    return first.where.lower() == second.where.lower() and not is_internal(first.host)


def is_internal(host: str) -> bool:
    """Whether the name is one of Railway's private network, which every environment has for
    itself.
    """
    return host.lower().rstrip(".").endswith(".railway.internal")


@contextmanager
def connection(url: str, *, connect_timeout: int = 10) -> Iterator[psycopg.Connection]:
    """An autocommit connection for reading, whose failures become `DatabaseError`."""
    address = normalise(url)
    try:
        opened = psycopg.connect(
            address.libpq,
            connect_timeout=connect_timeout,
            autocommit=True,
            application_name=APPLICATION_NAME,
            keepalives_idle=10,
            keepalives_interval=3,
            keepalives_count=3,
            tcp_user_timeout=20_000,
            prepare_threshold=None,  # poolers do not keep prepared statements
        )
    except (psycopg.Error, UnicodeError) as error:
        raise _refused(address, str(error)) from None
    try:
        with opened:
            opened.execute(f"set statement_timeout = {STATEMENT_TIMEOUT_MS}")
            opened.execute(_NOTICES_A_LOST_HOST)
            yield opened
    except psycopg.errors.InsufficientPrivilege:
        raise DatabaseError(
            f"{address.where}: its role may not read the version table.", "denied"
        ) from None
    except psycopg.OperationalError:
        raise DatabaseError(
            f"{address.where} broke off the connection; try again.", "unreachable"
        ) from None
    except psycopg.Error as error:
        state = error.sqlstate or type(error).__name__
        raise DatabaseError(
            f"{address.where} could not answer (SQLSTATE {state}).", "database"
        ) from None


def _refused(address: Address, text: str) -> DatabaseError:
    for kind, pattern, sentence in _REASONS:
        if re.search(pattern, text):
            return DatabaseError(sentence.format(where=address.where), kind)
    raise AssertionError("the last reason matches everything")


def current(
    url: str,
    *,
    table: str = "alembic_version",
    schema: str | None = None,
    connect_timeout: int = 10,
) -> tuple[str, ...]:
    """The revisions in the version table, sorted; () where there is no table or no row."""
    with connection(url, connect_timeout=connect_timeout) as opened:
        return revisions_in(opened, table, schema)


def split_table(table: str, schema: str | None = None) -> tuple[str, str | None]:
    """The version table's own name and its schema, which may stand before it:
    `meta.alembic_version`.
    """
    before, dot, name = table.partition(".")
    return (name, before) if dot and schema is None else (table, schema)


def identifier(table: str, schema: str | None = None) -> sql.Identifier:
    """The version table as it stands in SQL."""
    table, schema = split_table(table, schema)
    return sql.Identifier(schema, table) if schema else sql.Identifier(table)


def revisions_in(opened: psycopg.Connection, table: str, schema: str | None) -> tuple[str, ...]:
    """As `current`, over an open connection."""
    name = identifier(table, schema)
    found = opened.execute("select to_regclass(%s)", [name.as_string(opened)]).fetchone()
    if found is None or found[0] is None:
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
        found = revisions_in(opened, table, None)
        name = identifier(table).as_string(opened)
        row = None if found else opened.execute(_STANDING, [name]).fetchone()
    return found, int(row[0]) if row else 0


def version_width(opened: psycopg.Connection, table: str, schema: str | None) -> int:
    """Return how long an id the version table takes: 32 where Alembic has yet to make it, 0 for
    any length.
    """
    name = identifier(table, schema).as_string(opened)
    row = opened.execute(
        "select a.atttypmod - 4 from pg_attribute a where a.attrelid = to_regclass(%s) and"
        " a.attname = 'version_num'",
        [name],
    ).fetchone()
    return 32 if row is None else max(int(row[0]), 0)


def invalid_indexes(url: str) -> tuple[str, ...]:
    """The names of the indexes that a broken-off concurrent build left unusable."""
    with connection(url) as opened:
        rows = opened.execute(
            "select i.indexrelid::regclass::text from pg_index i join pg_class c on c.oid ="
            " i.indexrelid where not i.indisvalid and c.relkind = 'i' and not exists (select from"
            " pg_stat_progress_create_index p where p.index_relid = i.indexrelid) order by 1"
        ).fetchall()
    return tuple(row[0] for row in rows)


def refusal(opened: psycopg.Connection, address: Address, table: str, schema: str | None) -> str:
    """Why this role cannot migrate this database, as one sentence; "" when nothing speaks
    against it.
    """
    row = opened.execute(
        "select pg_is_in_recovery(), current_setting('default_transaction_read_only')"
    ).fetchone()
    if row is None or row[0] or row[1] == "on":
        return (
            f"{address.where} is read-only; use the address of the primary and a role that may"
            " write."
        )
    name = identifier(table, schema).as_string(opened)
    table, schema = split_table(table, schema)
    row = opened.execute(
        "select current_user, coalesce(%(schema)s::text, current_schema()), to_regclass(%(name)s)"
        " is not null, case when to_regclass(%(name)s) is not null then  "
        " has_table_privilege(to_regclass(%(name)s), 'insert')   and"
        " has_table_privilege(to_regclass(%(name)s), 'update')   and"
        " has_table_privilege(to_regclass(%(name)s), 'delete') when"
        " to_regnamespace(quote_ident(%(schema)s::text)) is null and %(schema)s::text is not null  "
        " then has_database_privilege(current_database(), 'create') else"
        " coalesce(has_schema_privilege(to_regnamespace(quote_ident(   coalesce(%(schema)s::text,"
        " current_schema()))), 'create'), false) end",
        {"schema": schema, "name": name},
    ).fetchone()
    if row is None or row[3]:
        return ""
    what = f"write to “{table}”" if row[2] else f"make tables in schema “{row[1]}”"
    return f"{address.where}: role “{row[0]}” may not {what}; use a role that may migrate."
