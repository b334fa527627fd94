"""Enrolling a second factor, proving it, and removing it. Each is an event; no secret is in any."""

import secrets
from datetime import datetime
from hashlib import sha256

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.audit import Actor
from portal.models.accounts import Authenticator, RecoveryCode, encoded
from portal.ui.actions import Refused

CODES = 10


def of(user: object) -> Authenticator | None:
    """Return the person's authenticator that counts, if there is one."""
    return Authenticator.objects.filter(user=user, confirmed=True).first()


def begun(user: object) -> Authenticator | None:
    """Return the authenticator that waits for its first code."""
    return Authenticator.objects.filter(user=user, confirmed=False).first()


def begin(user: object, *, now: datetime | None = None) -> Authenticator:
    """Return a fresh authenticator that counts once it is confirmed, in place of one that waits."""
    with transaction.atomic():
        if of(user):
            raise Refused("You already have a second factor. Remove it before you set up another.")
        Authenticator.objects.filter(user=user).delete()
        made = {"secret": encoded(secrets.token_bytes(20)), "added_at": now or timezone.now()}
        return Authenticator.objects.create(
            user=user, name="authenticator", confirmed=False, **made
        )


def _locked(user: User, *, confirmed: bool = True) -> Authenticator | None:
    rows = Authenticator.objects.select_for_update()
    return rows.filter(user=user, confirmed=confirmed).first()


def confirm(user: User, code: str, *, now: datetime | None = None) -> list[str]:
    """Make the authenticator count, proven by its first code; return recovery codes, shown once."""
    now = now or timezone.now()
    with transaction.atomic():
        authenticator = _locked(user, confirmed=False)
        if authenticator is None or not authenticator.accepts(_typed(code), now):
            raise Refused("The code does not match. Check the app, and the clock of your phone.")
        authenticator.confirmed = True
        authenticator.save()
        codes = _new_codes(authenticator)
        audit.record_own("second_factor.enrolled", user, f"{user} set up a second factor.")
    return codes


def renew_codes(user: User) -> list[str]:
    """Return new recovery codes; the earlier ones no longer count."""
    with transaction.atomic():
        authenticator = _locked(user)
        if authenticator is None:
            raise Refused("You have no second factor.")
        codes = _new_codes(authenticator)
        audit.record_own("second_factor.codes_renewed", user, f"{user} made new recovery codes.")
    return codes


def remove(user: User, *, actor: Actor, reason: str = "") -> None:
    """Remove a person's second factor; `actor` None: somebody at the portal's own machine."""
    with transaction.atomic():
        if not Authenticator.objects.filter(user=user).delete()[0]:
            raise Refused(f"{user} has no second factor.")
        message = f"The second factor of {user} was removed{f': “{reason}”' if reason else '.'}"
        audit.record("second_factor.removed", actor=actor, subject=user, sentence=message)


def prove(user: User, code: str, *, now: datetime | None = None) -> None:
    """Take a code of the app, or a recovery code, which is then used up. Raise `Refused`, after
    ever longer waits.
    """
    now = now or timezone.now()
    with transaction.atomic():  # a refusal is kept too: it counts for the wait
        message = _judged(user, _typed(code), now)
    if message:
        raise Refused(message)


def _judged(user: User, code: str, now: datetime) -> str:
    authenticator = _locked(user)
    if authenticator is None:
        return "You have no second factor yet. Set one up first."
    allowed, about = authenticator.verify_is_allowed()
    if not allowed:
        seconds = int((about["locked_until"] - now).total_seconds()) + 1
        return f"The last code was wrong. Try again in {seconds} s."
    if authenticator.accepts(code, now):
        authenticator.throttle_reset()
        return ""
    unused = authenticator.recovery_codes.filter(used_at=None)
    if unused.filter(digest=digest(code)).update(used_at=now):
        authenticator.throttle_reset()
        left = unused.count()
        message = f"{user} used a recovery code; {left} are left."
        audit.record_own("second_factor.recovered", user, message, data={"left": left})
        return ""
    authenticator.throttle_increment()
    message = f"{user} entered a wrong second-factor code."
    audit.record_own("second_factor.failed", user, message, outcome="failed")
    return "That code is wrong or already used. Wait for the next one and try again."


def _typed(code: str) -> str:
    return "".join(filter(str.isalnum, code))[:40].lower()


def _new_codes(authenticator: Authenticator) -> list[str]:
    authenticator.recovery_codes.all().delete()
    codes = [new_code() for _ in range(CODES)]
    RecoveryCode.objects.bulk_create(
        RecoveryCode(authenticator=authenticator, digest=digest(code)) for code in codes
    )
    return codes


def new_code() -> str:
    """Return 80 random bits as people type them, such as `abcd-efgh-ijkl-mnop`."""
    code = encoded(secrets.token_bytes(10)).lower()
    return "-".join(code[at : at + 4] for at in range(0, 16, 4))


def digest(code: str) -> str:
    """Return the digest of a code, however it was spaced and in whatever case."""
    return sha256(_typed(code).encode()).hexdigest()
