"""Whether a port is free to serve on."""

import socket
import time

from portal.server.supervised import RunError


def refuse_taken_port(host: str, port: int, seconds: float = 2.0) -> None:
    """Raises `RunError` when the port stays taken; a run that was just killed gets a moment to
    go.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                return probe.bind(address)
        except (OSError, OverflowError) as error:
            if time.monotonic() < deadline and not isinstance(
                error, OverflowError | socket.gaierror
            ):
                time.sleep(0.1)
                continue
            reason = getattr(error, "strerror", None) or error
            other = port + 1 if 0 < port < 65535 else 8000
            raise RunError(
                f"Cannot serve on {host} port {port} ({reason}); stop what uses it, or take"
                f" another: PORT={other}"
            ) from None
