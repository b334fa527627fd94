"""Keyed fingerprints of values, and hosts that addresses lead to: all that is kept of a value."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from django.utils.crypto import salted_hmac

REFERENCE = re.compile(r"\$\{\{\s*([^{}]+?)\s*\}\}")
PRIVATE_ENDING = ".railway.internal"
_PLACE = "portal-reference-"


def fingerprint(value: str) -> str:
    """Return the HMAC-SHA256 of a value, in hex, keyed by SECRET_KEY; "" for an empty one."""
    if not value:
        return ""
    return salted_hmac("environments.variables", value, algorithm="sha256").hexdigest()


def host_of(value: str) -> tuple[str, str]:
    """Return the host in an address: (its name, "") or ("", the reference that it is); ("", "") for
    neither.

    A port that is not the usual one is part of a public name, as another program answers there;
    inside Railway's private network services listen where they like.
    """
    references = REFERENCE.findall(value)
    numbers = iter(range(len(references)))
    plain = REFERENCE.sub(lambda _: f"{_PLACE}{next(numbers)}", value.strip())
    try:
        parts = urlsplit(plain if "://" in plain else f"//{plain}")
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return "", ""
    if host.startswith(_PLACE) and host.removeprefix(_PLACE).isdigit():
        return "", references[int(host.removeprefix(_PLACE))]
    if _PLACE in host:
        return "", ""
    odd = host and port not in (None, 80, 443) and not host.endswith(PRIVATE_ENDING)
    return f"{host}:{port}" if odd else host, ""


def private_name(service: str) -> str:
    """Return what a service is called in the private network of each environment."""
    return re.sub(r"[^a-z0-9]+", "-", service.lower()) + PRIVATE_ENDING


def private_hosts(services: Iterable[str]) -> frozenset[str]:
    """Return the fingerprints of hosts that mean another machine in each environment."""
    return frozenset(fingerprint(private_name(service)) for service in services if service)
