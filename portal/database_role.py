"""Whether the portal's role in PostgreSQL may more than it needs, and if the portal starts then."""

import psycopg
from django.conf import settings


def role_fault(connection: psycopg.Connection) -> str:
    """Return in a sentence what this session's role may that the portal's must not, or ""."""
    query = "SELECT rolname, rolsuper, rolbypassrls FROM pg_catalog.pg_roles"
    role = connection.execute(f"{query} WHERE rolname = current_user").fetchone()
    name, superuser, bypasses = role or ("?", False, False)
    if not superuser and not bypasses:
        return ""
    what = "a superuser" if superuser else "free of row security (BYPASSRLS)"
    return (
        f"The portal's role {name} in PostgreSQL is {what}, so whoever takes the portal over may"
        " change what this server answers: give DATABASE_URL an ordinary role that owns its"
        " database."
    )


def refusal(connection: psycopg.Connection) -> str:
    """Return in a sentence why the portal does not start with this session's role, or ""."""
    fault = role_fault(connection)
    if not fault or settings.ALLOW_SUPERUSER_DATABASE:
        return ""
    anyway = "ALLOW_SUPERUSER_DATABASE=1 starts it all the same, and the status page then says so."
    return f"{fault} {anyway}"
