"""Whether a port is free to serve on."""

import socket
import time

from portal.server.postgres_wheel import StartError


def refuse_taken_port(host: str, port: int, seconds: float = 2.0) -> None:
    """Raise `StartError` when the port stays taken; a run that was just killed gets a moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            family, kind, protocol, _, address = addresses[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                return probe.bind(address)
        except (OSError, OverflowError) as error:
            hopeless = isinstance(error, OverflowError | socket.gaierror)
            if time.monotonic() < deadline and not hopeless:
                time.sleep(0.1)
                continue
            reason = getattr(error, "strerror", None) or error
            other = port + 1 if 0 < port < 65535 else 8000
            why = f"Cannot serve on {host} port {port} ({reason}); stop what uses it"
            raise StartError(f"{why}, or take another: PORT={other}") from None
