"""Proves that the audit trail is what was written, and anchors it where the database cannot reach.

A chain shows every edit, gap and insertion, but not that its end was cut off, nor that all of it was computed
anew. So at an interval `anchor` recomputes what was added and notes the head in a file, with a seal: one
SHA-256 over all bytes of those events. `verify` holds the database against every anchor. docs/audit.md says
what is trusted.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from portal.audit_chain import GENESIS, SHOWN, Break, Content, Followed, Link, Seal, follow, weigh

STRETCH = 50_000  # events between two reports of progress
NO_KEY = "The primary key of portal_auditchain is gone, so an event may be there twice: put it back, then verify again."
NOT_SHOWN = "The events are whole, but pages may show others: the view portal_auditevent was changed."


@dataclass(frozen=True)
class Anchor:
    """The head of the chain as it was at a time, and the seal over the events after `after`; in hex."""

    position: int
    digest: str
    at: str
    after: int = 0
    content: str = ""

    @property
    def link(self) -> Link:
        return Link(self.position, bytes.fromhex(self.digest))


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


class BrokenChain(ValueError):
    """The chain broke since the last anchor, so no further anchor is made; the sentence names the event."""


def anchors_path() -> Path:
    """Where the anchors are kept; copy this file to where nobody who can change the database can write."""
    return Path(settings.VAR_DIR) / "audit-anchors.jsonl"


def anchor(now: datetime, *, using: str = "default", path: Path | None = None) -> Anchor:
    """Recomputes the events since the last anchor and notes the head, as one JSON line that is then on disk.

    Call it outside a transaction, so that the head is one that stays. Raises `BrokenChain`,
    `UnreadableAnchors`, or OSError when the file cannot be written.
    """
    path = path or anchors_path()
    if not _has_key(using):
        raise BrokenChain(NO_KEY)
    last, head, content = _last_anchor(path), _head(using), Content()
    followed = follow(_raw(using), last.link, head.position, content=content)
    broken = followed.broken or _at_the_end(using, followed.end, head, None)
    if broken:
        raise BrokenChain(broken.sentence)
    noted = Anchor(head.position, head.digest.hex(), now.isoformat(), last.position, content.digest().hex())
    _append(path, json.dumps(asdict(noted)).encode() + b"\n")
    return noted


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.write(file, line) != len(line):
            raise OSError(f"Only a part of the anchor could be written to {path}: is the disk full?")
        os.fsync(file)
    finally:
        os.close(file)


def read_anchors(path: Path | None = None) -> list[Anchor]:
    """All anchors of the file, oldest first; none where there is no file. Raises `UnreadableAnchors`."""
    path = path or anchors_path()
    if not path.exists():
        return []
    lines = enumerate(path.read_bytes().splitlines(), start=1)
    return [_parse(line, f"Line {number} of {path}") for number, line in lines]


def _last_anchor(path: Path) -> Anchor:
    """The last line alone, however long the file has become."""
    if not path.exists():
        return Anchor(0, GENESIS.hex(), "")
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().splitlines()
    return _parse(lines[-1], f"The last line of {path}") if lines else Anchor(0, GENESIS.hex(), "")


def _parse(line: bytes, name: str) -> Anchor:
    try:
        noted = Anchor(**json.loads(line))
        sizes = {len(bytes.fromhex(noted.digest)), len(bytes.fromhex(noted.content or noted.digest))}
        if type(noted.position) is not int or type(noted.after) is not int or sizes != {32}:
            raise ValueError("not an anchor")
    except (TypeError, ValueError) as error:
        raise UnreadableAnchors(f"{name} is not an anchor: restore the file from its copy.") from error
    return noted


def verify(
    *,
    using: str = "default",
    since: Link | None = None,
    anchors: Iterable[Anchor] | None = None,
    full: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Proves every event or names the first that is not as it was written.

    Sealed events are held byte for byte against the seal of their anchor (the file's unless given), the
    others are recomputed link by link; with `full` all are. Starts after `since` (an earlier
    `Verification.checkpoint`) when given. `progress(done, total)` is called on the way.
    """
    try:
        noted = read_anchors() if anchors is None else list(anchors)
    except UnreadableAnchors as error:
        return Verification(False, 0, None, str(error), "")
    if not _has_key(using):
        return Verification(False, 0, None, NO_KEY, "")
    head, start = _head(using), since or Link(0, GENESIS)
    if since:  # what was verified before is held against what is there now, as an anchor is
        noted.append(Anchor(since.position, since.digest.hex(), "the last verification"))
    noted.sort(key=lambda anchor: anchor.position)
    last, broken, digests = start, None, {0: GENESIS}
    for followed in _follow_all(using, start, head.position, noted, full):
        digests |= followed.marks
        last, broken = followed.end, followed.broken
        if progress:
            progress(last.position - start.position, head.position - start.position)
    broken = _at_the_end(using, last, head, broken)
    # Of the others, which lie before the start or inside a seal, what is stored there now has to do.
    digests = _stored_digests(using, [a.position for a in noted if a.position not in digests]) | digests
    verdict = _verdict(start, last, _against_anchors(noted, digests, last, broken))
    if verdict.ok and not _shows_what_was_written(using):
        return replace(verdict, ok=False, sentence=NOT_SHOWN, checkpoint=None)
    return verdict


