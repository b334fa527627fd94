"""Forged deliveries: one audit event for many."""

import threading

from django.db import transaction

from portal import audit
from portal.models.webhooks import WebhookDelivery

NOTED_SECONDS = 600.0
_noting = threading.Lock()
_noted: dict[
    str, tuple[float, int]
] = {}  # source: when a forgery was last noted, and how many came since


def note_forgery(source: str, address: str, *, clock: float) -> None:
    """Record one audit event for the first forged delivery in ten minutes (`clock`, in seconds);
    the others are counted.

    A flood therefore costs no database. Each process counts for itself.
    """
    with _noting:
        last, since = _noted.get(source, (float("-inf"), 0))
        if clock - last < NOTED_SECONDS:
            _noted[source] = (last, since + 1)
            return
        _noted[source] = (clock, 0)
    name = WebhookDelivery.Source(source).label
    more = f", and {since} more since the last such event" if since else ""
    sentence = (
        f"A webhook from {address or 'somewhere'} in the name of {name} was refused as"
        f" forged{more}."
    )
    data = {"source": source, "address": address, "since": since}
    with transaction.atomic():
        audit.record("webhook.refused", actor=None, outcome="refused", sentence=sentence, data=data)
