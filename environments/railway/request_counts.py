"""Counts this process's requests to Railway and keeps the limits it reported, by token, in memory.

`environments.quota.allowance` carries it into the database, so that every process knows. Look here
for rate-limit headers.
"""

import threading
from dataclasses import dataclass, replace
from hashlib import sha256

from portal.outbound import http
from portal.outbound.http import Reply
from portal.outbound.parsing import moment

MOST_SECONDS = 3600.0  # a limit of Railway's lasts an hour


@dataclass(frozen=True)
class Account:
    """Requests of this process that nobody collected yet, and Railway's newest word.

    Times in Unix seconds.
    """

    asked: int = 0
    limit: int | None = None
    remaining: int | None = None
    resets_at: float | None = None
    blocked_until: float = 0.0


_accounts: dict[str, Account] = {}
_noting = threading.Lock()


def key_of(token: str) -> str:
    """Return what names a token where the token itself must not stand."""
    return sha256(f"railway budget {token}".encode()).hexdigest()[:16]


def note(token: str, reply: Reply, now: float) -> None:
    """Count one request, and keep what the answer says about the limit; headers may be absent."""
    limit, remaining = reply.number("x-ratelimit-limit"), reply.number("x-ratelimit-remaining")
    resets = moment(reply.headers.get("x-ratelimit-reset"))
    resets_at = resets.timestamp() if resets else None
    with _noting:
        known = _accounts.get(key_of(token), Account())
        known = replace(known, asked=known.asked + 1)
        if remaining is not None:
            known = replace(known, limit=limit, remaining=remaining, resets_at=resets_at)
        if reply.status == 429:
            wait = http.retry_after(reply.headers, now)
            until = now + min(60.0 if wait is None else wait, MOST_SECONDS)
            known = replace(known, blocked_until=until)
        _accounts[key_of(token)] = known


def collect(token: str) -> Account:
    """Return the account and begin to count from nought again."""
    with _noting:
        known = _accounts.get(key_of(token), Account())
        _accounts[key_of(token)] = replace(known, asked=0)
    return known
