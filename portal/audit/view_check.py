"""Whether pages show what was hashed: the view is read, and held against the texts here."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import psycopg

from portal.audit.chain import SHOWN, table

CHANGED = "the view portal_auditevent was changed."
NOT_SHOWN = f"The events are whole, but pages may show others: {CHANGED}"
AT_ONCE = 1_000
NEWEST = 10_000  # events that are not sealed, of which the showing is compared in an ordinary run
SAMPLE = 1_000  # sealed events whose showing is compared in an ordinary run; `--full` compares all

_COLUMNS = (
    "at",
    "action",
    "outcome",
    "actor_id",
    "actor_name",
    "scope",
    "subject_kind",
    "subject_id",
    "subject_label",
    "sentence",
    "data",
    '"group"',
)


def after(position: int, last: int) -> range:
    """Return the events that were added."""
    return range(position + 1, last + 1)


def chosen(start: int, sealed: int, last: int) -> list[int]:
    """Return the newest events after `sealed`, and some evenly from `start` to these."""
    until = min(max(start, sealed, last - NEWEST), last)
    step = max(1, (until - start) // SAMPLE)
    return [*range(start + 1, until + 1, step), *after(until, last)]


def fault(connection: psycopg.Connection, positions: Sequence[int]) -> str:
    """Return in a sentence what pages would show otherwise than it was written; "" when nothing.

    Raise psycopg.Error.
    """
    if not _is_as_made(connection):
        return NOT_SHOWN
    for begin in range(0, len(positions), AT_ONCE):
        some = list(positions[begin : begin + AT_ONCE])
        query = "SELECT {} FROM {} WHERE position OPERATOR(pg_catalog.=) ANY(%s::pg_catalog.int8[])"
        columns = ", ".join(("position", "digest", *_COLUMNS))
        view, chain = table("portal_auditevent"), f"ONLY {table()}"
        shown = connection.execute(query.format(columns, view), [some]).fetchall()
        query = query.format("position, digest, body", chain)
        written = connection.execute(query, [some]).fetchall()
        seen = {row[0]: tuple(row[1:]) for row in shown}
        for position, digest, body in written:
            try:
                meant = as_shown(body)
            except ValueError:
                what = "is not written as events are: it was put in past the portal."
                return f"Event {position} {what}"
            if seen.pop(position, None) != (digest, *meant):
                return f"Event {position} is whole, but pages show another: {CHANGED}"
        if seen or len(shown) != len(written):
            return NOT_SHOWN
    return ""


def as_shown(body: str) -> tuple[object, ...]:
    """Return the twelve lines of an event as the columns of the view."""
    at, action, outcome, actor, *rest, group = body.split("\n")
    moment = datetime.fromisoformat(at)
    return (moment, action, outcome, int(actor) if actor else None, *rest, UUID(group))


def _is_as_made(connection: psycopg.Connection) -> bool:
    """Return whether PostgreSQL would run the view as it runs `SHOWN`, also where it has no row."""
    plans = []
    for source in (table("portal_auditevent"), f"({SHOWN.format(chain=table())}) AS shown"):
        explained = connection.execute(
            f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) SELECT * FROM {source}"  # noqa: S608
        )
        plans += [row[0][0]["Plan"] for row in explained]
    return plans[0] == plans[1]
