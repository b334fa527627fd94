"""Smoke tests: one GET to a service's own address, by the same way a visitor comes."""

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings

from portal.outbound import http
from portal.outbound.http import ApiError
from portal.outbound.parsing import text

SERVICE = "smoke"
MAX_BODY_BYTES = 1024 * 1024
MOST_PLACES = 3  # of one host's addresses that are tried
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9a-fA-F:]+\](:\d{1,5})?")
_PATH = re.compile(r"/[!-\[\]-~]*")  # printable ASCII without blanks and backslashes
_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Probe:
    """`ok` True: as expected; False: it answered otherwise; None: it could not be asked."""

    ok: bool | None
    status: int | None
    seconds: float
    commit: str | None
    sentence: str


def probe(
    base_url: str,
    *,
    path: str,
    expected_status: int,
    expected_commit: str | None = None,
    commit_key: str = "commit",
    timeout: float = 10,
    clock: Callable[[], float] = time.monotonic,
    local: bool | None = None,
) -> Probe:
    """Ask `path` of a service at `base_url` (a domain, or an address of which only host and port
    count).

    The commit is read from the header `X-Commit` or from `commit_key` of a JSON body; a service
    that reports none is judged by its status alone. A redirect is a status like any other and is
    not followed. Only addresses of the public internet are asked, and exactly the ones that were
    judged; `local`: this machine's too, by default where Railway's own API is a stand-in on it.
    """
    address = address_of(base_url, path)
    if address is None:
        given = f"“{text(base_url, 80)}” with path “{text(path, 80)}”"
        sentence = f"{given} is no address: correct the service's."
        return Probe(None, None, 0.0, None, sentence)
    started = clock()
    if local is None:
        local = http.is_loopback(urlsplit(settings.RAILWAY_API_URL).hostname)
    try:
        places = public_places(address, local)
    except NotPublic as refusal:
        return Probe(None, None, clock() - started, None, str(refusal))
    try:
        reply = _ask(address, places, timeout)
    except ApiError as error:
        return Probe(None, None, clock() - started, None, _no_answer(address, error, timeout))
    commit = _commit(reply, commit_key)
    ok, sentence = _verdict(address, reply.status, expected_status, commit, expected_commit)
    return Probe(ok, reply.status, clock() - started, commit, sentence)


class NotPublic(Exception):
    """This host is not on the public internet, or is not found; one sentence says so."""


def public_places(address: str, local: bool) -> list[str]:
    """Return the addresses that the host of `address` has now, for `http.send(at=…)`.

    `local`: this machine's own are allowed. Raise `NotPublic` if any of them is not for everybody.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if local and http.is_loopback(host):
        return [""]
    try:
        addresses = socket.getaddrinfo(
            host, parts.port or 443, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
    except (OSError, UnicodeError):
        why = f"{text(host, 100)} has no address: look at the service's domain."
        raise NotPublic(why) from None
    places = list(dict.fromkeys(str(address[4][0]) for address in addresses))
    if bad := next((place for place in places if not is_public(place)), None):
        where = f"{text(host, 100)} leads to {bad}, which is not on the public internet"
        raise NotPublic(f"{where}: it was not asked.")
    return places[:MOST_PLACES]


def is_public(address: str) -> bool:
    """Return whether anybody on the internet may be meant by it: no private, local, shared or
    multicast address.

    Of addresses of IPv6 that stand for one of IPv4, that one is judged.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _ask(address: str, places: Sequence[str], timeout: float) -> http.Reply:
    """Return one answer from the first of these places that can be reached."""
    get = partial(http.send, SERVICE, "GET", address, write=False)
    ask = partial(get, read_seconds=timeout, limit=MAX_BODY_BYTES)
    for place in places[:-1]:
        with suppress(ApiError):
            return ask(at=place)
    return ask(at=places[-1])


def address_of(base_url: str, path: str) -> str | None:
    """Return the address to ask: https, or http on this machine; None for unfit arguments."""
    host = re.sub(r"(?i)^https?://(.*?)/*$", r"\1", base_url.strip())
    if not _PATH.fullmatch(path) or not _HOST.fullmatch(host):
        return None
    try:
        local = http.is_loopback(urlsplit(f"//{host}").hostname)
    except ValueError:
        return None
    return f"{'http' if local else 'https'}://{host}{path}"


def _no_answer(address: str, error: ApiError, timeout: float) -> str:
    cause = str(error.__cause__ or "").lower()
    if "certificate" in cause or "ssl" in cause or "tls" in cause:
        return f"{address} has no valid TLS certificate: look at the service's domain."
    if "timeout" in error.detail.lower():
        return f"{address} did not answer within {timeout:g} s: look at the service's log."
    if error.kind == "malformed":
        unfit = f"{address} answered more than 1 MB or something unreadable"
        return f"{unfit}: give it a small page to test."
    return f"{address} cannot be reached: look whether the service runs and listens on its port."


def _commit(reply: http.Reply, key: str) -> str | None:
    """Return the commit the service says it runs; None when it says none."""
    message: object = reply.headers.get("x-commit")
    if message is None and reply.body.lstrip()[:1] == b"{":
        try:
            body = reply.json()
        except ValueError:
            return None
        message = body.get(key) if isinstance(body, dict) else None
    return text(message, 64).lower() or None


def _verdict(
    address: str, status: int, expected_status: int, commit: str | None, expected_commit: str | None
) -> tuple[bool, str]:
    if status != expected_status:
        return False, f"{address} answered HTTP {status} where {expected_status} was expected."
    answered = f"{address} answered HTTP {status}"
    if commit is None:
        return True, f"{answered}{'; it reports no commit' if expected_commit else ''}."
    if expected_commit and not _same(commit, expected_commit.lower()):
        runs = f"{address} runs commit {commit[:12]}"
        return False, f"{runs} where {expected_commit[:12]} was expected."
    return True, f"{answered} at commit {commit[:12]}."


def _same(message: str, expected: str) -> bool:
    return _SHORT_COMMIT.fullmatch(message) is not None and expected.startswith(message)
