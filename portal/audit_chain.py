"""Recomputes the audit chain from the raw columns, with nothing of Django or of the database's own code.

An event's digest is the SHA-256 of its row in PostgreSQL's binary COPY format (manual, "COPY"), up to the
digest itself: the number of fields (15), then each column of `COLUMNS` as length and value. The row ends
with position, previous digest and digest, so one slice of fixed size tells where it belongs.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import repeat
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
_ROWS = 256  # checked at once: few enough to stay in the processor's cache, many enough to share the cost
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
    for rows, digests in _read(connection.pgconn, start.position, upto):
        if broken:
            continue  # the rest of the answer has to be taken off the connection
        for row in rows if content else ():
            content.update(row)
        positions = range(end.position + 1, end.position + 1 + len(rows))
        previous = [end.digest, *digests]
        expected = map(_END.pack, repeat(8), positions, repeat(32), previous, repeat(32), digests)
        if b"".join([row[_AT_END] for row in rows]) != b"".join(expected):
            end, broken = _find_break(rows, digests, end)
            digests = digests[: end.position - positions.start + 1]
        elif digests:
            end = Link(positions[-1], digests[-1])
        found |= {mark: digests[mark - positions.start] for mark in marks if positions.start <= mark <= end.position}
    if not broken and end.position < upto:
        broken = Break(end.position + 1, _MISSING.format(end.position + 1))
    return Followed(end, found, broken)


def weigh(connection: psycopg.Connection, seals: Sequence[Seal]) -> int:
    """How many of the seals, each beginning where the one before ends, fit; it stops at one that does not.

    Reads the same bytes as `follow`, but hashes them in one go, which is what makes it fast.
    """
    pgconn, fitting = connection.pgconn, 0
    size, row = _begin(pgconn, seals[0].after, seals[-1].position)
    next_row = pgconn.get_copy_data
    for seal in seals:
        content = sha256()
        add = content.update
        for _ in range(seal.position - seal.after):
            if size <= _TRAILER or len(row) <= _TRAILER:
                break
            add(row)
            size, row = next_row(0)
        if content.digest() != seal.content:
            break
        fitting += 1
    _end(pgconn, size)
    return fitting


def _read(pgconn: Any, after: int, upto: int) -> Iterator[tuple[list[memoryview], list[bytes]]]:
    """The rows, some at a time, with their digests computed as they come."""
    size, row = _begin(pgconn, after, upto)
    next_row, blank = pgconn.get_copy_data, sha256().copy
    while size > _TRAILER and len(row) > _TRAILER:
        rows: list[memoryview] = []
        digests: list[bytes] = []
        while size > _TRAILER and len(rows) < _ROWS:
            hasher = blank()  # a copy costs less than a new one
            hasher.update(row[_HASHED])
            digests.append(hasher.digest())
            rows.append(row)
            size, row = next_row(0)
        yield rows, digests
    _end(pgconn, size)


def _begin(pgconn: Any, after: int, upto: int) -> tuple[int, memoryview]:
    """Starts the reading and returns size and bytes of the first row, without the header sent with it.

    By libpq's own calls, since psycopg's `Copy.read` costs more per row than the hash.
    """
    lower = f"position > {after:d} AND " if after else ""
    events = f"SELECT {COLUMNS} FROM portal_auditevent WHERE {lower}position <= {upto:d} ORDER BY position"  # noqa: S608
    started = pgconn.exec_(f"COPY ({events}) TO STDOUT (FORMAT binary)".encode())
    if started.status != ExecStatus.COPY_OUT:
        raise psycopg.OperationalError(started.error_message.decode(errors="replace"))
    size, row = pgconn.get_copy_data(0)
    return size, row[len(COPY_HEADER) :]


def _end(pgconn: Any, size: int) -> None:
    """Leaves the connection ready for its next query; raises when the reading ended early."""
    while size > 0:
        size, _ = pgconn.get_copy_data(0)
    while result := pgconn.get_result():
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
