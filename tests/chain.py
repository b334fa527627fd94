"""What only the owner of the tables can do to the audit chain: for tests, faults and measurements."""

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COLUMNS = (
    *("at", "action", "outcome", "actor_id", "actor_name", "scope", "subject_kind", "subject_id"),
    *("subject_label", "sentence", "data", '"group"', "position", "previous", "digest"),
)
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


def fill(connection, count: int) -> None:
    """A chain of `count` plausible events in place of what there is, much faster than one append at a time.

    Spells out the hashed bytes in Python, independently of the function in the database.
    """
    last = bytes(32)
    with unguarded(connection), connection.cursor() as cursor:
        cursor.execute("TRUNCATE portal_auditevent")
        columns = ", ".join(COLUMNS)
        with cursor.copy(f"COPY portal_auditevent ({columns}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(COPY_HEADER)
            for position in range(1, count + 1):
                row = b"\x00\x0f" + b"".join(map(field, (*_event(position), position.to_bytes(8), last)))
                last = sha256(row).digest()
                copy.write(row + field(last))
            copy.write(b"\xff\xff")
        cursor.execute("UPDATE portal_audithead SET position = %s, digest = %s", [count, last])


def field(value: bytes | None) -> bytes:
    """One field as PostgreSQL's binary COPY format writes it."""
    return b"\xff\xff\xff\xff" if value is None else len(value).to_bytes(4) + value


def _event(position: int) -> tuple[bytes | None, ...]:
    """The columns from `at` to `group`; every seventh event is the portal's own."""
    microseconds_since_2000 = 846_000_000_000_000 + position * 1_000_003
    actor = None if position % 7 == 0 else (position % 50 + 1).to_bytes(8)
    return (
        microseconds_since_2000.to_bytes(8),
        b"checklist.ticked",
        b"done",
        actor,
        b"Alice Archer" if actor else b"portal",
        b"inspector",
        b"releases.checklistitem",
        str(position % 300).encode(),
        b"Key pages looked at",
        b"Alice Archer ticked \xe2\x80\x9cKey pages looked at\xe2\x80\x9d of release 2026.11.3.",
        b'{"candidate":"0123456789abcdef0123456789abcdef01234567","note":"looked at %d"}' % position,
        sha256(position.to_bytes(8)).digest()[:16],
    )
