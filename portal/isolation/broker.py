"""The broker: does outside the door what repository code asks for, where that is allowed.

It runs in the guard, the parent of the confined process. Whatever address is asked for, the broker
connects by itself and puts the connection in place of the asker's socket: nothing in the asker's
memory is trusted between looking and doing. Standard library only.
"""

import array
import ctypes
import errno
import fcntl
import ipaddress
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .confine import Door, capabilities
from .system_calls import ARCHITECTURES, CONNECT, MODES

if TYPE_CHECKING:
    from .relay import Relay

RECEIVE, SEND, ADD = 0xC0502100, 0xC0182101, 0x40182103
SET_DESCRIPTOR = 1
DNS = 53
CONNECT_SECONDS = 10
AT_FDCWD = -100
MAX_THREADS = 40
SYS_PTRACE = 1 << 19
COLUMN = ARCHITECTURES.get(os.uname().machine, (0, 0))[1]
_NAMES = {numbers[COLUMN]: name for calls in (MODES, CONNECT) for name, numbers in calls.items()}


class Broker:
    """Answers for one confined tree of processes, in a thread of its own, until that has ended."""

    def __init__(self, door: Door, listener: int, relay: "Relay | None" = None) -> None:
        self.network: str = door["network"]  # "database" or "packages"
        self.hosts = {(str(host), int(port)) for host, port in door["hosts"]}
        self.writable = [os.path.realpath(path) for path in door["writable"]]
        self.uid: int = door["uid"]
        self.listener = listener
        self.relay = relay  # reads what goes to the database

    def start(self) -> None:
        """Begin to answer."""
        _resolved("localhost", DNS)  # loads the resolver, for the thread may not read our files
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        # In many containers root may not look at other users' processes; then be that user.
        if os.geteuid() == 0 and not capabilities() & SYS_PTRACE:
            libc = ctypes.CDLL(None)
            libc.setfsgid(self.uid)
            libc.setfsuid(self.uid)
        while True:
            request_bytes = bytearray(80)
            try:
                fcntl.ioctl(self.listener, RECEIVE, request_bytes, True)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):  # the asker was killed meanwhile
                    continue
                return
            id, pid, _, number, _, _, *arguments = struct.unpack("QIIiIQ6Q", request_bytes)
            try:
                failed = self._answer(id, pid, _NAMES.get(number, ""), arguments)
            except OSError as error:
                failed = error.errno or errno.EPERM
            except Exception:  # noqa: BLE001 - whatever was asked for, the asker must not wait for ever
                failed = errno.EINVAL
            with suppress(OSError):
                fcntl.ioctl(self.listener, SEND, struct.pack("QqiI", id, 0, -failed, 0))

    def _answer(self, id: int, pid: int, name: str, arguments: list[int]) -> int:
        """0, or the number of the error that the asker gets."""
        if name == "connect":
            return self._connect(id, pid, arguments)
        first = ctypes.c_int(arguments[0] & 0xFFFFFFFF).value
        if name == "fchmod":
            return self._set_mode(f"/proc/{pid}/fd/{first}", arguments[1])
        place, (path, mode) = first, arguments[1:3]
        if name == "chmod":
            place, (path, mode) = AT_FDCWD, arguments[:2]
        base = os.readlink(f"/proc/{pid}/cwd" if place == AT_FDCWD else f"/proc/{pid}/fd/{place}")
        path_asked = os.fsdecode(_memory(pid, path, 4096).partition(b"\0")[0])
        return self._set_mode(os.path.join(base, path_asked) if path_asked else base, mode)

    def _set_mode(self, path: str, mode: int) -> int:
        """Open first what the path leads to now, then judge by where that lies."""
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            handle = f"/proc/self/fd/{descriptor}"
            real = os.readlink(handle)
            if not any(
                real == directory or real.startswith(f"{directory}/") for directory in self.writable
            ):
                return errno.EPERM
            os.chmod(handle, mode & 0o777)
        finally:
            os.close(descriptor)
        return 0

    def _connect(self, id: int, pid: int, arguments: list[int]) -> int:
        theirs, at, size = arguments[0] & 0x7FFFFFFF, arguments[1], arguments[2] & 0xFFFFFFFF
        ours = self._opened(_address(_memory(pid, at, min(size, 128))))
        if ours is None:
            return errno.ECONNREFUSED
        with ours:
            flags = _flags(pid, theirs)
            ours.setblocking(not flags & os.O_NONBLOCK)
            given = (SET_DESCRIPTOR, ours.fileno(), theirs, flags & os.O_CLOEXEC)
            fcntl.ioctl(self.listener, ADD, struct.pack("QIIII", id, *given))
        return 0

    def _opened(self, destination: tuple[str, int]) -> socket.socket | None:
        """Return a connection to what is allowed; None for anything else. Raise `OSError`."""
        if destination[1] == DNS and destination not in self.hosts:
            return self._names()
        family, address, host = next(self._places(destination), (0, None, ""))
        if address is None:
            return None
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_SECONDS)
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            raise OSError(error.errno or errno.ETIMEDOUT, "not connected") from None
        if family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return self.relay.instead_of(connection, host) if self.relay and host else connection

    def _places(
        self, destination: tuple[str, int]
    ) -> Iterator[tuple[int, str | tuple[str | int, ...], str]]:
        """Yield what the asked address stands for among those allowed, and the host if named."""
        for host, port in self.hosts:
            if host.startswith("/"):
                path = f"{host}/.s.PGSQL.{port}"
                if destination == (path, 0):
                    yield socket.AF_UNIX, path, host
                continue
            for family, _, _, _, address in _resolved(host, port):
                if destination == (address[0], port):
                    yield family, address, host
        if self.network == "packages" and _is_public(destination[0]):
            yield (socket.AF_INET6 if ":" in destination[0] else socket.AF_INET), destination, ""

    def _names(self) -> socket.socket | None:
        """Return a socket to a name server of our own; None while there are too many."""
        if threading.active_count() > MAX_THREADS:
            return None
        theirs, ours = socket.socketpair()
        threading.Thread(target=self._serve_names, args=(ours,), daemon=True).start()
        return theirs

    def _serve_names(self, connection: socket.socket) -> None:
        known = {host.lower() for host, _ in self.hosts}
        with (
            connection,
            suppress(OSError, ValueError, IndexError, struct.error),
            connection.makefile("rb") as stream,
        ):
            connection.settimeout(30)
            while header := stream.read(2):
                query = stream.read(struct.unpack("!H", header)[0])
                name, kind, end = _question(query)
                if self.network == "packages" or name.lower() in known:
                    addresses = {info[4][0] for info in _resolved(name, 0)}
                else:
                    addresses = set()
                answer = _reply(query, kind, end, sorted(addresses))
                connection.sendall(struct.pack("!H", len(answer)) + answer)


