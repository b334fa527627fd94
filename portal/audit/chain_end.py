"""The end of the audit chain, held against the rows and the anchors."""

import psycopg

from portal.audit.anchors import Anchor
from portal.audit.chain import Break, Link, table


def at_the_end(
    raw: psycopg.Connection, last: Link, head: Link, broken: Break | None
) -> Break | None:
    """Return the break, told better when nothing follows it, or where head and last event part."""
    chain, kept = (f"FROM ONLY {table()}", f"SELECT position FROM ONLY {table('portal_audithead')}")  # noqa: S608
    # One statement, so one moment, however many events are being added.
    [(lowest, highest, beyond)] = raw.execute(
        f"SELECT (SELECT pg_catalog.min(position) {chain}), (SELECT pg_catalog.max(position)"
        f" {chain}), (SELECT pg_catalog.min(position) {chain} WHERE position OPERATOR(pg_catalog.>)"
        f" coalesce(({kept}), 0))"
    ).fetchall()
    if lowest is not None and lowest < 1:
        return Break(lowest, f"Event {lowest} was put in where no event was written.")
    if broken:
        if broken.position <= (highest or 0):
            return broken
        at, sentence = broken.position, "The end is cut off: event {} and all after it are missing."
    elif beyond is not None:
        at = beyond
        sentence = "Event {} lies beyond the head of the chain: it was put in past the portal."
    elif head.position < last.position:
        at = head.position + 1
        sentence = "The end is cut off: event {} was there and is missing."
    elif head.digest != last.digest:
        at = last.position
        sentence = "The head of the chain does not hold the digest of event {}."
    else:
        return None
    return Break(at, sentence.format(at))


def against_anchors(
    anchors: list[Anchor], digests: dict[int, bytes], last: Link, broken: Break | None
) -> Break | None:
    """Return the earliest break that an anchor shows, unless the chain itself broke earlier."""
    sound = 0
    for noted in anchors:
        if broken and broken.position <= noted.position:
            return broken
        if noted.position > last.position:
            first, saw = last.position + 1, f"{noted.at} saw {noted.position}"
            return Break(first, f"The end is cut off: event {first} is missing, yet {saw}.")
        if digests.get(noted.position) != noted.link.digest:
            which = f"Event {sound + 1} or a later one up to {noted.position}"
            return Break(sound + 1, f"{which} was rewritten after {noted.at}.")
        sound = noted.position
    return broken
