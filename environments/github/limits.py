"""What GitHub's answers say about the token: the remaining rate limit and the expiry date."""

from datetime import UTC, datetime
from http import HTTPStatus

from portal import observed
from portal.outbound.http import Reply
from portal.outbound.parsing import get_path

LEFT, ENDS = "github.left.", "github.token_expires."  # before the name of a credential
KINDS, QUOTA = ("core", "graphql"), ("remaining", "limit", "reset")
EXPIRES = "github-authentication-token-expiration"


def note(reply: Reply, account: str) -> None:
    """Keep what an answer says about quota and expiry; answers without such headers say nothing.

    `account` names the credential: each has a quota of its own.
    """
    kind = reply.headers.get("x-ratelimit-resource", "")
    values = {name: reply.number(f"x-ratelimit-{name}") for name in QUOTA}
    if kind in KINDS and None not in values.values():
        observed.note(f"{LEFT}{kind}.{account}", values)
    if EXPIRES in reply.headers or reply.status == 200:
        observed.note(f"{ENDS}{account}", expiry(reply.headers.get(EXPIRES, "")) or 0)
    if reply.status < 300 or reply.status == HTTPStatus.NOT_MODIFIED:
        observed.note_accepted(account)


def note_all(answer: object, account: str) -> None:
    """Keep what the answer of `/rate_limit` says of both quotas: it tells of requests of others."""
    for kind in KINDS:
        quota = get_path(answer, "resources", kind)
        values = {name: get_path(quota, name) for name in QUOTA}
        if all(type(value) is int and value >= 0 for value in values.values()):
            observed.note(f"{LEFT}{kind}.{account}", values)


def note_block(until: float, account: str) -> None:
    """Keep that GitHub takes no request of the credential before `until`, in Unix seconds."""
    observed.note(f"{LEFT}blocked.{account}", until)


def names_of(account: str) -> list[str]:
    """Return under which names it is kept what is left to a credential."""
    return [f"{LEFT}{part}.{account}" for part in (*KINDS, "blocked")]


def expiry(message: str) -> float | None:
    """Return the Unix time of `2026-12-01 00:00:00 UTC`, or with an offset; None for no time."""
    for form in ("%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S %z"):
        try:
            date = datetime.strptime(message.strip(), form)
        except ValueError:
            continue
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    return None
