"""Connections to the outside: one pool for each process, and answers of a bounded size."""

import functools
import time

import httpx

USER_AGENT = "release-portal/0.1"


@functools.lru_cache(maxsize=4)
def client_of(process: int, loopback: bool) -> httpx.Client:
    """Return the one pool of connections per process: a fork must not share its parent's.

    Without redirects no token reaches another host; this machine is asked past any proxy.
    """
    return httpx.Client(
        headers={"User-Agent": USER_AGENT},
        follow_redirects=False,
        trust_env=not loopback,
        verify=not loopback,
    )


def pinned(url: str, at: str) -> tuple[httpx.URL, dict[str, str], dict[str, object]]:
    """Return the URL at that address, and what still names the host: its header, and TLS."""
    whole = httpx.URL(url)
    if not at:
        return whole, {}, {}
    return whole.copy_with(host=at), {"Host": whole.netloc.decode()}, {"sni_hostname": whole.host}


class TooLarge(Exception):
    """More bytes than any honest answer has."""


def read_bounded(answer: httpx.Response, limit: int, deadline: float) -> bytes:
    body = bytearray()
    for chunk in answer.iter_bytes():
        body += chunk
        if len(body) > limit:
            raise TooLarge
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout("the answer came too slowly")
    return bytes(body)
