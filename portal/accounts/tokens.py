"""Access tokens for a person's own terminal: made, shown once, looked up, removed.

What a token may do is decided by the views that take it (`releases.terminal`), never by more than
its owner's roles. It proves no recent sign-in, so it opens no action that demands one.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.models.tokens import AccessToken
from portal.ui.actions import Refused
from portal.ui.site import READ

VALID = timedelta(days=90)
MOST = 10  # of one person
NOTED = timedelta(minutes=1)  # how exactly the last use is known
BEGINS = "rpt_"


def make(user: User, name: str, *, now: datetime | None = None) -> str:
    """Return a new token of `user`, which nobody sees again. Raise `Refused`."""
    now = now or timezone.now()
    token = BEGINS + secrets.token_urlsafe(32)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        AccessToken.objects.filter(user=user, expires_at__lte=now).delete()
        if AccessToken.objects.filter(user=user).count() >= MOST:
            raise Refused(f"You have {MOST} access tokens. Remove one first.")
        row = AccessToken.objects.create(
            user=user, name=name, digest=digest(token), made_at=now, expires_at=now + VALID
        )
        sentence = f"Made the access token “{name}”, valid until {row.expires_at:%Y-%m-%d}."
        audit.record_own("person.token_made", user, sentence, now=now)
    return token


def remove(user: User, pk: int, *, now: datetime | None = None) -> None:
    """Remove one of the person's own tokens; it counts no more. Raise `Refused`."""
    with transaction.atomic():
        row = AccessToken.objects.filter(user=user, pk=pk).first()
        if row is None:
            raise Refused("This access token is gone already.")
        row.delete()
        audit.record_own(
            "person.token_removed", user, f"Removed the access token “{row.name}”.", now=now
        )


def digest(token: str) -> str:
    """Return what the database holds of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def owner(header: str, *, now: datetime | None = None) -> User | None:
    """Return whose token an `Authorization` header carries, while it counts and its owner may use
    the portal. One query, and one write a minute.
    """
    now = now or timezone.now()
    word, _, token = header.partition(" ")
    if word.lower() != "bearer" or not token.startswith(BEGINS):
        return None
    known = AccessToken.objects.select_related("user").filter(expires_at__gt=now)
    row = known.filter(digest=digest(token.strip())).first()
    if row is None or not (row.user.is_active and row.user.is_staff and row.user.has_perm(READ)):
        return None
    if row.used_at is None or row.used_at < now - NOTED:
        AccessToken.objects.filter(pk=row.pk).update(used_at=now)
    return row.user
