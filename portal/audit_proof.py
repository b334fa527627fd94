"""Proves that the audit trail is what was written, and anchors its head where the database cannot reach.

A chain shows every edit, gap and insertion, but not that its end was cut off, nor that all of it was computed
anew. For these the head is noted at an interval in a file (`anchor`), and `verify` holds the chain against
every note. docs/audit.md says what is trusted.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connections
from psycopg.conninfo import make_conninfo

from portal.audit_chain import GENESIS, Break, Followed, Link, follow, follow_in_reader, open_reader

STRETCH = 20_000  # events read by one query
PARALLEL_FROM = 10 * STRETCH  # events from which more processes pay for their start
MOST_PROCESSES = 4


@dataclass(frozen=True)
class Anchor:
    """The head of the chain as it was at a time; `digest` in hexadecimal."""

    position: int
    digest: str
    at: str


@dataclass(frozen=True)
class Verification:
    """The verdict: how many events are proven, and the first that is not, in one sentence.

    `checkpoint` is where a later run may go on from (`verify(since=...)`); None when the chain is broken.
    """

    ok: bool
    count: int
    first_broken: int | None
    sentence: str
    head_digest: str
    checkpoint: Link | None = None


class UnreadableAnchors(ValueError):
    """The file of anchors is not as it was written; the sentence names file and line."""


def anchors_path() -> Path:
    """Where the anchors are kept; copy this file to where nobody who can change the database can write."""
    return Path(settings.VAR_DIR) / "audit-anchors.jsonl"


def anchor(now: datetime, *, using: str = "default", path: Path | None = None) -> Anchor:
    """Appends the present head to the file of anchors as one JSON line, on disk when this returns.

    Call it outside a transaction, so that the head is one that stays. Raises OSError when the file cannot
    be written.
    """
    head = _head(using)
    noted = Anchor(head.position, head.digest.hex(), now.isoformat())
    line = json.dumps(asdict(noted)).encode() + b"\n"
    path = path or anchors_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.write(file, line) != len(line):
            raise OSError(f"Only a part of the anchor could be written to {path}: is the disk full?")
        os.fsync(file)
    finally:
        os.close(file)
    return noted


def read_anchors(path: Path | None = None) -> list[Anchor]:
    """All anchors of the file, oldest first; none where there is no file. Raises `UnreadableAnchors`."""
    path = path or anchors_path()
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            noted = Anchor(**json.loads(line))
            if type(noted.position) is not int or len(bytes.fromhex(noted.digest)) != 32:
                raise ValueError("not an anchor")
        except (TypeError, ValueError) as error:
            sentence = f"Line {number} of {path} is not an anchor: restore the file from its copy."
            raise UnreadableAnchors(sentence) from error
        found.append(noted)
    return found


def verify(
    *,
    using: str = "default",
    since: Link | None = None,
    anchors: Iterable[Anchor] | None = None,
    progress: Callable[[int, int], None] | None = None,
    processes: int | None = None,
) -> Verification:
    """Recomputes the chain from the raw columns and names the first event that is not as it was written.

    Starts after `since` (an earlier `Verification.checkpoint`) when given. `anchors` are those of the file
    unless given. `progress(done, total)` is called as stretches are done. A long chain is read by several
    processes (`processes`, else one per core, at most 4), each with a connection of its own; a short one in
    the caller's own transaction.
    """
    try:
        noted = read_anchors() if anchors is None else list(anchors)
    except UnreadableAnchors as error:
        return Verification(False, 0, None, str(error), "")
    head, start = _head(using), since or Link(0, GENESIS)
    if since:  # what was verified before is held against what is there now, as an anchor is
        noted.append(Anchor(since.position, since.digest.hex(), "the last verification"))
    marks = {anchor.position for anchor in noted}
    digests = {0: GENESIS} | _stored_digests(using, [mark for mark in marks if mark <= start.position])
    last, broken = start, None
    for followed in _follow_all(using, start, head.position, marks, processes):
        digests |= followed.marks
        last, broken = followed.end, followed.broken
        if broken:
            break
        if progress:
            progress(last.position - start.position, head.position - start.position)
    broken = _at_the_end(using, last, head, broken)
    return _verdict(start, last, _against_anchors(noted, digests, last, broken))


def _verdict(start: Link, last: Link, broken: Break | None) -> Verification:
    count = last.position - start.position
    if broken:
        return Verification(False, count, broken.position, broken.sentence, last.digest.hex())
    sentence = f"Every event is as it was written ({count:,} checked)."
    return Verification(True, count, None, sentence, last.digest.hex(), last)


def _at_the_end(using: str, last: Link, head: Link, broken: Break | None) -> Break | None:
    """The break told better when nothing follows it; without one, whether head and last event agree."""
    with connections[using].cursor() as cursor:
        # One statement, so one moment, however many events are being added.
        cursor.execute(
            "SELECT max(position), min(position) FILTER (WHERE position > "
            "coalesce((SELECT position FROM portal_audithead), 0)) FROM portal_auditevent"
        )
        highest, beyond = cursor.fetchone()
    if broken:
        if broken.position <= (highest or 0):
            return broken
        return Break(broken.position, f"The end is cut off: event {broken.position} and all after it are missing.")
    if beyond is not None:
        return Break(beyond, f"Event {beyond} lies beyond the head of the chain: it was put in past the portal.")
    if head.position < last.position:
        return Break(head.position + 1, f"The end is cut off: event {head.position + 1} was there and is missing.")
    if head.digest != last.digest:
        return Break(last.position, f"The head of the chain does not hold the digest of event {last.position}.")
    return None


def _against_anchors(
    anchors: list[Anchor], digests: dict[int, bytes], last: Link, broken: Break | None
) -> Break | None:
    """The earliest break that an anchor shows, unless the chain itself broke earlier."""
    sound = 0
    for noted in sorted(anchors, key=lambda anchor: anchor.position):
        if broken and broken.position <= noted.position:
            return broken
        if noted.position > last.position:
            first = last.position + 1
            return Break(first, f"The end is cut off: event {first} is missing, yet {noted.at} saw {noted.position}.")
        if digests.get(noted.position, b"").hex() != noted.digest:
            sentence = f"Event {sound + 1} or a later one up to {noted.position} was rewritten after {noted.at}."
            return Break(sound + 1, sentence)
        sound = noted.position
    return broken


def _head(using: str) -> Link:
    """The head as the database tells it; an absent one reads as an empty digest, which never fits."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT position, digest FROM portal_audithead")
        position, digest = cursor.fetchone() or (0, b"")
    return Link(position, bytes(digest))


