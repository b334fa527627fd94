"""Deliveries as rows: each kept once, with the mark that its handler makes, until it is old."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import OperationalError, connection, transaction

from portal.invisible_characters import visible
from portal.logs import trace
from portal.models.webhooks import WebhookDelivery
from portal.outbound.parsing import text

KEPT_LETTERS = 16_000
KEPT_DAYS = 30  # longer than anybody delivers again (GitHub: 3 days)
Outcome = WebhookDelivery.Outcome


class Mark(NamedTuple):
    """Jobs that are due at once: those rows of `table` for which the SQL condition `where` holds
    with `values`.
    """

    table: str
    where: str
    values: tuple[object, ...]


@dataclass(frozen=True)
class Delivery:
    """A genuine delivery. `payload` None: it could not be read, and `problem` says why."""

    source: str
    id: str
    event: str
    body: bytes
    payload: dict[str, object] | None
    problem: str = ""


# One statement: the fewer the round trips, the more deliveries a second. Of two equal ones the
# second waits for the first's row. `mark` marks nothing for what was known before.
_KEEP = """
WITH before AS (
    SELECT outcome FROM portal_webhookdelivery WHERE source = %s AND delivery = %s
), marked AS (
    {mark}
)
INSERT INTO portal_webhookdelivery AS known
    (source, delivery, event, action, received_at, size, body, outcome, error, times)
VALUES (%s, %s, %s, %s, %s, %s, %s,
        CASE WHEN %s = 'handled' AND NOT EXISTS (SELECT FROM marked) THEN 'ignored' ELSE %s END,
        %s, 1)
ON CONFLICT (source, delivery) DO UPDATE SET
    times = known.times + 1,
    outcome = CASE known.outcome WHEN 'failed' THEN excluded.outcome ELSE known.outcome END,
    error = CASE known.outcome WHEN 'failed' THEN excluded.error ELSE known.error END
RETURNING id, times > 1 AND COALESCE((SELECT outcome FROM before), '') <> 'failed'
"""
_MARKED = """
UPDATE {table} SET wake_at = %s, trace = %s
WHERE {where} AND NOT EXISTS (SELECT FROM before WHERE outcome <> 'failed') RETURNING 1
"""


def keep(
    delivery: Delivery, mark: Mark | None, outcome: Outcome, problem: str, now: datetime
) -> tuple[int, bool]:
    """Keep a delivery and make its mark, or count it again; return its key, and whether known."""
    action = text(delivery.payload.get("action"), 100) if delivery.payload else ""
    body = delivery.body[: 4 * KEPT_LETTERS].decode("utf-8", "replace")[:KEPT_LETTERS]
    which: list[object] = [delivery.source, delivery.id]
    marked, marking = "SELECT 1 WHERE false", list[object]()
    if mark is not None:
        marked = _MARKED.format(table=mark.table, where=mark.where)
        marking = [now, trace.current(), *mark.values]
    values = [delivery.event, action, now, len(delivery.body), visible(body)[:KEPT_LETTERS]]
    statement = _KEEP.format(mark=marked)
    parameters = [*which, *marking, *which, *values, outcome.value, outcome.value, problem]
    # Asking first whether the connection stands would cost as much as this, which may go twice.
    connection.health_check_done = True  # type: ignore[attr-defined]  # unknown to the stubs
    try:
        return _answer_to(statement, parameters)
    except OperationalError:
        if connection.in_atomic_block:
            raise
        connection.close()
        return _answer_to(statement, parameters)


def _answer_to(statement: str, values: list[Any]) -> tuple[int, bool]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def forget_old(*, now: datetime, at_most: int = 1000) -> int:
    """Delete deliveries received more than 30 days ago, the oldest first, and return how many."""
    before = now - timedelta(days=KEPT_DAYS)
    oldest = WebhookDelivery.objects.order_by("pk").values("pk")[:at_most]
    old = WebhookDelivery.objects.filter(pk__in=oldest, received_at__lt=before)
    with transaction.atomic():
        # Only what goes is locked: this runs within every hundredth delivery, mostly for nothing.
        keys = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True))
        return WebhookDelivery.objects.filter(pk__in=keys).delete()[0] if keys else 0
