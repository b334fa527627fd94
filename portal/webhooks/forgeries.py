"""Forged deliveries: one audit event for many."""

import threading

from django.db import transaction

from portal import audit
from portal.models.webhooks import WebhookDelivery

NOTED_SECONDS = 600.0
_noting = threading.Lock()
# By source: when a forgery was last noted, and how many came since.
_noted: dict[str, tuple[float, int]] = {}


def note_forgery(source: str, address: str, *, clock: float) -> None:
    """Record one audit event for the first forged delivery in ten minutes (`clock`, in seconds);
    each process counts the others, so that a flood costs no database.
    """
    with _noting:
        last, since = _noted.get(source, (float("-inf"), 0))
        if clock - last < NOTED_SECONDS:
            _noted[source] = (last, since + 1)
            return
        _noted[source] = (clock, 0)
    name = WebhookDelivery.Source(source).label
    more = f", and {since} more since the last such event" if since else ""
    whose = f"from {address or 'somewhere'} in the name of {name}"
    sentence = f"A webhook {whose} was refused as forged{more}."
    data = {"source": source, "address": address, "since": since}
    with transaction.atomic():
        audit.record("webhook.refused", actor=None, outcome="refused", sentence=sentence, data=data)