def _stored_digests(using: str, positions: list[int]) -> dict[int, bytes]:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT position, digest FROM portal_auditevent WHERE position = ANY(%s)", [positions])
        return {position: bytes(digest or b"") for position, digest in cursor.fetchall()}


def _follow_all(using: str, start: Link, upto: int, marks: set[int], processes: int | None) -> Iterator[Followed]:
    """The stretches from `start` to `upto` in order, each beginning with the digest stored at its edge."""
    edges = [*range(start.position, upto, STRETCH), upto]
    stored = _stored_digests(using, edges) | {start.position: start.digest}
    stretches = [
        (Link(a, stored.get(a, GENESIS)), b, {mark for mark in marks if a < mark <= b}) for a, b in pairwise(edges)
    ]
    connection = connections[using]
    connection.ensure_connection()
    raw: psycopg.Connection = connection.connection
    if processes is None:
        processes = min(MOST_PROCESSES, os.cpu_count() or 1) if upto - start.position >= PARALLEL_FROM else 1
    if processes == 1:
        yield from (follow(raw, *stretch) for stretch in stretches)
        return
    database = make_conninfo(raw.info.dsn, password=raw.info.password, client_encoding="UTF8")
    spawned = get_context("spawn")
    with ProcessPoolExecutor(processes, spawned, initializer=open_reader, initargs=(database,)) as pool:
        yield from pool.map(follow_in_reader, stretches)
