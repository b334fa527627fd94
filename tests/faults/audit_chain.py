"""Tampers with the audit chain in every way its owner can, and counts what verification finds.

`python -m tests.faults.audit_chain 1000000` on a database of its own; each attack is rolled back.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from django.db import connection, transaction
from django.test.utils import override_settings
from django.utils import timezone

from portal.audit.anchors import as_line
from portal.audit.chain import SHOWN, table
from portal.audit.verification import (
    Anchor,
    Verification,
    anchor,
    anchors_path,
    read_anchors,
    verify,
)
from portal.jobs import AuditWatch
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
            yield (
                f"edit {line} of the {place}",
                sql(edited(line, f"position = {position}")),
                position,
            )
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


def blinding(events: int) -> Iterator[tuple[str, Callable[[], None], int | None]]:
    """The same for what keeps a verifier from seeing; these leave the chain's triggers as they
    find them.
    """
    yield from _blinds(events // 2)
    yield from _replacements(events // 2)


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
            f"UPDATE {table} SET body = body || E'\\x1e' || (SELECT body FROM {table} WHERE"
            f" position = {middle + 1}) WHERE position = {middle}",
            f"UPDATE {table} SET body = '' WHERE position = {middle + 1}",
        ),
        middle,
    )
    loose = (
        *(
            f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_check"
            for column in ("body", "digest")
        ),
        *(f"ALTER TABLE {table} ALTER {column} DROP NOT NULL" for column in ("body", "digest")),
    )
    text = f"body = body || E'\\x1e' || (SELECT body FROM {table} WHERE position = {middle + 1})"
    link = (
        f"digest = digest || (SELECT int8send(position) || digest FROM {table} WHERE position ="
        f" {middle + 1})"
    )
    folded = f"UPDATE {table} SET {text}, {link} WHERE position = {middle}"
    removed = f"DELETE FROM {table} WHERE position = {middle + 1}"
    yield "fold an event into the one before", sql(*loose, folded, removed), middle
    for column, change in (("body", text), ("digest", link)):
        emptied = f"UPDATE {table} SET {column} = NULL WHERE position = {middle + 1}"
        folded = f"UPDATE {table} SET {change} WHERE position = {middle}"
        yield (
            f"fold a {column} into the one before and leave none",
            sql(*loose, folded, emptied),
            middle,
        )
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
    yield (
        "insert past the head",
        sql(_copy_of(middle, "(SELECT position + 1 FROM portal_audithead)")),
        None,
    )
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
    move_head = (
        "UPDATE portal_audithead SET (position, digest) = (SELECT position, digest FROM"
        " portal_auditchain"
    )
    yield "change the head alone", sql(f"{move_head} WHERE position = {kept})"), kept + 1
    yield "cut off the end", sql(f"DELETE FROM portal_auditchain WHERE position > {kept}"), kept + 1
    yield (
        "cut off the end, and the head with it",
        sql(
            f"DELETE FROM portal_auditchain WHERE position > {kept}",
            f"{move_head} WHERE position = {kept})",
        ),
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
    yield "edit, and compute all that follows anew", lambda: rewrite(kept), None
    shown = SHOWN.format(chain=table()).replace(
        "pg_catalog.split_part(body, E'\\n', 10)", "'Nothing happened.'"
    )
    yield (
        "let pages show something else",
        sql(f"CREATE OR REPLACE VIEW portal_auditevent AS {shown}"),
        None,
    )
    shown = f"{SHOWN.format(chain=table())} WHERE position <> {kept}"
    yield (
        "keep an event from the pages",
        sql(f"CREATE OR REPLACE VIEW portal_auditevent AS {shown}"),
        None,
    )


def _blinds(middle: int) -> Iterator[tuple[str, Callable[[], None], int | None]]:
    """What keeps a verifier from seeing an event that was edited, or is meant to."""
    table, change = "portal_auditchain", _unnoticed(edited("sentence", f"position = {middle}"))
    sound = [
        "CREATE SCHEMA shadow",
        *(
            f"CREATE TABLE shadow.{one} AS SELECT * FROM {one}"
            for one in (table, "portal_audithead")
        ),
        f"ALTER TABLE shadow.{table} ADD PRIMARY KEY (position)",
        "CREATE VIEW shadow.portal_auditevent AS SELECT * FROM portal_auditevent",
    ]
    yield (
        "set a search_path to a sound copy",
        sql(*sound, *change, "SET LOCAL search_path = shadow, public, pg_catalog"),
        middle,
    )
    for verb in ("ENABLE", "FORCE"):
        yield (
            f"{verb.lower()} row security",
            sql(f"ALTER TABLE {table} {verb} ROW LEVEL SECURITY"),
            None,
        )
    yield (
        "hide an event by row security",
        sql(
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY most ON {table} USING (position <> {middle})",
        ),
        None,
    )
    yield (
        "leave a policy that is switched off",
        sql(f"CREATE POLICY all_ ON {table} USING (true)"),
        None,
    )
    yield "hide a head", sql("ALTER TABLE portal_audithead ENABLE ROW LEVEL SECURITY"), None
    yield "add a child whose events count", sql(f"CREATE TABLE child () INHERITS ({table})"), None
    yield "make a rule", sql(f"CREATE RULE quiet AS ON INSERT TO {table} DO INSTEAD NOTHING"), None
    yield "make the chain forget at a crash", sql(f"ALTER TABLE {table} SET UNLOGGED"), None
    yield "add a column", sql(f"ALTER TABLE {table} ADD truth text"), None
    yield "add an index", sql(f"CREATE INDEX evil ON {table} (position) WHERE position < 9"), None
    yield (
        "put a view in the chain's place",
        sql(f"ALTER TABLE {table} RENAME TO real", f"CREATE VIEW {table} AS SELECT * FROM real"),
        None,
    )
    yield (
        "put a partitioned table in the chain's place",
        sql(
            f"ALTER TABLE {table} RENAME TO real",
            f"CREATE TABLE {table} (LIKE real) PARTITION BY RANGE (position)",
        ),
        None,
    )
    for name in ("chain", "keep"):
        yield (
            f"switch the trigger {name} off",
            sql(f"ALTER TABLE {table} DISABLE TRIGGER {name}"),
            None,
        )
        yield (
            f"let the trigger {name} be switched off",
            sql(f"ALTER TABLE {table} ENABLE TRIGGER {name}"),
            None,
        )
    yield "drop a trigger of the head", sql("DROP TRIGGER guard ON portal_audithead"), None
    yield (
        "add a trigger",
        sql(f"CREATE TRIGGER more BEFORE INSERT ON {table} EXECUTE FUNCTION portal_audit_refuse()"),
        None,
    )


def _unnoticed(change: str) -> tuple[str, ...]:
    """The statement between two that lift the chain's triggers and put them back."""
    names = ("chain", "keep")
    return (
        "ALTER TABLE portal_auditchain DISABLE TRIGGER ALL",
        change,
        *(f"ALTER TABLE portal_auditchain ENABLE ALWAYS TRIGGER {name}" for name in names),
    )


