"""What only the owner of the tables can do to the audit chain: for tests, faults and
measurements.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COLUMNS = ("body", "position", "digest")
TABLES = ("portal_auditchain", "portal_audithead")


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
            cursor.execute("TRUNCATE portal_auditchain, portal_audithead")
            cursor.execute(
                "INSERT INTO portal_audithead (single, position, digest)"
                " VALUES (true, 0, decode(repeat('00', 32), 'hex'))"
            )


def _switch(connection, events: str, head: str = "") -> None:
    with connection.cursor() as cursor:
        for table, action in zip(TABLES, (events, head or events), strict=True):
            cursor.execute(f"ALTER TABLE {table} {action}")


def fill(connection, count: int) -> None:
    """A chain of `count` plausible events in place of what there is, much faster than one append at
    a time.

    Spells out the hashed bytes in Python, independently of the function in the database.
    """
    last = bytes(32)
    with unguarded(connection), connection.cursor() as cursor:
        cursor.execute("TRUNCATE portal_auditchain")
        columns = ", ".join(COLUMNS)
        with cursor.copy(f"COPY portal_auditchain ({columns}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(COPY_HEADER)
            for position in range(1, count + 1):
                body = _event(position)
                last = sha256((position - 1).to_bytes(8) + last + body).digest()
                copy.write(b"\x00\x03" + b"".join(map(field, (body, position.to_bytes(8), last))))
            copy.write(b"\xff\xff")
        cursor.execute("UPDATE portal_audithead SET position = %s, digest = %s", [count, last])


def field(value: bytes) -> bytes:
    """One field as PostgreSQL's binary COPY format writes it."""
    return len(value).to_bytes(4) + value


def _event(position: int) -> bytes:
    """The lines from `at` to `group`; every seventh event is the portal's own."""
    at = datetime(2026, 10, 22, tzinfo=UTC) + timedelta(microseconds=position * 1_000_003)
    actor = "" if position % 7 == 0 else str(position % 50 + 1)
    lines = (
        f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "checklist.ticked",
        "done",
        actor,
        "Alice Archer" if actor else "portal",
        "inspector",
        "releases.checklistitem",
        str(position % 300),
        "Key pages looked at",
        "Alice Archer ticked “Key pages looked at” of release 2026.11.3.",
        f'{{"candidate":"0123456789abcdef0123456789abcdef01234567","note":"looked at {position}"}}',
        str(UUID(int=position)),
    )
    return "\n".join(lines).encode()
