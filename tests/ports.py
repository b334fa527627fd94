"""Ports for servers that a test starts in a process of their own."""

import secrets
import socket
from contextlib import suppress


def free_port() -> int:
    """One that no other program is given by chance until ours takes it: below those that the
    kernel hands out.
    """
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", 20_000 + secrets.randbelow(10_000)))
            return probe.getsockname()[1]