def _follow_all(using: str, start: Link, upto: int, anchors: list[Anchor], full: bool) -> Iterator[Followed]:
    """Stretch by stretch from `start` to `upto`, ending with the first that is broken."""
    raw = _raw(using)
    sealed = {} if full else {a.after: a for a in anchors if a.content and a.after < a.position <= upto}
    last = start
    while last.position < upto:
        run = _run(sealed, last.position)
        fitting = weigh(raw, [Seal(a.after, a.position, bytes.fromhex(a.content)) for a in run]) if run else 0
        if fitting:
            last = run[fitting - 1].link
            yield Followed(last, {a.position: a.link.digest for a in run[:fitting]})
        if fitting < len(run):
            del sealed[last.position]  # does not fit: link by link, to name the event
        if run:
            continue
        stop = min([upto, last.position + STRETCH, *(after for after in sealed if after > last.position)])
        marks = {a.position for a in anchors if last.position < a.position <= stop}
        followed = follow(raw, last, stop, marks)
        yield followed
        if followed.broken:
            return
        last = followed.end


def _run(sealed: dict[int, Anchor], position: int) -> list[Anchor]:
    """The seals that begin at `position`, each where the one before ends, up to a stretch of events."""
    run: list[Anchor] = []
    end = position
    while end in sealed and end - position < STRETCH:
        run.append(sealed[end])
        end = run[-1].position
    return run


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
            "SELECT (SELECT min(position) FROM portal_auditchain), (SELECT max(position) FROM portal_auditchain), "
            "(SELECT min(position) FROM portal_auditchain"
            " WHERE position > coalesce((SELECT position FROM portal_audithead), 0))"
        )
        lowest, highest, beyond = cursor.fetchone()
    if lowest is not None and lowest < 1:
        return Break(lowest, f"Event {lowest} was put in where no event was written.")
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
    for noted in anchors:
        if broken and broken.position <= noted.position:
            return broken
        if noted.position > last.position:
            first = last.position + 1
            return Break(first, f"The end is cut off: event {first} is missing, yet {noted.at} saw {noted.position}.")
        if digests.get(noted.position) != noted.link.digest:
            sentence = f"Event {sound + 1} or a later one up to {noted.position} was rewritten after {noted.at}."
            return Break(sound + 1, sentence)
        sound = noted.position
    return broken


def _has_key(using: str) -> bool:
    """Whether each position can be there once only, and be found without reading the whole table."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conrelid = 'portal_auditchain'::regclass "
            "AND conkey = (SELECT array_agg(attnum) FROM pg_attribute WHERE attrelid = conrelid"
            " AND attname = 'position')"
        )
        return bool(cursor.fetchone()[0])


def _shows_what_was_written(using: str) -> bool:
    """Whether the view that pages read is what it was made as: PostgreSQL would run it as it runs `SHOWN`."""
    plans = []
    with connections[using].cursor() as cursor:
        for source in ("portal_auditevent", f"({SHOWN}) AS shown"):
            cursor.execute(f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT * FROM {source}")  # noqa: S608
            plans.append(cursor.fetchone()[0][0]["Plan"])
    return plans[0] == plans[1]


def _raw(using: str) -> Any:
    """The connection below Django's, in the caller's own transaction."""
    connections[using].ensure_connection()
    return connections[using].connection


def _head(using: str) -> Link:
    """The head as the database tells it; an absent one reads as an empty digest, which never fits."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT position, digest FROM portal_audithead")
        position, digest = cursor.fetchone() or (0, b"")
    return Link(position, bytes(digest))


def _stored_digests(using: str, positions: list[int]) -> dict[int, bytes]:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT position, digest FROM portal_auditchain WHERE position = ANY(%s)", [positions])
        return {position: bytes(digest or b"") for position, digest in cursor.fetchall()}
