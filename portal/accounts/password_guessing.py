"""Limits password guessing, so that nobody can lock a colleague out.

Four rules, over COOL_OFF. A name from one address: PAIR wrong passwords, then that pair waits.
Whoever has signed in from an address lately is bound by no other rule there. Else one address may
be wrong ADDRESS times, whatever the names; and a name that was guessed NAME times from anywhere
takes one try in SLOWLY, which slows and shuts out nobody.
"""

from datetime import timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from portal import audit
from portal.invisible_characters import visible_line
from portal.outbound.parsing import JsonObject

COOL_OFF = timedelta(hours=settings.AXES_COOLOFF_TIME)
ADDRESS, NAME, SLOWLY = 50, 20, timedelta(seconds=10)
REMEMBERED = timedelta(days=90)
# events in it for accounts, and as many for other names; one more says that there were more
AN_HOUR = 100
SHOWN = 2
FAILED = "person.sign_in_failed"


class Limits(AxesDatabaseHandler):
    """django-axes with the pair as it counts it, and the two rules over many pairs."""

    def is_locked(self, request: Any, credentials: JsonObject | None = None) -> bool:
        """Return whether this try is refused without a look at the password."""
        if super().is_locked(request, credentials):
            return True
        name, address = get_client_username(request, credentials), request.axes_ip_address
        now = timezone.now()
        known = AccessLog.objects.filter(
            username=name, ip_address=address, attempt_time__gte=now - REMEMBERED
        )
        if name is None or known.exists():
            return False
        recent = AccessAttempt.objects.filter(attempt_time__gte=now - COOL_OFF)
        failures = recent.aggregate(
            here=Sum("failures_since_start", filter=Q(ip_address=address)),
            named=Sum("failures_since_start", filter=Q(username=name)),
            last=Max("attempt_time", filter=Q(username=name)),
        )
        if (failures["here"] or 0) >= ADDRESS:
            return True
        return (failures["named"] or 0) >= NAME and failures["last"] > now - SLOWLY

    def user_login_failed(
        self, sender: object, credentials: JsonObject, request: object = None, **kwargs: object
    ) -> None:
        """Count and record the failure, unless the try was not looked at."""
        refused_before = getattr(request, "axes_locked_out", False)
        super().user_login_failed(sender, credentials, request, **kwargs)
        if request is not None and not refused_before:
            _record(request, credentials)


def refused(
    request: HttpRequest, original: object = None, credentials: object = None
) -> HttpResponse:
    """Answer a try that is not looked at, the same way whether the name exists or not."""
    minutes = int(COOL_OFF.total_seconds() // 60)
    response = render(request, "429.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(int(SLOWLY.total_seconds()))
    return response


def _record(request: Any, credentials: JsonObject) -> None:
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
    data = {"address": str(address), "failures": failures}
    with transaction.atomic():
        audit.record(
            FAILED, actor=None, subject=person, outcome="refused", sentence=message, data=data
        )


def _pairs_of_this_hour(*, known: bool) -> int:
    """Return how many names were tried in vain, each from each address, this one included."""
    recent = AccessAttempt.objects.filter(attempt_time__gte=timezone.now() - timedelta(hours=1))
    accounts = User.objects.values("username")
    ours = recent.filter(username__in=accounts) if known else recent.exclude(username__in=accounts)
    return ours.values("username", "ip_address").distinct().count()


def _hinted(name: str) -> str:
    shown = visible_line(name)[:SHOWN]
    return f"“{shown}…”, {len(name)} signs" if name else "no name"
