"""Recomputes the audit chain from the raw columns, with nothing of Django or of the database's own code.

An event's digest is the SHA-256 of its row in PostgreSQL's binary COPY format (manual, "COPY"),
up to the digest itself: the number of fields (15), then each column of `COLUMNS` as length and value. The
row ends with position, previous digest and digest, so one slice of fixed size tells where it belongs.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from hashlib import sha256
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

_DIGEST = 4 + 32
_TAIL = Struct(">i q i 32s i 32s")  # length and value of position, previous, digest


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


def follow(connection: psycopg.Connection, start: Link, upto: int, marks: Collection[int] = ()) -> Followed:
    """Recomputes the events after `start` up to `upto`, which must be there; `start` itself is trusted.

    A start at 0 also looks below 1, where no event may be. Raises psycopg.Error when it cannot read.
    """
    next_row = _copy(connection.pgconn, start.position, upto)
    position, last, digests = start.position, start.digest, []
    blank, tail, size = sha256().copy, _TAIL.pack, _TAIL.size
    _, row = next_row(0)
    row = row[len(COPY_HEADER) :]
    while len(row) > 2:  # the trailer, two bytes, comes instead of a row
        position += 1
        hasher = blank()  # a copy costs less than a new one
        hasher.update(row[:-_DIGEST])
        digest = hasher.digest()
        # Both are `size` long. `endswith`, since comparing a memoryview goes byte by byte.
        if not tail(8, position, 32, last, 32, digest).endswith(row[-size:]):
            break
        digests.append(digest)
        last = digest
        _, row = next_row(0)
    _finish(connection.pgconn)
    sound = Link(start.position + len(digests), last)
    found = {mark: digests[mark - start.position - 1] for mark in marks if start.position < mark <= sound.position}
    broken = None
    if len(row) > 2:
        broken = _explain(row, position, last, digest)
    elif sound.position < upto:
        broken = Break(sound.position + 1, _MISSING.format(sound.position + 1))
    return Followed(sound, found, broken)


def _copy(pgconn: Any, after: int, upto: int) -> Callable[[int], tuple[int, memoryview]]:
    """Starts the reading; libpq's own call, since psycopg's `Copy.read` costs more per row than the hash."""
    lower = f"position > {after:d} AND " if after else ""
    events = f"SELECT {COLUMNS} FROM portal_auditevent WHERE {lower}position <= {upto:d} ORDER BY position"  # noqa: S608
    started = pgconn.exec_(f"COPY ({events}) TO STDOUT (FORMAT binary)".encode())
    if started.status != ExecStatus.COPY_OUT:
        raise psycopg.OperationalError(started.error_message.decode(errors="replace"))
    return pgconn.get_copy_data


def _finish(pgconn: Any) -> None:
    """Leaves the connection ready for its next query; raises when the reading ended early."""
    while pgconn.get_copy_data(0)[0] > 0:
        pass
    while result := pgconn.get_result():
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.OperationalError(result.error_message.decode(errors="replace"))


def _explain(row: memoryview, expected: int, last: bytes, digest: bytes) -> Break:
    """What is wrong with the first row that does not fit."""
    *sizes, position, previous, stored = (_TAIL.unpack(row[-_TAIL.size :])[index] for index in (0, 2, 4, 1, 3, 5))
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


_MISSING = "Event {0} is missing: it was removed."

_reader: psycopg.Connection | None = None


def open_reader(conninfo: str) -> None:
    """Gives a worker process its own connection."""
    global _reader
    _reader = psycopg.connect(conninfo, autocommit=True)


def follow_in_reader(stretch: tuple[Link, int, Collection[int]]) -> Followed:
    """`follow`, in a worker process."""
    assert _reader  # noqa: S101 -- `open_reader` ran first
    return follow(_reader, *stretch)
