"""Whether the portal's role in PostgreSQL has more rights than it needs, and whether the portal
starts then.
"""

import psycopg
from django.conf import settings


def role_fault(connection: psycopg.Connection) -> str:
    """Return in a sentence what the role of this session may that the portal's must not; "" when
    nothing.
    """
    found = connection.execute(
        "SELECT rolname, rolsuper, rolbypassrls FROM pg_catalog.pg_roles WHERE rolname ="
        " current_user"
    ).fetchone()
    name, superuser, bypasses = found or ("?", False, False)
    if not superuser and not bypasses:
        return ""
    what = "a superuser" if superuser else "free of row security (BYPASSRLS)"
    return (
        f"The portal's role {name} in PostgreSQL is {what}, so whoever takes the portal over may"
        " change what this server answers: give DATABASE_URL an ordinary role that owns its"
        " database."
    )


def refusal(connection: psycopg.Connection) -> str:
    """Return in a sentence why the portal does not start with the role of this session; "" when it
    may.
    """
    fault = role_fault(connection)
    if not fault or settings.ALLOW_SUPERUSER_DATABASE:
        return ""
    return (
        f"{fault} ALLOW_SUPERUSER_DATABASE=1 starts it all the same, and the status page then"
        " says so."
    )
