"""Proves that the audit trail is what was written, and anchors it where the database cannot reach.

A chain shows every edit, gap and insertion, but not that its end was cut off, nor that all of it
was computed again. So at an interval `anchor` recomputes what was added and notes the head in a
file, with a seal: one SHA-256 over all bytes of those events. `verify` holds the database against
every anchor. docs/audit.md says what is trusted.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connections, transaction

from portal.audit import anchors as audit_anchors
from portal.audit import catalog, view_check
from portal.audit.anchors import Anchor, UnreadableAnchors, anchors_path, last_anchor, read_anchors
from portal.audit.chain import GENESIS, Break, Content, Followed, Link, Seal, follow, table, weigh
from portal.audit.chain_end import against_anchors, at_the_end

__all__ = [
    "Anchor",
    "BrokenChain",
    "UnreadableAnchors",
    "Verification",
    "anchor",
    "anchors_path",
    "read_anchors",
    "verify",
]

STRETCH = 50_000  # events between two reports of progress


@dataclass(frozen=True)
class Verification:
    """The verdict: how many events are proven, and the first that is not, in one sentence.

    `checkpoint` is where a later run may go on from (`verify(since=...)`); None when the chain is
    broken. `begun`: nothing is wrong but that these anchors begin in its midst.
    """

    ok: bool
    count: int
    first_broken: int | None
    sentence: str
    head_digest: str
    checkpoint: Link | None = None
    begun: bool = False


class BrokenChain(ValueError):
    """The chain broke since the last anchor, so no further anchor is made; the sentence names
    the event.
    """


def anchor(
    now: datetime,
    *,
    using: str = "default",
    path: Path | None = None,
    new_file: bool = False,
    note: str = "",
) -> Anchor:
    """Recompute the events since the last anchor and note the head, as one JSON line on disk.

    Call it outside a transaction, so that the head is one that stays. `new_file`: begin a new file.
    `note`: `BEGUN` by a worker, `ACCEPTED` by a person. Raise `BrokenChain`, `UnreadableAnchors`,
    or OSError when the file cannot be written.
    """
    path = path or anchors_path()
    if not new_file and (missing := audit_anchors.gather(path=path).missing):
        raise BrokenChain(missing)
    with _pinned(using) as raw:
        shape = catalog.Shape(raw, settings.DATABASE_SCHEMA)
        if fault := shape.fault((*catalog.READS, *catalog.WRITES)):
            raise BrokenChain(fault)
        last, head, content = last_anchor(path), _head(raw), Content()
        followed = follow(raw, last.link, head.position, content=content)
        broken = followed.broken or at_the_end(raw, followed.end, head, None)
        if broken:
            raise BrokenChain(broken.sentence)
        if shown := view_check.fault(raw, view_check.after(last.position, head.position)):
            raise BrokenChain(shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    noted = Anchor(
        head.position,
        head.digest.hex(),
        now.isoformat(),
        last.position,
        content.digest().hex(),
        audit_anchors.own_host(path.parent),
        note,
    )
    audit_anchors.append(path, noted)
    return noted


def verify(
    *,
    using: str = "default",
    since: Link | None = None,
    anchors: Iterable[Anchor] | None = None,
    full: bool = False,
    outside: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Verification:
    """Prove every event or name the first that is not as it was written.

    Sealed events are held byte for byte against the seal of their anchor (the file's unless given,
    with `outside` also those that lie beside it), the others are recomputed link by link; with
    `full` all are. What pages show is read and compared too: of all that was recomputed, and of
    some of the others. Starts after `since` (an earlier
    `Verification.checkpoint`) when given. `progress(done, total)` is called on the way.
    """
    try:
        given = None if anchors is None else audit_anchors.Kept(list(anchors))
        kept = given or audit_anchors.gather(ask=outside)
    except UnreadableAnchors as error:
        return Verification(False, 0, None, str(error), "")
    with _pinned(using) as raw:
        shape = catalog.Shape(raw, settings.DATABASE_SCHEMA)
        if fault := shape.fault(catalog.READS):
            return Verification(False, 0, None, fault, "")
        verdict = _verify(raw, since or Link(0, GENESIS), kept.anchors, full, progress)
        fault = kept.missing or shape.fault(catalog.WRITES)
    return _as_anchored(verdict, kept, fault) if verdict.ok else verdict


def _as_anchored(sound: Verification, kept: audit_anchors.Kept, fault: str) -> Verification:
    """Return the verdict on a sound chain, given its anchors and what else is wrong (or "")."""
    if fault:
        return replace(sound, ok=False, sentence=fault, checkpoint=None)
    if kept.begun:
        return replace(sound, ok=False, sentence=kept.begun, begun=True)
    if not kept.anchors:
        return sound
    first = min(kept.anchors, key=lambda anchor: anchor.position)
    since = f" Anchored since event {first.position}, {first.at[:16]}."
    return replace(sound, sentence=sound.sentence + since)


def _verify(
    raw: psycopg.Connection,
    start: Link,
    anchors: list[Anchor],
    full: bool,
    progress: Callable[[int, int], None] | None,
) -> Verification:
    head, noted = _head(raw), list(anchors)
    if start.position:  # what was verified before is held against what is there, as an anchor is
        noted.append(Anchor(start.position, start.digest.hex(), "the last verification"))
    noted.sort(key=lambda anchor: anchor.position)
    last, broken, digests = start, None, {0: GENESIS}
    for followed in _follow_all(raw, start, head.position, noted, full):
        digests |= followed.marks
        last, broken = followed.end, followed.broken
        if progress:
            progress(last.position - start.position, head.position - start.position)
    broken = at_the_end(raw, last, head, broken)
    # Of the others, which lie before the start or inside a seal, what is stored there has to do.
    others = [a.position for a in noted if a.position not in digests]
    digests |= _stored_digests(raw, others)
    verdict = _verdict(start, last, against_anchors(noted, digests, last, broken))
    sealed = max((a.position for a in noted if a.content), default=0)
    looked_at = (
        view_check.after(start.position, last.position)
        if full
        else view_check.chosen(start.position, sealed, last.position)
    )
    if verdict.ok and (shown := view_check.fault(raw, looked_at)):
        return replace(verdict, ok=False, sentence=shown, checkpoint=None)
    return verdict


def _follow_all(
    raw: psycopg.Connection, start: Link, upto: int, anchors: list[Anchor], full: bool
) -> Iterator[Followed]:
    """Stretch by stretch from `start` to `upto`, ending with the first that is broken."""
    sealed = (
        {} if full else {a.after: a for a in anchors if a.content and a.after < a.position <= upto}
    )
    last = start
    while last.position < upto:
        run = _run(sealed, last.position)
        seals = [Seal(a.after, a.position, bytes.fromhex(a.content)) for a in run]
        fitting = weigh(raw, seals) if seals else 0
        if fitting:
            last = run[fitting - 1].link
            yield Followed(last, {a.position: a.link.digest for a in run[:fitting]})
        if fitting < len(run):
            del sealed[last.position]  # does not fit: link by link, to name the event
        if run:
            continue
        stop = min(
            [upto, last.position + STRETCH, *(after for after in sealed if after > last.position)]
        )
        marks = {a.position for a in anchors if last.position < a.position <= stop}
        followed = follow(raw, last, stop, marks)
        yield followed
        if followed.broken:
            return
        last = followed.end


def _run(sealed: dict[int, Anchor], position: int) -> list[Anchor]:
    """Return the seals from `position` on, each where the one before ends, up to a stretch."""
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


@contextmanager
def _pinned(using: str) -> Iterator[psycopg.Connection]:
    """Provide the connection below Django's, in a transaction, without settings of the database."""
    with transaction.atomic(using=using):
        connections[using].ensure_connection()
        raw = connections[using].connection
        with catalog.pinned(raw):
            yield raw


def _head(raw: psycopg.Connection) -> Link:
    """Return the head as the database tells it; an absent one has a digest that never fits."""
    head = raw.execute(f"SELECT position, digest FROM ONLY {table('portal_audithead')}").fetchone()  # noqa: S608
    position, digest = head or (0, b"")
    return Link(position, bytes(digest))


def _stored_digests(raw: psycopg.Connection, positions: list[int]) -> dict[int, bytes]:
    query = f"SELECT position, digest FROM ONLY {table()} WHERE position"  # noqa: S608
    rows = raw.execute(f"{query} OPERATOR(pg_catalog.=) ANY(%s::pg_catalog.int8[])", [positions])
    return {position: bytes(digest or b"") for position, digest in rows.fetchall()}
