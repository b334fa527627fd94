"""What GitHub says about the token beside every answer: what is left of its quota, and when it
expires.
"""

from datetime import UTC, datetime

from portal import observed
from portal.outbound.http import Reply

EXPIRES = "github-authentication-token-expiration"


def note(reply: Reply, account: str) -> None:
    """Keep what an answer says about quota and expiry; answers without such headers say nothing.

    `account` names the credential: each has a quota of its own.
    """
    kind = reply.headers.get("x-ratelimit-resource", "")
    values = {
        name: _number(reply, f"x-ratelimit-{name}") for name in ("remaining", "limit", "reset")
    }
    if kind in ("core", "graphql") and None not in values.values():
        observed.note(f"github.quota.{kind}", values)
        observed.note(f"github.left.{kind}.{account}", values)
    if EXPIRES in reply.headers or reply.status == 200:
        observed.note("github.token_expires", expiry(reply.headers.get(EXPIRES, "")) or 0)


def note_block(until: float, account: str) -> None:
    """Keep that GitHub takes no request of the credential before `until`, in Unix seconds."""
    observed.note(f"github.left.blocked.{account}", until)


def names_of(account: str) -> list[str]:
    """Return under which names it is kept what is left to a credential."""
    return [f"github.left.{part}.{account}" for part in ("core", "graphql", "blocked")]


def expiry(message: str) -> float | None:
    """Return the Unix time that the header names (`2026-12-01 00:00:00 UTC`, or an offset); None
    for no time.
    """
    for form in ("%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S %z"):
        try:
            found = datetime.strptime(message.strip(), form)
        except ValueError:
            continue
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    return None


def _number(reply: Reply, name: str) -> int | None:
    message = reply.headers.get(name, "").strip()
    return int(message) if message.isascii() and message.isdigit() and len(message) < 12 else None
