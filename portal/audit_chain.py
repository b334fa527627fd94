"""Recomputes the audit chain from the raw columns, with nothing of Django or of the database's own code.

An event's digest is the SHA-256 of its row in PostgreSQL's binary COPY format (manual, "COPY"), up to the
digest itself: the number of fields (15), then each column of `COLUMNS` as length and value. The row ends
with position, previous digest and digest, so one slice of fixed size tells where it belongs.
"""

from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import islice, repeat
from struct import Struct
from typing import Any

import psycopg
from psycopg.pq import ExecStatus

COLUMNS = (
    "at, action, outcome, actor_id, actor_name, scope, subject_kind, subject_id, subject_label, sentence, "
    'data, "group", position, previous, digest'
)
COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
GENESIS = bytes(32)

_HASHED = slice(None, -(4 + 32))  # all but the digest
_END = Struct(">i q i 32s i 32s")  # length and value of position, previous, digest
_AT_END = slice(-_END.size, None)
_ROWS = 256  # held at once: few enough for the processor's cache and the collector, enough to share the cost
_TRAILER = 2  # bytes that come after the last row
_MISSING = "Event {0} is missing: it was removed."


@dataclass(frozen=True)
class Link:
    """The chain up to and with `position`; an empty chain is `Link(0, GENESIS)`."""

    position: int
    digest: bytes


@dataclass(frozen=True)
class Break:
    """The first event that is not as it was written, and what is wrong with it in one sentence."""

    position: int
    sentence: str


@dataclass(frozen=True)
class Followed:
    """One stretch read: its last sound link, the digests at the positions asked for, the first break."""

    end: Link
    marks: dict[int, bytes] = field(default_factory=dict)
    broken: Break | None = None


@dataclass(frozen=True)
class Seal:
    """The SHA-256 over all bytes of the rows after one position up to another, end to end."""

    after: int
    position: int
    content: bytes


def follow(
    connection: psycopg.Connection, start: Link, upto: int, marks: Collection[int] = (), content: Any = None
) -> Followed:
    """Recomputes the events after `start` up to `upto`, which must be there; `start` itself is trusted.

    A start at 0 also looks below 1, where no event may be. `content`, a hash object, is fed all bytes.
    Raises psycopg.Error when it cannot read.
    """
    end, broken = start, None
    found: dict[int, bytes] = {}
    with closing(_read(connection, start.position, upto)) as events:
        for rows in events:
            for row in rows if content else ():
                content.update(row)
            digests = [sha256(row[_HASHED]).digest() for row in rows]
            positions = range(end.position + 1, end.position + 1 + len(rows))
            previous = [end.digest, *digests]
            expected = map(_END.pack, repeat(8), positions, repeat(32), previous, repeat(32), digests)
            if b"".join([row[_AT_END] for row in rows]) != b"".join(expected):
                end, broken = _find_break(rows, digests, end)
                digests = digests[: end.position - positions.start + 1]
            else:
                end = Link(positions[-1], digests[-1])
            found |= {one: digests[one - positions.start] for one in marks if positions.start <= one <= end.position}
            if broken:
                break
    if not broken and end.position < upto:
        broken = Break(end.position + 1, _MISSING.format(end.position + 1))
    return Followed(end, found, broken)


def weigh(connection: psycopg.Connection, seals: Sequence[Seal]) -> int:
    """How many of the seals, each beginning where the one before ends, fit; it stops at one that does not.

    Reads the same bytes as `follow`, but hashes them in one go, which is what makes it fast.
    """
    fitting, content = 0, sha256()
    left = [seal.position - seal.after for seal in seals]  # events that each still has to be given
    with closing(_read(connection, seals[0].after, seals[-1].position)) as events:
        for rows in events:
            while rows:
                if fitting == len(seals):
                    return fitting - 1  # more bears these positions than was sealed
                taken, rows = rows[: left[fitting]], rows[left[fitting] :]
                for row in taken:
                    content.update(row)
                left[fitting] -= len(taken)
                if not left[fitting]:
                    if content.digest() != seals[fitting].content:
                        return fitting
                    fitting, content = fitting + 1, sha256()
    return fitting


def _read(connection: psycopg.Connection, after: int, upto: int) -> Generator[list[memoryview]]:
    """The rows after one position up to another, some at a time; after 0 also those below 1.

    By libpq's own calls, since psycopg's `Copy.read` costs more per row than the hash. Leaves the connection
    ready for its next query, also when it is closed early.
    """
    pgconn = connection.pgconn
    lower = f"position > {after:d} AND " if after else ""
    events = f"SELECT {COLUMNS} FROM portal_auditevent WHERE {lower}position <= {upto:d} ORDER BY position"  # noqa: S608
    started = pgconn.exec_(f"COPY ({events}) TO STDOUT (FORMAT binary)".encode())
    if started.status != ExecStatus.COPY_OUT:
        raise psycopg.OperationalError(started.error_message.decode(errors="replace"))
    answer = iter(partial(pgconn.get_copy_data, 0), (-1, b""))
    skipped = len(COPY_HEADER)  # is sent with the first row
    try:
        while rows := [row for _, row in islice(answer, _ROWS)]:
            rows[0] = rows[0][skipped:]
            if len(rows[-1]) <= _TRAILER:
                rows.pop()
            if rows:
                yield rows
            skipped = 0
    finally:
        _end(pgconn)


def _end(pgconn: Any) -> None:
    """Takes what is left of an answer off the connection; raises when it ended in an error."""
    while result := pgconn.get_result():
        while result.status == ExecStatus.COPY_OUT and pgconn.get_copy_data(0)[0] > 0:
            pass
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.OperationalError(result.error_message.decode(errors="replace"))


def _find_break(rows: list[memoryview], digests: list[bytes], last: Link) -> tuple[Link, Break]:
    """Row by row, for the few that hold the break: the last sound link, and what is wrong after it."""
    for row, digest in zip(rows, digests, strict=True):
        expected = last.position + 1
        end = bytes(row[_AT_END])
        if end != _END.pack(8, expected, 32, last.digest, 32, digest):
            return last, _explain(end, expected, last.digest, digest)
        last = Link(expected, digest)
    raise AssertionError("The rows fit one by one but not together.")


def _explain(end: bytes, expected: int, last: bytes, digest: bytes) -> Break:
    """What is wrong with the first row that does not fit, from its last three columns."""
    *sizes, position, previous, stored = (_END.unpack(end)[index] for index in (0, 2, 4, 1, 3, 5))
    if sizes != [8, 32, 32]:
        return Break(expected, f"Event {expected} was edited: a digest of it is not one.")
    name = f"Event {position}"
    if position > expected:
        return Break(expected, _MISSING.format(expected))
    if position < expected:
        return Break(position, f"{name} is out of order: it was put in where no event was written.")
    if previous == last and stored != digest:
        return Break(position, f"{name} was edited: its contents no longer give its digest.")
    if stored == digest:
        sentence = f"{name} does not follow event {position - 1}: one of them was put in or rewritten later."
        return Break(position, sentence)
    return Break(position, f"{name} is not what was written at this place: it was edited, moved or put in.")
