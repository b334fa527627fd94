"""The portal's own role in its embedded server: it owns what is the portal's, and is no superuser.

The superuser made the server and is used here alone, before anything of the portal runs; web and worker are given the
owner's address. What an older portal made as the superuser is handed over, in every database, and nothing is lost.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from portal.embedded_postgres import Server

ROLE = "portal"
# What the superuser owns outside PostgreSQL's own schemas, as the statement that hands it over. A sequence that belongs
# to a column, and a row's or an array's type, go with their table.
_MADE = """
SELECT pg_catalog.format('ALTER %s %s OWNER TO', kind, name) FROM (
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
        WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind, c.oid::pg_catalog.regclass::text AS name,
        c.relowner AS owner, c.relnamespace AS space
    FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::pg_catalog.regclass
        AND d.deptype IN ('a', 'i', 'e') AND c.relkind = 'S')
    UNION ALL SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END,
        p.oid::pg_catalog.regprocedure::text, p.proowner, p.pronamespace FROM pg_catalog.pg_proc p
    UNION ALL SELECT 'TYPE', t.oid::pg_catalog.regtype::text, t.typowner, t.typnamespace
    FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
    WHERE t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c'
    UNION ALL SELECT 'SCHEMA', n.oid::pg_catalog.regnamespace::text, n.nspowner, n.oid
    FROM pg_catalog.pg_namespace n WHERE n.nspname <> 'public'
) AS made JOIN pg_catalog.pg_namespace n ON n.oid = space
WHERE owner = 10 AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


def owner_url(server: Server) -> str:
    """The address at which the portal's own role reaches its database, made and given what is its where needed.

    `server.url` is the superuser's. Raises psycopg.Error.
    """
    password = _password(server.directory)
    with psycopg.connect(server.url, autocommit=True) as connection:
        _make(connection, password)
        names = connection.execute("SELECT datname FROM pg_catalog.pg_database WHERE NOT datistemplate").fetchall()
        for (name,) in names:
            connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(_id(name), _id(ROLE)))
    parts = urlsplit(server.url)
    for (name,) in names:
        _hand_over(parts._replace(path=f"/{name}").geturl())
    return parts._replace(netloc=f"{ROLE}:{password}@{parts.hostname}:{parts.port}").geturl()


def _make(connection: psycopg.Connection, password: str) -> None:
    """The role, which may make databases (the sandbox's), and see where the data lies, and no more."""
    with suppress(psycopg.errors.DuplicateObject):
        connection.execute(sql.SQL("CREATE ROLE {}").format(_id(ROLE)))
    wanted = "LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}"
    connection.execute(sql.SQL("ALTER ROLE {} " + wanted).format(_id(ROLE), password))
    connection.execute(
        sql.SQL("GRANT pg_catalog.pg_read_all_settings TO {}".replace("pg_catalog.", "")).format(_id(ROLE))
    )


def _hand_over(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(_id(ROLE)))
        for (change,) in connection.execute(_MADE).fetchall():
            connection.execute(sql.SQL(change + " {}").format(_id(ROLE)))


def _id(name: str) -> sql.Identifier:
    return sql.Identifier(name)


def _password(directory: Path) -> str:
    """The role's password, made once and kept beside the server's data, readable by us alone."""
    path = directory / "portal_password"
    with suppress(FileExistsError), os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24))
    return path.read_text()
