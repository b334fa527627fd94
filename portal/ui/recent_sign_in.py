"""What a session has proven about the person who acts, and what an action demands of it.

A project says what its dangerous actions demand (`Policy`). What was proven travels with the actor,
put there by
`PortalSite.has_permission` and by nothing else: an account that was read from the database by a job
or a command has proven nothing, and is refused where something is demanded.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

from portal.models.sign_in_policy import Policy

PASSWORD, SECOND_FACTOR = "password", "second factor"
PROVED_AT, SECOND_FACTOR_AT = (
    "proved_at",
    "second_factor_at",
)  # in the session, in seconds since 1970


@dataclass(frozen=True)
class SignIn:
    """When the person last gave the password and the second factor in this session."""

    password_at: datetime | None
    second_factor_at: datetime | None


def read(session: SessionBase) -> SignIn:
    """Return what `session` has proven."""
    return SignIn(_moment(session.get(PROVED_AT)), _moment(session.get(SECOND_FACTOR_AT)))


def _moment(stamp: object) -> datetime | None:
    return datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int | float) else None


def note(session: SessionBase, *names: str) -> None:
    """Write down that these (PROVED_AT, SECOND_FACTOR_AT) were proven just now."""
    for name in names:
        session[name] = timezone.now().timestamp()


def lacking(sign_in: SignIn | None, policy: Policy, now: datetime | None = None) -> tuple[str, ...]:
    """Return which of PASSWORD and SECOND_FACTOR have to be given before the action may happen."""
    if not policy.second_factor and not policy.minutes:
        return ()
    now = now or timezone.now()
    since = now - timedelta(minutes=policy.minutes) if policy.minutes else None
    given = sign_in or SignIn(None, None)
    wanted = {PASSWORD: given.password_at} | (
        {SECOND_FACTOR: given.second_factor_at} if policy.second_factor else {}
    )
    return tuple(
        name for name, at in wanted.items() if at is None or (since is not None and at < since)
    )


def policy_of(subject: object) -> Policy:
    """Return what the subject's project demands; without a project nothing."""
    return getattr(subject, "sign_in_policy", Policy())
