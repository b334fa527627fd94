"""Records failed sign-ins in the audit trail without flooding it.

The first wrong password for a name from an address is an event, and so is the one that makes this
pair wait. Names of accounts are told; what else was typed may be somebody's password, so only its
beginning is.
"""

from datetime import timedelta
from typing import Any

from axes.helpers import get_client_username
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.outbound.parsing import JsonObject
from portal.visible import visible_line

# events in it for accounts, and as many for other names; one more says that there were more
AN_HOUR = 100
SHOWN = 2
FAILED = "person.sign_in_failed"


def note(request: Any, credentials: JsonObject) -> None:
    """Record the failure that django-axes has just counted, if it is one of those that are told."""
    name, address = get_client_username(request, credentials) or "", request.axes_ip_address
    failures = request.axes_failures_since_start
    if failures not in (1, settings.AXES_FAILURE_LIMIT):
        return
    person = User.objects.filter(username=name).first()
    pairs = _pairs_of_this_hour(known=person is not None)
    if pairs > AN_HOUR + 1 or (pairs > AN_HOUR and failures > 1):
        return
    what = f"as {person}" if person else f"as nobody known ({_hinted(name)})"
    if pairs > AN_HOUR:
        more = "further ones are counted and not told here."
        message = f"More than {AN_HOUR} sign-ins failed within an hour; {more}"
    elif failures == 1:
        message = f"A sign-in {what} from {address} failed."
    else:
        message = f"{failures} sign-ins {what} from {address} failed; that name waits there."
    told = {"subject": person, "data": {"address": str(address), "failures": failures}}
    with transaction.atomic():
        audit.record(FAILED, actor=None, outcome="refused", sentence=message, **told)


def _pairs_of_this_hour(*, known: bool) -> int:
    """Return how many names were tried in vain, each from each address, this one included."""
    recent = AccessAttempt.objects.filter(attempt_time__gte=timezone.now() - timedelta(hours=1))
    accounts = User.objects.values("username")
    ours = recent.filter(username__in=accounts) if known else recent.exclude(username__in=accounts)
    return ours.values("username", "ip_address").distinct().count()


def _hinted(name: str) -> str:
    shown = visible_line(name)[:SHOWN]
    return f"“{shown}…”, {len(name)} signs" if name else "no name"