def _replacements(middle: int) -> Iterator[tuple[str, Callable[[], None], int | None]]:
    """Functions, operators and casts that say something else than they should; some need a
    superuser.
    """
    change = _unnoticed(edited("sentence", f"position = {middle}"))
    earlier = "SET LOCAL search_path = public, pg_catalog"
    for name, takes, gives in (
        ("sha256", "bytea", "bytea"),
        ("int8send", "bigint", "bytea"),
        ("convert_to", "text, name", "bytea"),
        ("split_part", "text, text, integer", "text"),
    ):
        lie = (
            f"CREATE FUNCTION public.{name}({takes}) RETURNS {gives} LANGUAGE sql AS $$ SELECT"
            f" ''::{gives} $$"
        )
        yield f"put a {name} before the built-in one", sql(lie, *change, earlier), middle
    yield (
        "put an operator before the built-in one",
        sql(
            "CREATE FUNCTION public.never(bigint, bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT"
            " false $$",
            *(
                f"CREATE OPERATOR public.{sign} (FUNCTION = public.never, LEFTARG = bigint,"
                " RIGHTARG = bigint)"
                for sign in ("=", ">", "<=", ">=")
            ),
            *change,
            earlier,
        ),
        middle,
    )
    for name, takes, lie in (
        ("split_part", "text, text, integer", "SELECT 'Nothing happened.'::text"),
        ("int8send", "bigint", "SELECT ''::bytea"),
        ("convert_to", "text, name", "SELECT ''::bytea"),
        ("byteacat", "bytea, bytea", "SELECT $1"),
    ):
        gives = "text" if name == "split_part" else "bytea"
        lie = (
            f"CREATE OR REPLACE FUNCTION pg_catalog.{name}({takes}) RETURNS {gives} LANGUAGE sql AS"
            f" $$ {lie} $$"
        )
        yield f"replace the built-in {name}", sql(lie), None
    yield (
        "put a cast between text and time",
        sql(
            "CREATE FUNCTION public.when_(text) RETURNS timestamptz LANGUAGE sql AS $$ SELECT"
            " now() $$",
            "CREATE CAST (text AS timestamptz) WITH FUNCTION public.when_(text)",
            f"CREATE OR REPLACE VIEW portal_auditevent AS {SHOWN.format(chain=table())}",
        ),
        None,
    )
    for name in ("portal_audit_chain", "portal_audit_refuse", "portal_audit_guard_head"):
        lie = f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
        yield f"replace {name}", sql(f"{lie} AS $$ BEGIN RETURN NEW; END $$"), None
    yield (
        "put a second portal_audit_append beside the first",
        sql(
            "CREATE FUNCTION portal_audit_append(text) RETURNS bigint LANGUAGE sql AS $$ SELECT"
            " 1::bigint $$"
        ),
        None,
    )
    shown = SHOWN.format(chain=table()).replace(
        "pg_catalog.split_part(body, E'\\n', 10)", "public.mild(body)"
    )
    yield (
        "let pages show what a function says",
        sql(
            "CREATE FUNCTION public.mild(text) RETURNS text LANGUAGE sql IMMUTABLE"
            " AS $$ SELECT pg_catalog.split_part($1, E'\\n', 10) $$",
            f"CREATE OR REPLACE VIEW portal_auditevent AS {shown}",
        ),
        None,
    )


