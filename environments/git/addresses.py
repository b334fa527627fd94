"""Which addresses git may be given: over HTTPS or SSH, to a host.

A path, an option or a helper program is refused.
"""

from urllib.parse import urlsplit

from environments.git import host_keys
from portal.outbound.http import is_loopback

KINDS = "Write the address as https://host/owner/name.git or ssh://git@host/owner/name.git."


def fault_of(url: str) -> str:
    """Return why git is not to be given `url`, in one sentence; "" where it may be."""
    if not url.isprintable() or " " in url or url.startswith("-"):
        return f"It holds a space or control character, or begins like an option. {KINDS}"
    if host_keys.address_of(url):
        return ""
    try:
        parts = urlsplit(url)
        host, password, _ = parts.hostname, parts.password, parts.port
    except ValueError:
        return f"It cannot be read. {KINDS}"
    if parts.scheme not in ("http", "https") or not host:
        return f"It is neither HTTPS nor SSH. {KINDS}"
    if parts.scheme == "http" and not is_loopback(host):
        return (
            "Over http:// everybody on the way could change what is read. Write https:// instead."
        )
    return (
        "It holds a password, which would be shown. Use a deploy key instead." if password else ""
    )


def origin(url: str) -> str:
    """Return `scheme://host:port/` of an HTTP address, as git matches it; "" for an address of
    another kind.

    Also "" for http:// to another machine, where a credential would travel in clear text.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
    return ""
