"""The client's address of a request, as our own proxies report it. Nobody else can set it."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the address that counts for limits: of IPv6 the /64 network, all of it one person's.

    Each proxy adds the address that it saw at the end of the header, so only the last
    TRUSTED_PROXIES entries are ours; what stands before them is whatever the client wrote.
    """
    seen = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXIES:
        entries = request.headers.get(settings.CLIENT_ADDRESS_HEADER, "").split(",")
        if len(entries) >= settings.TRUSTED_PROXIES:
            seen = entries[-settings.TRUSTED_PROXIES].strip() or seen
    return _network(seen)


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - all who cannot be told apart share one limit
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False).network_address)
    return str(ip)
