"""What only the owner of the tables can do to the audit chain: for tests, faults and measurements."""

from collections.abc import Iterator
from contextlib import contextmanager

TABLES = ("portal_auditevent", "portal_audithead")


@contextmanager
def unguarded(connection) -> Iterator[None]:
    """Lifts the chain's triggers, as a superuser can, and puts them back as they were."""
    _switch(connection, "DISABLE TRIGGER ALL")
    try:
        yield
    finally:
        _switch(
            connection,
            "ENABLE ALWAYS TRIGGER chain, ENABLE ALWAYS TRIGGER keep",
            "ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER keep",
        )


@contextmanager
def start_over(connection) -> Iterator[None]:
    """Lets the tables be emptied, and begins a new chain afterwards."""
    with unguarded(connection):
        yield
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE portal_auditevent, portal_audithead")
            cursor.execute(
                "INSERT INTO portal_audithead (single, position, digest)"
                " VALUES (true, 0, decode(repeat('00', 32), 'hex'))"
            )


def _switch(connection, events: str, head: str = "") -> None:
    with connection.cursor() as cursor:
        for table, action in zip(TABLES, (events, head or events), strict=True):
            cursor.execute(f"ALTER TABLE {table} {action}")
