"""Calls to the outside: time limits, bounded answers, few retries, one error type.

Reads are tried up to three times. A write is never sent twice: when its outcome cannot be known the
error's kind is `unknown_outcome`, and the caller looks at the world before it does anything else.
"""

import ipaddress
import json
import logging
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import urlsplit

import httpx
import stamina

from portal.outbound.connections import TooLarge, client_of, pinned, read_bounded
from portal.outbound.parsing import Malformed
from portal.redaction import without_secrets

Kind = Literal[
    "unauthorized",  # the token is refused
    "wrong_header",  # the token is of another kind than the header it was sent in
    "forbidden",  # the token may not do this
    "not_found",
    "conflict",  # what we relied on has moved
    "refused",  # by a rule or for a wrong value: trying again changes nothing
    "rate_limited",
    "unavailable",  # no answer, or 5xx; nothing was changed
    "unknown_outcome",  # a write without a believable answer: it may have happened
    "malformed",  # HTML, half a JSON, another shape than promised
    "outdated",  # the vendor's schema has moved on and the portal must follow
    "watch_only",  # the project only watches: nothing was sent
    "too_quickly",  # Railway's pause between two new environments
]

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_WAIT_SECONDS = 10.0  # a longer Retry-After is the caller's business: no worker sleeps it out
RETRIED: frozenset[Kind] = frozenset({"unavailable", "malformed", "rate_limited"})
# The connection never stood, so not even a write can have happened.
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)

log = logging.getLogger(__name__)
calls: Counter[str] = Counter()  # outward calls of this process, by service; for tests and benches
_counting = threading.Lock()


class ApiError(Exception):
    """What went wrong outside, in a `sentence` for people, without secrets, and how to fix it.

    `service` is "GitHub", "Railway" or "smoke"; `status` the HTTP status if there was an answer;
    `retry_after` seconds to wait, where known; `detail` the vendor's own words, cleaned, for logs.
    """

    def __init__(
        self,
        service: str,
        kind: Kind,
        sentence: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        detail: str = "",
    ) -> None:
        self.sentence = without_secrets(sentence)
        super().__init__(self.sentence)
        self.service = service
        self.kind: Kind = kind
        self.status = status
        self.retry_after = retry_after
        self.detail = without_secrets(detail)

    def as_kind(self, kind: Kind, sentence: str) -> "ApiError":
        """Return the same answer, understood more closely."""
        return ApiError(self.service, kind, sentence, status=self.status, detail=self.detail)


class WatchOnly(ApiError):
    """A write that was not sent, because its project only watches."""

    def __init__(self, service: str, sentence: str) -> None:
        super().__init__(service, "watch_only", sentence)


# Returns for how many seconds from its call the job that runs here is certainly still ours, or
# raises. Set while a job runs (portal.jobs.running); asked before each write.
guard: ContextVar[Callable[[], float] | None] = ContextVar("guard", default=None)


class TooLate(Exception):
    """A write that was not sent: the job belongs to another worker by now, or may soon."""


# Called before each write with service, what it does in words, and its content; raises `WatchOnly`.
Withhold = Callable[[str, str, Mapping[str, object]], None]


@dataclass(frozen=True)
class Reply:
    """An answer with its whole body."""

    status: int
    headers: Mapping[str, str]  # httpx.Headers: names in any case
    body: bytes

    def json(self) -> object:
        """Return the body as JSON; raise `ValueError` for anything else, or nested too deeply."""
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def number(self, header: str) -> int | None:
        """Return a header that counts something, or None where it is no number."""
        value = self.headers.get(header, "").strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else None


