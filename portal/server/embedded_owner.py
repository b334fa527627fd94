"""The portal's own role in its embedded server: it owns what is the portal's, and is no superuser.

The superuser made the server and is used here alone, before anything of the portal runs; web and
worker are given the owner's address. What an older portal made as the superuser is handed over, in
every database, and nothing is lost.
"""

from contextlib import suppress
from dataclasses import replace
from urllib.parse import SplitResult, quote, urlsplit

import psycopg
from psycopg import sql

from portal.database_role import role_fault
from portal.environ import remembered_secret
from portal.server.embedded_postgres import Server
from portal.server.postgres_wheel import StartError

ROLE = "portal"
_ONE_AT_A_TIME = 7_305_817  # any number that nobody else locks
# What the superuser (role 10) owns outside PostgreSQL's own schemas, as the statement that hands it
# over. A column's sequence, and the types of rows and arrays, go with their table.
_MADE = """
SELECT pg_catalog.format('ALTER %s %s OWNER TO', kind, name) FROM (
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN
    'SEQUENCE'
        WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind, c.oid::pg_catalog.regclass::text AS
        name,
        c.relowner AS owner, c.relnamespace AS space
    FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') OR c.relkind = 'S' AND
    NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i')
        AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass)
    UNION ALL SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE
    'FUNCTION' END,
        p.oid::pg_catalog.regprocedure::text, p.proowner, p.pronamespace FROM pg_catalog.pg_proc p
    UNION ALL SELECT 'TYPE', t.oid::pg_catalog.regtype::text, t.typowner, t.typnamespace
    FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
    WHERE t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c'
    UNION ALL SELECT 'SCHEMA', n.oid::pg_catalog.regnamespace::text, n.nspowner, n.oid FROM
    pg_catalog.pg_namespace n
) AS made JOIN pg_catalog.pg_namespace n ON n.oid = space
WHERE owner = 10 AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


def owned(server: Server) -> Server:
    """Return `server`, which is at the superuser's address, at that of the portal's own role, which
    is made and given what is its where needed. Raise `StartError`.
    """
    parts = urlsplit(server.url)
    password = remembered_secret(server.directory / "portal_password")
    ours = parts._replace(netloc=f"{ROLE}:{password}@{parts.hostname}:{parts.port}")
    if not _is_ready(ours.geturl()):
        try:
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("SELECT pg_catalog.pg_advisory_lock(%s)", [_ONE_AT_A_TIME])
                _make(connection, parts, password)
        except psycopg.Error as error:
            raise StartError(
                f"The portal's role could not be made in its own PostgreSQL: {error}"
            ) from None
    return replace(server, url=ours.geturl())


def _is_ready(url: str) -> bool:
    """Return whether our role is no superuser and may sign in, as once all was handed over."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return not role_fault(connection)
    except psycopg.OperationalError:
        return False


def _make(connection: psycopg.Connection, parts: SplitResult, password: str) -> None:
    """Create the role, which may make databases (the sandbox's) and see where the data lies; it
    signs in when all is its.
    """
    role = sql.Identifier(ROLE)
    with suppress(psycopg.errors.DuplicateObject):
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    connection.execute(sql.SQL("GRANT pg_read_all_settings TO {}").format(role))
    for (name,) in connection.execute(
        "SELECT datname FROM pg_catalog.pg_database WHERE NOT datistemplate"
    ).fetchall():
        connection.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), role)
        )
        with psycopg.connect(parts._replace(path=f"/{quote(name, safe='')}").geturl()) as other:
            for (change,) in other.execute(_MADE).fetchall():
                other.execute(sql.SQL(change + " {}").format(role))
    may = "LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}"
    connection.execute(sql.SQL("ALTER ROLE {} " + may).format(role, password))
