"""One call of git, with limits on time and output, its own environment, and readable failures."""

import os
import selectors
import subprocess
import time
from typing import Any

from portal.redaction import without_secrets

MAX_OUTPUT_BYTES = 64 * 1024 * 1024


_PIPE_BYTES = 4096  # what any pipe takes at once, so that neither side of it can block


# What our git may see of the portal's own environment: nothing secret.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")


_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


REASONS = (
    (
        "token",
        (
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "error: 401",
            "error: 403",
            "Permission denied",
            "Invalid username or",
        ),
        "{name} refused the access token; check that it is current and may read this repository.",
    ),
    (
        "missing",
        (
            "Repository not found",
            "not found",
            "does not exist",
            "error: 404",
            "does not appear to be a git repository",
            "not a git repository",
        ),
        "There is no repository at {name}, or the access token may not see it.",
    ),
    (
        "moved",
        ("error: 301", "error: 302", "error: 303", "error: 307", "error: 308", "from redirection"),
        (
            "{name} sends git to another address, where it does not follow: set the repository's"
            " present name."
        ),
    ),
    (
        "unreachable",
        (
            "Could not resolve",
            "Failed to connect",
            "Connection refused",
            "timed out",
            "unable to",
            "early EOF",
            "hung up",
            "Operation too slow",
            "Connection reset",
            "No route to host",
        ),
        "{name} cannot be reached; try again, or check the address and the network.",
    ),
)


class GitError(Exception):
    """One clear sentence for people.

    `kind`: token, key, host_key, missing, unreachable, timeout, busy, reference or git.
    """

    def __init__(self, sentence: str, kind: str = "git") -> None:
        super().__init__(without_secrets(sentence))
        self.kind = kind


def bounded(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[bytes, bytes]:
    """Return what git says on both its outputs, read no further than the bound: a tree of few bytes
    may list for ever.
    """
    heard: dict[Any, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as both:
        for stream in heard:
            both.register(stream, selectors.EVENT_READ)
        while both.get_map():
            ready = both.select(max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if not (part := os.read(key.fd, 1 << 18)):
                    both.unregister(key.fileobj)
                heard[key.fileobj] += part
            if max(map(len, heard.values())) > MAX_OUTPUT_BYTES:
                raise GitError("git answered with more than 64 MB; narrow the range of commits.")
    try:
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return bytes(heard[process.stdout]), bytes(heard[process.stderr])


def environment() -> dict[str, str]:
    passed = {*_PASSED_ON, *_PROXIES, *(name.lower() for name in _PROXIES)}
    return {name: value for name, value in os.environ.items() if name in passed} | {
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=10",
        "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }
