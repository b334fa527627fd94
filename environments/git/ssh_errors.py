"""What went wrong with git over SSH, in a sentence."""

from environments.git.host_keys import address_of
from environments.git.ssh import Access

_REASONS = (
    (
        "host_key",
        ("HOST IDENTIFICATION HAS CHANGED",),
        (
            "{host} shows another host key than the pinned one. If it was really changed there,"
            " confirm the new one under Connections; if not, somebody stands in between."
        ),
    ),
    (
        "host_key",
        ("host key is known for", "Host key verification failed", "no matching host key type"),
        "{host} shows a host key that is not pinned; compare it under Connections, and confirm it.",
    ),
    (
        "key",
        ("Load key", "invalid format", "bad permissions", "UNPROTECTED PRIVATE KEY"),
        "The deploy key for {host} cannot be used; give the portal a new one.",
    ),
    (
        "key",
        ("Permission denied", "Too many authentication failures"),
        (
            "{host} refuses the deploy key {fingerprint}; add its public half to the repository's"
            " deploy keys."
        ),
    ),
    (
        "missing",
        (
            "Repository not found",
            "does not appear to be a git repository",
            "not a git repository",
            "does not exist",
            "access denied",
        ),
        "There is no such repository at {host}, or the deploy key {fingerprint} may not read it.",
    ),
    (
        "unreachable",
        (
            "Could not resolve",
            "Connection refused",
            "timed out",
            "No route to host",
            "Connection reset",
            "Connection closed",
            "kex_exchange_identification",
            "unreachable",
            "early EOF",
            "hung up",
        ),
        "{host} cannot be reached over SSH; try again, or check the address and the network.",
    ),
)


def reason(text: str, url: str, access: Access) -> tuple[str, str] | None:
    """Return kind and sentence for what ssh or the server said; None for an unknown fault."""
    address = address_of(url)
    host = address.label if address else "the server"
    for kind, signs, sentence in _REASONS:
        if any(sign in text for sign in signs):
            return kind, sentence.format(host=host, fingerprint=access.fingerprint).replace(
                "  ", " "
            )
    return None
