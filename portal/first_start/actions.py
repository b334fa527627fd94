"""Making the first administrator."""

from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from portal import audit
from portal.accounts.second_factor import digest
from portal.audit import row_changes
from portal.first_start import codes
from portal.models.first_start import SetupCode, SetupGuess
from portal.ui.actions import Refused

GUESSES, WINDOW = 5, timedelta(minutes=15)
EVENTS_AN_HOUR = 100  # of addresses that guess
EVENT = "person.first_administrator"


class Gone(Refused):
    """Somebody has an account already."""


class Wait(Refused):
    """Too many wrong codes came from this address."""


def make_administrator(
    *, code: str, username: str, password: str, address: str, now: datetime | None = None
) -> User:
    """Return the first administrator, made with a printed code that is used up by it.

    Raise `Gone`, `Wait`, or `Refused` for a wrong code, each an event.
    """
    now = now or timezone.now()
    if problem := _guess(code, address, now):
        raise problem
    with transaction.atomic():
        with connection.cursor() as cursor:  # two codes make one administrator
            cursor.execute("LOCK TABLE auth_user IN SHARE ROW EXCLUSIVE MODE")
        if not codes.wanted():
            raise Gone("The first administrator was made already: sign in.")
        if not SetupCode.objects.filter(digest=digest(code)).delete()[0]:
            raise Refused("This code was used already.")
        person = User.objects.create_superuser(username, password=password)
        SetupCode.objects.all().delete()
        SetupGuess.objects.all().delete()
        made = row_changes.stored(person)
        row_changes.record(person, {}, made, actor=person, by="with the server's code")
        message = f"{person} became the first administrator, from {address}."
        audit.record_own(EVENT, person, message, now=now)
    return person


def _guess(code: str, address: str, now: datetime) -> Refused | None:
    """Return why the code does not count; a wrong one counts against the address."""
    with transaction.atomic():
        row, _ = SetupGuess.objects.select_for_update().get_or_create(
            address=address, defaults={"since": now}
        )
        if row.since < now - WINDOW:
            row.failures, row.since = 0, now
        if row.failures >= GUESSES:
            minutes = int(WINDOW.total_seconds() // 60)
            return Wait(f"Too many wrong codes from here: wait {minutes} minutes.")
        if SetupCode.objects.filter(digest=digest(code), expires_at__gt=now).exists():
            return None
        row.failures += 1
        row.save()
        _tell(row, now)
        return Refused("The code is wrong or expired: take the newest from the server's output.")


def _tell(row: SetupGuess, now: datetime) -> None:
    """Record the first and the last counted guess from an address, never a flood."""
    recent = SetupGuess.objects.filter(since__gte=now - timedelta(hours=1), failures__gt=0)
    if row.failures not in (1, GUESSES) or recent.count() > EVENTS_AN_HOUR:
        return
    message = f"A wrong setup code came from {row.address} ({row.failures} so far)."
    audit.record(EVENT, actor=None, outcome="refused", sentence=message, now=now)
