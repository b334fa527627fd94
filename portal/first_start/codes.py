"""The one-time code that the server prints while nobody has an account yet."""

import sys
from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from portal.accounts.second_factor import digest, new_code
from portal.models.first_start import SetupCode

VALID = timedelta(hours=1)
NEW_ONE_AFTER = timedelta(minutes=1)  # at the soonest, where a page asks for another


def wanted() -> bool:
    """Return whether the portal has nobody yet and is no sandbox. One query."""
    return not settings.SANDBOX and not User.objects.exists()


def make(now: datetime | None = None) -> str:
    """Return a new code as people type it, such as `ABCD-EFGH-IJKL-MNOP`, beside older ones."""
    now = now or timezone.now()
    code = new_code().upper()
    SetupCode.objects.filter(expires_at__lte=now).delete()
    SetupCode.objects.create(digest=digest(code), made_at=now, expires_at=now + VALID)
    return code


def announce(now: datetime | None = None) -> None:
    """Print a new code for the person at the server; nothing where somebody has an account."""
    if wanted():
        _print(make(now))


def announce_if_expired(now: datetime | None = None) -> bool:
    """Print a new code where no valid one is left, at most one a minute; return whether it did."""
    now = now or timezone.now()
    recent = SetupCode.objects.filter(made_at__gt=now - NEW_ONE_AFTER)
    if SetupCode.objects.filter(expires_at__gt=now).exists() or recent.exists():
        return False
    _print(make(now))
    return True


def _print(code: str) -> None:
    minutes = int(VALID.total_seconds() // 60)
    with suppress(OSError):  # a terminal that is gone must not stop the server
        sys.stdout.write(
            f"Make the first administrator: open {settings.PORTAL_URL}{reverse('portal:setup')}"
            f" and enter the code {code} (valid for {minutes} minutes)\n"
        )
        sys.stdout.flush()
