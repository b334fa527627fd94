"""Recomputes the audit chain from the raw columns, without Django's or the database's own code.

An event's digest is the SHA-256 of the link before it, which is a position (8 bytes, big-endian)
and its digest (32 bytes), and of its own text. The first follows position 0 and 32 zero bytes.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from struct import Struct
from typing import Any

import psycopg
from django.conf import settings
from psycopg.pq import ExecStatus

GENESIS = bytes(32)
# What pages read: the lines of `body`, one after the other; anything else may show another text.
SHOWN = """
SELECT position, pg_catalog.split_part(body, E'\\n', 1)::pg_catalog.timestamptz AS at,
    pg_catalog.split_part(body, E'\\n', 2) AS action,
    pg_catalog.split_part(body, E'\\n', 3) AS outcome,
    nullif(pg_catalog.split_part(body, E'\\n', 4), '')::pg_catalog.int8 AS actor_id,
    pg_catalog.split_part(body, E'\\n', 5) AS actor_name,
    pg_catalog.split_part(body, E'\\n', 6) AS scope,
    pg_catalog.split_part(body, E'\\n', 7) AS subject_kind,
    pg_catalog.split_part(body, E'\\n', 8) AS subject_id,
    pg_catalog.split_part(body, E'\\n', 9) AS subject_label,
    pg_catalog.split_part(body, E'\\n', 10) AS sentence,
    pg_catalog.split_part(body, E'\\n', 11) AS data,
    pg_catalog.split_part(body, E'\\n', 12)::pg_catalog.uuid AS "group", digest FROM {chain}
"""

_LINK = Struct(">q 32s")
_SIZE, _COUNT = Struct(">i"), Struct(">i q")
_BETWEEN = b"\x1e"  # after each text; none holds one
_AT_ONCE = 256  # events that are read as one row
_COPY_HEADER = 19  # bytes, sent with the first row (manual, "COPY", Binary Format)
# An absent value counts as an empty one: left out, it could be hidden in its neighbour.
_READ = """
SELECT many.* FROM ROWS FROM (
    pg_catalog.unnest('{firsts}'::pg_catalog.int8[]),
    pg_catalog.unnest('{lasts}'::pg_catalog.int8[])
) AS stretch (first, last), LATERAL (
    SELECT pg_catalog.string_agg(coalesce(body, ''), E'\\x1e'),
        pg_catalog.string_agg(pg_catalog.int8send(position) OPERATOR(pg_catalog.||)
        coalesce(digest, ''), ''),
        pg_catalog.count(*)
    FROM (
        SELECT body, position, digest FROM ONLY {chain}
        WHERE position OPERATOR(pg_catalog.>=) first AND position OPERATOR(pg_catalog.<=) last
        ORDER BY position
    ) AS one
) AS many
"""
_ONE_BY_ONE = """
SELECT position, digest, pg_catalog.convert_to(body, 'UTF8') FROM ONLY {chain}
WHERE position OPERATOR(pg_catalog.>) %s AND position OPERATOR(pg_catalog.<=) %s ORDER BY position
"""


def table(name: str = "portal_auditchain") -> str:
    """Return one of the chain's relations with its schema: no search_path decides which is read."""
    schema = settings.DATABASE_SCHEMA.replace('"', '""')
    return f'"{schema}".{name}'


Stretch = tuple[int, int]  # the first and the last of some positions


@dataclass(frozen=True)
class Link:
    """The chain up to and with `position`; an empty chain is `Link(0, GENESIS)`."""

    position: int
    digest: bytes

    def __bytes__(self) -> bytes:
        return _LINK.pack(self.position, self.digest)


@dataclass(frozen=True)
class Break:
    """The first event that is not as it was written, and what is wrong with it in one sentence."""

    position: int
    sentence: str


@dataclass(frozen=True)
class Followed:
    """One stretch read: its last sound link, the digests asked for, and the first break."""

    end: Link
    marks: dict[int, bytes] = field(default_factory=dict)
    broken: Break | None = None


@dataclass(frozen=True)
class Seal:
    """The digest of a `Content`: that of the events after one position up to another."""

    after: int
    position: int
    content: bytes


class Content:
    """All that is stored of a known number of events: each text with U+001E after it, which would
    be one too many within a text, and each link: one of another size would move all that follow.
    """

    def __init__(self) -> None:
        self._texts, self._links = sha256(), sha256()

    def add(self, texts: bytes | memoryview, links: bytes | memoryview) -> None:
        """Take in texts with U+001E between them, and the links of the same events."""
        self._texts.update(texts)
        self._texts.update(_BETWEEN)
        self._links.update(links)

    def digest(self) -> bytes:
        """Return the SHA-256 of two SHA-256: that of the texts and that of the links."""
        return sha256(self._texts.digest() + self._links.digest()).digest()


