"""Tampers with the audit chain in every way its owner can, and counts what verification finds.

`python -m tests.faults.audit_chain 1000000` on a database of its own; each attack is rolled back.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from django.db import connection, transaction
from django.utils import timezone

from portal.audit_proof import Anchor, anchor, read_anchors, verify
from tests.chain import COLUMNS, COPY_HEADER, field, fill, unguarded

EDITS = {
    "at": "at + interval '1 microsecond'",
    "action": "action || '.'",
    "outcome": "'failed'",
    "actor_id": "CASE WHEN actor_id IS NULL THEN 0 END",
    "actor_name": "''",
    "scope": "scope || ' '",
    "subject_kind": "upper(subject_kind)",
    "subject_id": "'0' || subject_id",
    "subject_label": "subject_label || chr(160)",
    "sentence": "'not ' || sentence",
    "data": "data || ' '",
    '"group"': "gen_random_uuid()",
    "position": "position + 5000000",
    "previous": "set_byte(previous, 31, get_byte(previous, 31) # 1)",
    "digest": "set_byte(digest, 0, get_byte(digest, 0) # 128)",
}


def attacks(events: int) -> Iterator[tuple[str, Callable[[], None], int | None]]:
    """Name, deed, and the position that must be named (None where any will do)."""
    for place, position in (("first", 1), ("middle", events // 2), ("last", events)):
        for column, value in EDITS.items():
            edit = f"UPDATE portal_auditevent SET {column} = {value} WHERE position = {position}"
            yield f"edit {column} of the {place}", sql(edit), position
        yield (
            f"delete the {place}",
            sql(f"DELETE FROM portal_auditevent WHERE position = {position}"),
            position,
        )
    yield from _moves(events // 2)
    yield from _ends(events)


def _moves(middle: int) -> Iterator[tuple[str, Callable[[], None], int | None]]:
    table = "portal_auditevent"
    yield (
        "shift a letter between fields",
        sql(
            f"UPDATE {table} SET action = left(action, -1), outcome = right(action, 1) || outcome"
            f" WHERE position = {middle}"
        ),
        middle,
    )
    yield (
        "swap two positions",
        sql(
            f"UPDATE {table} SET position = -1 WHERE position = {middle}",
            f"UPDATE {table} SET position = {middle} WHERE position = {middle + 1}",
            f"UPDATE {table} SET position = {middle + 1} WHERE position = -1",
        ),
        middle,
    )
    yield "insert before the first", sql(_copy_of(middle, "0")), 0
    yield "insert past the head", sql(_copy_of(middle, "(SELECT position + 1 FROM portal_audithead)")), None
    yield (
        "insert a second one at the end",
        sql(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey", _copy_of(middle, f"{middle * 2}")),
        middle * 2,
    )
    yield (
        "insert between",
        sql(
            f"UPDATE {table} SET position = -position WHERE position > {middle}",
            f"UPDATE {table} SET position = 1 - position WHERE position < 0",
            _copy_of(middle, f"{middle + 1}"),
        ),
        middle + 1,
    )


def _ends(events: int) -> Iterator[tuple[str, Callable[[], None], int | None]]:
    kept = events - events // 10
    move_head = "UPDATE portal_audithead SET (position, digest) = (SELECT position, digest FROM portal_auditevent"
    yield "change the head alone", sql(f"{move_head} WHERE position = {kept})"), kept + 1
    yield "cut off the end", sql(f"DELETE FROM portal_auditevent WHERE position > {kept}"), kept + 1
    yield (
        "cut off the end, and the head with it",
        sql(f"DELETE FROM portal_auditevent WHERE position > {kept}", f"{move_head} WHERE position = {kept})"),
        kept + 1,
    )
    yield (
        "remove everything",
        sql(
            "TRUNCATE portal_auditevent",
            "UPDATE portal_audithead SET position = 0, digest = decode(repeat('00', 32), 'hex')",
        ),
        1,
    )
    yield "edit, and compute all that follows anew", lambda: _rewrite(kept), None


def sql(*statements: str) -> Callable[[], None]:
    def run() -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return run


def _copy_of(position: int, new: str) -> str:
    columns = ", ".join(COLUMNS)
    values = columns.replace("position", new)
    source = f"SELECT {values} FROM portal_auditevent WHERE position = {position}"
    return f"INSERT INTO portal_auditevent ({columns}) {source}"


def _rewrite(first: int) -> None:
    """What someone does who knows the format: a consistent chain with another content from `first` on."""
    columns = ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE portal_auditevent SET outcome = 'refused' WHERE position = {first}")
        cursor.execute(f"SELECT digest FROM portal_auditevent WHERE position = {first - 1}")
        last = bytes(cursor.fetchone()[0])
        query = f"SELECT {columns} FROM portal_auditevent WHERE position >= {first} ORDER BY position"
        with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
            rows = [bytes(row) for row in copy]
        rows[0] = rows[0].removeprefix(COPY_HEADER)
        cursor.execute(f"DELETE FROM portal_auditevent WHERE position >= {first}")
        with cursor.copy(f"COPY portal_auditevent ({columns}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(COPY_HEADER)
            for row in rows:
                if len(row) > 2:
                    hashed = row[:-72] + field(last)
                    last = sha256(hashed).digest()
                    copy.write(hashed + field(last))
            copy.write(b"\xff\xff")
        cursor.execute("UPDATE portal_audithead SET digest = %s", [last])


def main(events: int = 1_000_000, report: Callable[[str], object] = print) -> int:
    """Fills a chain of `events`, attacks it, and returns how many attacks were not found or named wrongly."""
    with tempfile.TemporaryDirectory() as directory:
        anchors = sealed_chain(events, Path(directory) / "anchors")
    tried, missed, began = 0, 0, time.monotonic()
    for name, deed, position in attacks(events):
        tried += 1
        with transaction.atomic():
            with unguarded(connection):
                deed()
                verdict, full = verify(anchors=anchors), verify(anchors=anchors, full=True)
            transaction.set_rollback(True)
        found = not verdict.ok and verdict == full and position in (None, verdict.first_broken)
        missed += not found
        report(f"{'found ' if found else 'MISSED'}  {name}: {verdict.sentence}")
    assert verify(anchors=anchors).ok, "the chain is whole again after the last attack"
    report(f"{tried - missed} of {tried} attacks on {events:,} events found in {time.monotonic() - began:.0f} s")
    return missed


def sealed_chain(events: int, path: Path) -> list[Anchor]:
    """A chain of `events` with anchors at a third, two thirds and the end, each over what was new then."""
    for count in (events // 3, events * 2 // 3, events):
        fill(connection, count)
        anchor(timezone.now(), path=path)
    return read_anchors(path)


if __name__ == "__main__":
    with scratch_database():
        sys.exit(min(1, main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