def is_loopback(host: str | None) -> bool:
    """Return whether `host` is this machine: `localhost`, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def checked_url(url: str, setting: str, service: str) -> str:
    """Return `url` without its last slash; raise when a token would travel to it in clear text."""
    try:
        parts = urlsplit(url)
        near = parts.scheme == "http" and is_loopback(parts.hostname)
        if (parts.scheme == "https" or near) and parts.hostname and parts.username is None:
            return url.rstrip("/")
    except ValueError:
        pass
    wanted = "an https:// address (http:// only on this machine)"
    raise ApiError(service, "refused", f"{setting} must be {wanted}: correct it.")


def send(
    service: str,
    method: str,
    url: str,
    *,
    write: bool,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    read_seconds: float = READ_SECONDS,
    limit: int = MAX_ANSWER_BYTES,
    at: str = "",
) -> Reply:
    """Send one request and return one answer of at most `limit` bytes, whatever its status.

    `at`: the address to connect to, instead of asking again which one the host has. `read_seconds`
    bounds each silence and, doubled, the whole answer. Raise `ApiError`: unavailable or malformed;
    for a write that may have arrived, unknown_outcome.
    """
    still_ours = _deadline() if write else None
    with _counting:
        calls[service] += 1
    client = client_of(os.getpid(), is_loopback(urlsplit(url).hostname))
    started = time.monotonic()
    try:
        target, named, extensions = pinned(url, at)
        if still_ours is not None:
            extensions |= {"trace": still_ours}
        with client.stream(
            method,
            target,
            headers={**(headers or {}), **named},
            content=content,
            timeout=httpx.Timeout(read_seconds, connect=CONNECT_SECONDS),
            extensions=extensions,
        ) as answer:
            body = read_bounded(answer, limit, started + 2 * read_seconds)
            reply = Reply(answer.status_code, answer.headers, body)
    except (httpx.HTTPError, httpx.InvalidURL, TooLarge, UnicodeError) as error:
        failure = _transport_error(service, error, write, read_seconds)
        log.warning("%s %s: %s (%s)", service, method, failure.kind, failure.detail)
        raise failure from error
    took, theirs = time.monotonic() - started, reply.headers.get("x-github-request-id", "")[:64]
    what = (service, method, urlsplit(url).hostname, reply.status, took, theirs)
    log.info("%s %s %s %s in %.2f s %s", *what)
    return reply


def seconds_left() -> float:
    """Return for how many seconds from now this job may begin a write by another program (git);
    infinite outside of jobs. Raise `TooLate`.
    """
    ask = guard.get()
    return ask() if ask else math.inf


def _deadline() -> Callable[[str, object], None] | None:
    """Ask the guard, and return what holds back a request whose time is over as its first byte is
    to go out: this process may have been frozen meanwhile. Raise `TooLate`.
    """
    if guard.get() is None:
        return None
    before = time.monotonic()
    until = before + seconds_left()

    def trace(event: str, info: object) -> None:
        if event.endswith("send_request_headers.started") and time.monotonic() >= until:
            raise TooLate

    return trace


def _transport_error(service: str, error: Exception, write: bool, seconds: float) -> ApiError:
    detail = type(error).__name__
    if write and not isinstance(error, NEVER_SENT):
        return unknown_outcome(service, detail)
    if isinstance(error, TooLarge | httpx.DecodingError | UnicodeError):
        return malformed(service, "its answer is too large or cannot be unpacked")
    if isinstance(error, httpx.TimeoutException):
        sentence = f"{service} did not answer within {seconds:g} s. The portal tries again later."
    else:
        sentence = f"{service} cannot be reached: look at the network and {service}'s status page."
    return ApiError(service, "unavailable", sentence, detail=detail)


def unknown_outcome(service: str, detail: str = "", status: int | None = None) -> ApiError:
    """Return the error for a write that may or may not have happened."""
    sentence = f"{service} gave no clear answer, so the change may have happened:"
    sentence += " look there before trying again."
    return ApiError(service, "unknown_outcome", sentence, status=status, detail=detail)


def malformed(service: str, what: str, status: int | None = None) -> ApiError:
    """Return the error for an answer that is not what its vendor promises: in which way, `what`."""
    sentence = f"{service}'s answer cannot be read ({what}). The portal asks again later."
    return ApiError(service, "malformed", sentence, status=status, detail=what)


def unreadable(service: str, what: str, write: bool, status: int | None = None) -> ApiError:
    """Return the error for an answer that cannot be understood, to a write or a read."""
    return (unknown_outcome if write else malformed)(service, what, status)


@contextmanager
def shaped(service: str, *, write: bool = False) -> Iterator[None]:
    """Turn an answer of the wrong shape into an `ApiError`."""
    try:
        yield
    except Malformed as error:
        raise unreadable(service, str(error), write) from error


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return seconds to wait (`Retry-After`, RFC 9110 10.2.3), or None; `now` in Unix seconds."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), 86_400.0)
    try:
        return min(max(parsedate_to_datetime(value).timestamp() - now, 0.0), 86_400.0)
    except (ValueError, TypeError, OverflowError):
        return None


def read_again[T](call: Callable[[], T], *, unless_status: frozenset[int] = frozenset()) -> T:
    """Return `call()`, for reads only: up to 3 tries while the error is a passing one, not of a
    status in `unless_status`, and asks for no long wait.
    """

    def wait(error: Exception) -> bool | float:
        if not isinstance(error, ApiError) or error.kind not in RETRIED:
            return False
        if error.status in unless_status:
            return False
        if error.retry_after is None:
            return error.kind != "rate_limited"
        return error.retry_after if error.retry_after <= MAX_WAIT_SECONDS else False

    again = stamina.RetryingCaller(attempts=3, timeout=45, wait_initial=0.2, wait_max=2)
    return again(wait, call)
