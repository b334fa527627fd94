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

from portal.audit_chain import SHOWN
from portal.audit_proof import Anchor, anchor, read_anchors, verify
from tests.chain import COLUMNS, COPY_HEADER, field, fill, unguarded

# What becomes of one line of the text, `$`.
LINES = {
    "at": "regexp_replace($, '.Z', CASE WHEN $ LIKE '%0Z' THEN '1Z' ELSE '0Z' END)",
    "action": "$ || '.'",
    "outcome": "'failed'",
    "actor_id": "CASE WHEN $ = '' THEN '0' ELSE '' END",
    "actor_name": "''",
    "scope": "$ || ' '",
    "subject_kind": "upper($)",
    "subject_id": "'0' || $",
    "subject_label": "$ || chr(160)",
    "sentence": "'not ' || $",
    "data": "$ || ' '",
    "group": "gen_random_uuid()::text",
}
EDITS = {
    "position": "position + 5000000",
    "digest": "set_byte(digest, 0, get_byte(digest, 0) # 128)",
}


def attacks(events: int) -> Iterator[tuple[str, Callable[[], None], int | None]]:
    """Name, deed, and the position that must be named (None where any will do)."""
    for place, position in (("first", 1), ("middle", events // 2), ("last", events)):
        for line in LINES:
            yield f"edit {line} of the {place}", sql(edited(line, f"position = {position}")), position
        for column, value in EDITS.items():
            edit = f"UPDATE portal_auditchain SET {column} = {value} WHERE position = {position}"
            yield f"edit {column} of the {place}", sql(edit), position
        yield (
            f"delete the {place}",
            sql(f"DELETE FROM portal_auditchain WHERE position = {position}"),
            position,
        )
    yield from _moves(events // 2)
    yield from _ends(events)


def _moves(middle: int) -> Iterator[tuple[str, Callable[[], None], int | None]]:
    table = "portal_auditchain"
    yield (
        "shift a letter between fields",
        sql(f"UPDATE {table} SET body = replace(body, E'm\\n', E'\\nm') WHERE position = {middle}"),
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
    yield (
        "fold a text into the one before",
        sql(
            f"ALTER TABLE {table} DROP CONSTRAINT {table}_body_check",
            f"UPDATE {table} SET body = body || E'\\x1e' || (SELECT body FROM {table} WHERE position = {middle + 1})"
            f" WHERE position = {middle}",
            f"UPDATE {table} SET body = '' WHERE position = {middle + 1}",
        ),
        middle,
    )
    loose = (
        *(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_check" for column in ("body", "digest")),
        *(f"ALTER TABLE {table} ALTER {column} DROP NOT NULL" for column in ("body", "digest")),
    )
    text = f"body = body || E'\\x1e' || (SELECT body FROM {table} WHERE position = {middle + 1})"
    link = f"digest = digest || (SELECT int8send(position) || digest FROM {table} WHERE position = {middle + 1})"
    folded = f"UPDATE {table} SET {text}, {link} WHERE position = {middle}"
    removed = f"DELETE FROM {table} WHERE position = {middle + 1}"
    yield "fold an event into the one before", sql(*loose, folded, removed), middle
    for column, change in (("body", text), ("digest", link)):
        emptied = f"UPDATE {table} SET {column} = NULL WHERE position = {middle + 1}"
        folded = f"UPDATE {table} SET {change} WHERE position = {middle}"
        yield f"fold a {column} into the one before and leave none", sql(*loose, folded, emptied), middle
    yield (
        "take a text away",
        sql(
            f"ALTER TABLE {table} ALTER body DROP NOT NULL",
            f"UPDATE {table} SET body = NULL WHERE position = {middle}",
        ),
        middle,
    )
    yield (
        "slide a byte from digest to digest",
        sql(
            f"ALTER TABLE {table} DROP CONSTRAINT {table}_digest_check",
            f"UPDATE {table} SET digest = digest || substring((SELECT digest FROM {table}"
            f" WHERE position = {middle + 1}) for 1) WHERE position = {middle}",
            f"UPDATE {table} SET digest = substring(digest from 2) WHERE position = {middle + 1}",
        ),
        middle,
    )
    yield "insert before the first", sql(_copy_of(middle, "0")), 0
    yield "insert past the head", sql(_copy_of(middle, "(SELECT position + 1 FROM portal_audithead)")), None
    yield (
        "insert a second one at the end",
        sql(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey", _copy_of(middle, f"{middle * 2}")),
        None,
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
    move_head = "UPDATE portal_audithead SET (position, digest) = (SELECT position, digest FROM portal_auditchain"
    yield "change the head alone", sql(f"{move_head} WHERE position = {kept})"), kept + 1
    yield "cut off the end", sql(f"DELETE FROM portal_auditchain WHERE position > {kept}"), kept + 1
    yield (
        "cut off the end, and the head with it",
        sql(f"DELETE FROM portal_auditchain WHERE position > {kept}", f"{move_head} WHERE position = {kept})"),
        kept + 1,
    )
    yield (
        "remove everything",
        sql(
            "TRUNCATE portal_auditchain",
            "UPDATE portal_audithead SET position = 0, digest = decode(repeat('00', 32), 'hex')",
        ),
        1,
    )
    yield "edit, and compute all that follows anew", lambda: _rewrite(kept), None
    shown = SHOWN.replace("pg_catalog.split_part(body, E'\\n', 10)", "'Nothing happened.'")
    yield "let pages show something else", sql(f"CREATE OR REPLACE VIEW portal_auditevent AS {shown}"), None
    shown = f"{SHOWN} WHERE position <> {kept}"
    yield "keep an event from the pages", sql(f"CREATE OR REPLACE VIEW portal_auditevent AS {shown}"), None


def edited(line: str, condition: str) -> str:
    """The statement that edits `line` of the events that meet `condition`."""
    number = list(LINES).index(line) + 1
    value = LINES[line].replace("$", f"lines[{number}]")
    parts = f"lines[:{number - 1}] || ({value})::text || lines[{number + 1}:]"
    return (
        f"UPDATE portal_auditchain SET body = array_to_string({parts}, E'\\n')"
        " FROM (SELECT position AS at, string_to_array(body, E'\\n') AS lines FROM portal_auditchain) split"
        f" WHERE at = position AND {condition}"
    )


def sql(*statements: str) -> Callable[[], None]:
    def run() -> None:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    return run


def _copy_of(position: int, new: str) -> str:
    columns = ", ".join(COLUMNS)
    values = columns.replace("position", new)
    source = f"SELECT {values} FROM portal_auditchain WHERE position = {position}"
    return f"INSERT INTO portal_auditchain ({columns}) {source}"


def _rewrite(first: int) -> None:
    """What someone does who knows the format: a consistent chain with another content from `first` on."""
    columns = ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(edited("outcome", f"position = {first}"))
        cursor.execute(f"SELECT digest FROM portal_auditchain WHERE position = {first - 1}")
        last = bytes(cursor.fetchone()[0])
        query = f"SELECT {columns} FROM portal_auditchain WHERE position >= {first} ORDER BY position"
        with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
            rows = [bytes(row) for row in copy]
        rows[0] = rows[0].removeprefix(COPY_HEADER)
        cursor.execute(f"DELETE FROM portal_auditchain WHERE position >= {first}")
        with cursor.copy(f"COPY portal_auditchain ({columns}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(COPY_HEADER)
            for row in rows:
                if len(row) > 2:
                    before = int.from_bytes(row[-44:-36]) - 1
                    last = sha256(before.to_bytes(8) + last + row[6:-48]).digest()
                    copy.write(row[:-36] + field(last))
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