def edited(line: str, condition: str) -> str:
    """The statement that edits `line` of the events that meet `condition`."""
    number = list(LINES).index(line) + 1
    value = LINES[line].replace("$", f"lines[{number}]")
    parts = f"lines[:{number - 1}] || ({value})::text || lines[{number + 1}:]"
    return (
        f"UPDATE portal_auditchain SET body = array_to_string({parts}, E'\\n') FROM (SELECT"
        " position AS at, string_to_array(body, E'\\n') AS lines FROM portal_auditchain) split"
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


def rewrite(first: int) -> None:
    """What someone does who knows the format: a consistent chain with another content from
    `first` on.
    """
    columns = ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        cursor.execute(edited("outcome", f"position = {first}"))
        cursor.execute(f"SELECT digest FROM portal_auditchain WHERE position = {first - 1}")
        last = bytes(cursor.fetchone()[0])
        query = (
            f"SELECT {columns} FROM portal_auditchain WHERE position >= {first} ORDER BY position"
        )
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
    """Fills a chain of `events`, attacks it, and returns how many attacks were not found or
    named wrongly.
    """
    with tempfile.TemporaryDirectory() as directory:
        anchors = sealed_chain(events, Path(directory) / "anchors")
    tried, missed, began = 0, 0, time.monotonic()
    guarded = [(nullcontext, one) for one in blinding(events)]
    for lifted, (name, deed, position) in [
        *((unguarded, attack) for attack in attacks(events)),
        *guarded,
    ]:
        tried += 1
        with transaction.atomic():
            with lifted(connection):
                deed()
            verdict, full = verify(anchors=anchors), verify(anchors=anchors, full=True)
            transaction.set_rollback(True)
        found = not verdict.ok and verdict == full and position in (None, verdict.first_broken)
        missed += not found
        report(f"{'found ' if found else 'MISSED'}  {name}: {verdict.sentence}")
    for name, verdict in without_anchors(anchors):
        tried, missed = tried + 1, missed + verdict.ok
        report(f"{'MISSED' if verdict.ok else 'found '}  {name}: {verdict.sentence}")
    assert verify(anchors=anchors).ok, "the chain is whole again after the last attack"
    report(
        f"{tried - missed} of {tried} attacks on {events:,} events found in"
        f" {time.monotonic() - began:.0f} s"
    )
    return missed


def without_anchors(anchors: list[Anchor]) -> Iterator[tuple[str, Verification]]:
    """What is said once the file of anchors is gone, empty, or no longer what it was, after the
    worker anchored.
    """
    with (
        tempfile.TemporaryDirectory() as directory,
        override_settings(VAR_DIR=Path(directory), AUDIT_OUTSIDE=""),
        transaction.atomic(),
    ):
        AuditWatch.objects.create(ok=True, at=timezone.now())
        yield "remove the anchors", verify()
        anchors_path().write_bytes(b"")
        yield "empty the anchors", verify()
        anchors_path().write_bytes(as_line(replace(anchors[-1], digest="00" * 32)))
        yield "rewrite the anchors", verify()
        transaction.set_rollback(True)


def sealed_chain(events: int, path: Path) -> list[Anchor]:
    """A chain of `events` with anchors at a third, two thirds and the end, each over what was
    new then.
    """
    for count in (events // 3, events * 2 // 3, events):
        fill(connection, count)
        anchor(timezone.now(), path=path)
    return read_anchors(path)


if __name__ == "__main__":
    with scratch_database():
        sys.exit(min(1, main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)))