def follow(
    connection: psycopg.Connection,
    start: Link,
    upto: int,
    marks: Collection[int] = (),
    content: Content | None = None,
) -> Followed:
    """Recompute the events after `start`, which is trusted, up to `upto`, which must be there.

    `content` is given all that is read. Raise psycopg.Error when it cannot read.
    """
    last, digests = start, dict[int, bytes]()
    stretches = _stretches(start.position, upto)
    with _copy(connection, stretches) as rows:
        for (first, end), (texts, links) in zip(stretches, rows, strict=False):
            if content:
                content.add(texts, links)
            computed = _links(last, texts.split(_BETWEEN))
            if len(computed) != end + 1 - first or b"".join(computed) != links:
                break
            last = Link(*_LINK.unpack(computed[-1]))
            digests |= {mark: computed[mark - first][8:] for mark in marks if first <= mark <= end}
    if last.position >= upto:
        return Followed(last, digests)
    sound, broken = _find_break(connection, last, upto)
    digests |= {event.position: event.digest for event in sound if event.position in marks}
    return Followed(sound[-1] if sound else last, digests, broken)


def _links(last: Link, texts: list[bytes]) -> list[bytes]:
    """Return the links that follow `last` where these are the texts."""
    links, link = [], bytes(last)
    for position, text in enumerate(texts, last.position + 1):
        link = _LINK.pack(position, sha256(link + text).digest())
        links.append(link)
    return links


def _find_break(connection: psycopg.Connection, last: Link, upto: int) -> tuple[list[Link], Break]:
    """Return the sound links after `last`, event by event, and what is wrong then."""
    sound: list[Link] = []
    query = _ONE_BY_ONE.format(chain=table())
    for position, digest, text in connection.execute(
        query.encode(), [last.position, min(upto, last.position + _AT_ONCE)]
    ):
        expected = last.position + 1
        if position != expected:
            break
        if _BETWEEN in (text or b"") or digest != sha256(bytes(last) + (text or b"")).digest():
            sentence = (
                f"Event {expected} is not what was written at this place: it was edited, moved or"
                " put in."
            )
            return sound, Break(expected, sentence)
        last = Link(position, digest)
        sound.append(last)
    return sound, Break(last.position + 1, f"Event {last.position + 1} is missing: it was removed.")


def weigh(connection: psycopg.Connection, seals: Sequence[Seal]) -> int:
    """Return how many of the seals, each beginning where the one before ends, fit in a row.

    Reads what `follow` reads, but hashes it in one go, which is what makes it fast.
    """
    stretches = [_stretches(seal.after, seal.position) for seal in seals]
    with _copy(connection, [line for each in stretches for line in each]) as rows:
        for fitting, seal in enumerate(seals):
            content = Content()
            for _, row in zip(stretches[fitting], rows, strict=False):
                content.add(*row)
            if content.digest() != seal.content:
                return fitting
    return len(seals)


def _stretches(after: int, upto: int) -> list[Stretch]:
    return [
        (first, min(first + _AT_ONCE - 1, upto)) for first in range(after + 1, upto + 1, _AT_ONCE)
    ]


@contextmanager
def _copy(
    connection: psycopg.Connection, stretches: Sequence[Stretch]
) -> Iterator[Iterator[tuple[bytes, bytes]]]:
    """Yield for each stretch the texts of its events, with U+001E between them, and their links.

    Ends before a stretch in which an event is missing. By libpq's own calls, since psycopg's
    `Copy.read` costs more than the hash. Leaves the connection ready for its next query.
    """
    firsts, lasts = (",".join(str(stretch[end]) for stretch in stretches) for end in (0, 1))
    query = _READ.format(firsts=f"{{{firsts}}}", lasts=f"{{{lasts}}}", chain=table())
    pgconn = connection.pgconn
    started = pgconn.exec_(f"COPY ({query}) TO STDOUT (FORMAT binary)".encode())
    if started.status != ExecStatus.COPY_OUT:
        raise psycopg.OperationalError(started.error_message.decode(errors="replace"))
    try:
        yield _rows(pgconn, stretches)
    finally:
        _end(pgconn)


def _rows(pgconn: Any, stretches: Sequence[Stretch]) -> Iterator[tuple[bytes, bytes]]:
    skipped = _COPY_HEADER
    for first, last in stretches:
        row = bytes(pgconn.get_copy_data(0)[1][skipped:])
        skipped = 0
        if row[-_COUNT.size :] != _COUNT.pack(8, last - first + 1):
            return
        (size,) = _SIZE.unpack_from(row, 2)
        yield row[6 : 6 + size], row[10 + size : -_COUNT.size]


def _end(pgconn: Any) -> None:
    """Take what is left of an answer off the connection; raise when it ended in an error."""
    while result := pgconn.get_result():
        while result.status == ExecStatus.COPY_OUT and pgconn.get_copy_data(0)[0] > 0:
            pass
        if result.status == ExecStatus.FATAL_ERROR:
            raise psycopg.OperationalError(result.error_message.decode(errors="replace"))