def receive(through: socket.socket) -> int:
    """Return the descriptor that `hand_over` sent; -1 when the confined process ended before."""
    _, sent, _, _ = through.recvmsg(1, socket.CMSG_SPACE(4))
    return next((array.array("i", data)[0] for _, _, data in sent), -1)


def _memory(pid: int, at: int, size: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(at)
        return memory.read(size)


def _flags(pid: int, descriptor: int) -> int:
    for line in Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().splitlines():
        if line.startswith("flags:"):
            return int(line.split()[1], 8)
    return 0


def _address(raw: bytes) -> tuple[str, int]:
    """Return host and port of a `sockaddr`; for a Unix socket its path and 0."""
    family = struct.unpack_from("=H", raw)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(family, raw[4:8]), struct.unpack_from("!H", raw, 2)[0]
    if family == socket.AF_INET6:
        ip = ipaddress.IPv6Address(raw[8:24])
        return str(ip.ipv4_mapped or ip), struct.unpack_from("!H", raw, 2)[0]
    return os.fsdecode(raw[2:].split(b"\0")[0]), 0


def _resolved(host: str, port: int) -> list[tuple[int, int, int, str, Any]]:
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError):
        return []


def _is_public(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return False


def _question(query: bytes) -> tuple[str, int, int]:
    """Name and kind that a DNS query asks for (RFC 1035, 4.1.2), and where the question ends."""
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode("ascii"))
        at += 1 + size
    return ".".join(labels), struct.unpack_from("!H", query, at + 1)[0], at + 5


def _reply(query: bytes, kind: int, end: int, addresses: list[str]) -> bytes:
    """Return the answer with the addresses of the asked kind (1: IPv4, 28: IPv6); without any
    address the name does not exist.
    """
    family = socket.AF_INET6 if kind == 28 else socket.AF_INET
    fitting = [address for address in addresses if kind == (28 if ":" in address else 1)]
    code = 0 if addresses else 3
    header = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(fitting), 0, 0)
    records = b""
    for ip in fitting:
        data = socket.inet_pton(family, ip)
        records += struct.pack("!HHHIH", 0xC00C, kind, 1, 30, len(data)) + data
    return header + query[12:end] + records
