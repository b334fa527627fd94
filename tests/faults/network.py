"""Hosts of their own for the fault scripts: a network namespace each, where the kernel permits it,
and a gate on each way out that tells what passes and can be shut.

Standard library only, for the part that runs inside a namespace: `python -m tests.faults.network
PID SOCKET` listens on its loopback where process PID's network does, and passes on to the socket.
"""

import ctypes
import os
import re
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 65536
METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ")


def own_network() -> bool:
    """Move this process into a network of its own; False where the kernel does not permit it."""
    try:
        os.unshare(os.CLONE_NEWNET)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    except (AttributeError, OSError, subprocess.CalledProcessError):
        return False
    return True


def is_write(chunk: bytes) -> bool:
    """Whether an HTTP request changes something."""
    line, _, rest = chunk.partition(b"\r\n")
    if line.startswith((b"GET ", b"HEAD ")) or b"git-upload-pack" in line:
        return False
    return b"mutation" in rest if b"graphql" in line else True


@dataclass
class Gate:
    """Passes connections on to 127.0.0.1:`port`, or where it listens at a path, to the port that
    their first two bytes name. Calls `seen` with "look" or "write" before a request of that kind
    passes to a port of `watched`. While `shut` nothing passes, and nobody is told.
    """

    port: int = 0
    socket_path: Path | None = None
    watched: frozenset[int] = frozenset()
    seen: Callable[[str], None] = lambda kind: None
    shut: threading.Event = field(default_factory=threading.Event)
    address: tuple[str, int] = ("", 0)

    def start(self) -> "Gate":
        gate = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                port = gate.port or int.from_bytes(self.request.recv(2, socket.MSG_WAITALL))
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as far:
                    back = threading.Thread(target=gate._pass, args=(far, self.request, False))
                    back.start()
                    gate._pass(self.request, far, port in gate.watched)
                    back.join()

        class Tcp(socketserver.ThreadingTCPServer):
            daemon_threads, allow_reuse_address = True, True

        class Unix(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        server = (
            Unix(str(self.socket_path), Handler)
            if self.socket_path
            else Tcp(("127.0.0.1", 0), Handler)
        )
        if not self.socket_path:
            self.address = server.server_address
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def _pass(self, near: socket.socket, far: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while chunk := near.recv(CHUNK):
                if asks and chunk.startswith(METHODS):
                    chunk = _whole(near, chunk)
                    self.seen("write" if is_write(chunk) else "look")
                while self.shut.is_set():
                    threading.Event().wait(0.05)
                far.sendall(chunk)
        for one in (near, far):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _whole(near: socket.socket, chunk: bytes) -> bytes:
    """The request with its body, where it tells how long that is."""
    while b"\r\n\r\n" not in chunk and (more := near.recv(CHUNK)):
        chunk += more
    head, _, body = chunk.partition(b"\r\n\r\n")
    told = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    left = (int(told[1]) if told else 0) - len(body)
    while left > 0 and (more := near.recv(CHUNK)):
        chunk, left = chunk + more, left - len(more)
    return chunk


class Namespace:
    """A network and a host name of its own, joined to ours by one cable."""

    def __init__(self, number: int) -> None:
        self.name, self.cable = f"host-{number}", f"cable{number}"
        self.ours, self.theirs = f"10.231.{number}.1", f"10.231.{number}.2"
        self.holder = subprocess.Popen(
            [
                "unshare",
                "--net",
                "--uts",
                "sh",
                "-c",
                f"hostname {self.name}; echo; sleep infinity",
            ],
            stdout=subprocess.PIPE,
        )
        assert self.holder.stdout and self.holder.stdout.readline()
        pid = str(self.holder.pid)
        _ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", pid)
        _ip("addr", "add", f"{self.ours}/30", "dev", self.cable)
        _ip("link", "set", self.cable, "up")
        for command in (
            ("link", "set", "lo", "up"),
            ("addr", "add", f"{self.theirs}/30", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
        ):
            subprocess.run([*self.within(), "ip", *command], check=True)

    def within(self) -> list[str]:
        """What stands before a command that is to run on this host."""
        return ["nsenter", f"--target={self.holder.pid}", "--net", "--uts", "--"]

    def relay(self, gate: Path) -> subprocess.Popen[bytes]:
        """Lead every port of its loopback that is one of ours to the gate, past the cable."""
        words = [str(os.getpid()), str(gate)]
        return subprocess.Popen(
            [*self.within(), sys.executable, "-m", "tests.faults.network", *words]
        )

    def cut(self) -> None:
        """Pull the cable: packets vanish, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def join(self) -> None:
        """Put the cable back."""
        _ip("link", "set", self.cable, "up")

    def end(self) -> None:
        """Remove all of it."""
        self.holder.kill()
        self.holder.wait()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _serve(pid: str, path: str) -> None:
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # ends with its starter
    known: set[int] = set()
    while True:
        for port in _listening(pid) - known:
            known.add(port)
            threading.Thread(target=_listen, args=(port, path), daemon=True).start()
        time.sleep(0.1)


def _listening(pid: str) -> set[int]:
    """The ports of the loopback on which somebody listens in that process's network."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    return {
        int(row[1].partition(":")[2], 16)
        for row in rows
        if row[3] == "0A" and row[1].startswith(("0100007F", "00000000"))
    }


def _listen(port: int, path: str) -> None:
    server = socket.create_server(("127.0.0.1", port))
    while True:
        near, _ = server.accept()
        far = socket.socket(socket.AF_UNIX)
        with suppress(OSError):
            far.connect(path)
            far.sendall(port.to_bytes(2))
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=_copy, args=(one, other), daemon=True).start()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while chunk := one.recv(CHUNK):
            other.sendall(chunk)
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
