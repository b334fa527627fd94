"""The end of the audit chain, held against the rows and the anchors."""

from typing import Any

from portal.audit.anchors import Anchor
from portal.audit.chain import Break, Link, table


def at_the_end(raw: Any, last: Link, head: Link, broken: Break | None) -> Break | None:
    """The break told better when nothing follows it; without one, whether head and last event
    agree.
    """
    chain, kept = (f"FROM ONLY {table()}", f"SELECT position FROM ONLY {table('portal_audithead')}")  # noqa: S608
    # One statement, so one moment, however many events are being added.
    lowest, highest, beyond = raw.execute(
        f"SELECT (SELECT pg_catalog.min(position) {chain}), (SELECT pg_catalog.max(position)"
        f" {chain}), (SELECT pg_catalog.min(position) {chain} WHERE position OPERATOR(pg_catalog.>)"
        f" coalesce(({kept}), 0))"
    ).fetchone()
    if lowest is not None and lowest < 1:
        return Break(lowest, f"Event {lowest} was put in where no event was written.")
    if broken:
        if broken.position <= (highest or 0):
            return broken
        return Break(
            broken.position,
            f"The end is cut off: event {broken.position} and all after it are missing.",
        )
    if beyond is not None:
        return Break(
            beyond,
            f"Event {beyond} lies beyond the head of the chain: it was put in past the portal.",
        )
    if head.position < last.position:
        return Break(
            head.position + 1,
            f"The end is cut off: event {head.position + 1} was there and is missing.",
        )
    if head.digest != last.digest:
        return Break(
            last.position,
            f"The head of the chain does not hold the digest of event {last.position}.",
        )
    return None


def against_anchors(
    anchors: list[Anchor], digests: dict[int, bytes], last: Link, broken: Break | None
) -> Break | None:
    """The earliest break that an anchor shows, unless the chain itself broke earlier."""
    sound = 0
    for noted in anchors:
        if broken and broken.position <= noted.position:
            return broken
        if noted.position > last.position:
            first = last.position + 1
            return Break(
                first,
                f"The end is cut off: event {first} is missing, yet {noted.at} saw"
                f" {noted.position}.",
            )
        if digests.get(noted.position) != noted.link.digest:
            sentence = (
                f"Event {sound + 1} or a later one up to {noted.position} was rewritten after"
                f" {noted.at}."
            )
            return Break(sound + 1, sentence)
        sound = noted.position
    return broken
