"""Between a confined process and its database: reads every statement on the wire, outside the door.

Come here for what the project's own command sends. The broker hands the process a connection to
this relay in place of one to the server. The relay asks a judge about each statement before it
forwards it, so nothing that the process does to its own memory hides one. It speaks PostgreSQL's
protocol 3 (manual, chapter 55) and ends TLS on both sides: the process sees the portal's
certificate, the server's is checked here, as the database's address asks. Standard library only.
"""

import asyncio
import os
import socket
import ssl
import struct
import threading
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
MAX_STARTUP, MAX_STATEMENT, CHUNK = 10_000, 64 << 20, 1 << 16
CHANNEL_BINDING = b"SCRAM-SHA-256-PLUS"
UNENCRYPTED = "The database offers no TLS, which its address requires; nothing was sent to it."
Judge = Callable[[str], str]  # gets a statement; returns why it must not be sent, or ""


class Relay:
    """Forwards connections of one run, in a thread of its own, until the guard ends.

    `terms`: `certificate` and `key` (PEM) for the process's side; `sslmode`, `sslrootcert`,
    `sslcert` and `sslkey`, as libpq knows them, for the server's.
    """

    def __init__(self, terms: dict[str, Any], judge: Judge) -> None:
        self._judge = judge
        self._mode = terms.get("sslmode") or "prefer"
        self._ours = _own_context(terms["certificate"], terms["key"])
        self._theirs = _server_context(self._mode, terms) if self._mode != "disable" else None
        self._expected: dict[int, tuple[socket.socket, str]] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))

    def start(self) -> None:
        """Begin to forward."""
        threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True).start()

    def instead_of(self, server: socket.socket, host: str) -> socket.socket:
        """Return a connection to the relay, which forwards to `server` and answers nobody else."""
        connection = socket.socket()
        connection.bind(("127.0.0.1", 0))
        self._expected[connection.getsockname()[1]] = (server, host)
        connection.connect(self._listener.getsockname())
        return connection

    async def _run(self) -> None:
        serving = await asyncio.start_server(self._serve, sock=self._listener)
        async with serving:
            await serving.serve_forever()

    async def _serve(self, reader: Reader, writer: Writer) -> None:
        server, host = self._expected.pop(writer.get_extra_info("peername")[1], (None, ""))
        ends = [writer]
        try:
            if server is not None:
                server.setblocking(False)
                from_server, to_server = await asyncio.open_connection(sock=server)
                ends.append(to_server)
                await self._forward(reader, writer, from_server, to_server, host)
        except (OSError, EOFError, ssl.SSLError, ValueError, struct.error):
            pass
        finally:
            for end in ends:
                with suppress(OSError, ssl.SSLError, asyncio.TimeoutError):
                    end.close()
                    await asyncio.wait_for(end.wait_closed(), 5)

    async def _forward(
        self, reader: Reader, writer: Writer, from_server: Reader, to_server: Writer, host: str
    ) -> None:
        startup = await self._started(reader, writer)
        if not await self._encrypted(from_server, to_server, host):
            return await _refuse(writer, UNENCRYPTED)
        to_server.write(startup)
        await to_server.drain()
        if struct.unpack_from("!I", startup, 4)[0] == CANCEL_REQUEST:
            return
        up = asyncio.create_task(self._statements(reader, writer, to_server))
        down = asyncio.create_task(_answers(from_server, writer))
        await _either(up, down)

    async def _started(self, reader: Reader, writer: Writer) -> bytes:
        """Return the packet that begins a session or cancels a statement, after TLS if asked."""
        while True:
            size, code = struct.unpack("!II", await reader.readexactly(8))
            if not 8 <= size <= MAX_STARTUP:
                raise ValueError("no startup packet")
            if code not in (SSL_REQUEST, GSS_REQUEST):
                return struct.pack("!II", size, code) + await reader.readexactly(size - 8)
            writer.write(b"S" if code == SSL_REQUEST else b"N")
            await writer.drain()
            if code == SSL_REQUEST:
                await writer.start_tls(self._ours)

    async def _encrypted(self, reader: Reader, writer: Writer, host: str) -> bool:
        """Return whether to speak to the server: over TLS, or in the clear if the address lets."""
        if self._theirs is None or host.startswith("/"):
            return True
        writer.write(struct.pack("!II", 8, SSL_REQUEST))
        await writer.drain()
        if await reader.readexactly(1) != b"S":
            return self._mode in ("allow", "prefer")
        await writer.start_tls(self._theirs, server_hostname=host)
        return True

    async def _statements(self, reader: Reader, writer: Writer, to_server: Writer) -> None:
        while True:
            head = await reader.readexactly(5)
            kind, size = head[:1], struct.unpack_from("!I", head, 1)[0] - 4
            if kind not in b"QPF":
                to_server.write(head)
                await _copied(reader, to_server, size)
                continue
            if size > MAX_STATEMENT:
                why = "A statement of more than 64 MB was not sent; use COPY for so much."
                return await _refuse(writer, why)
            body = await reader.readexactly(size)
            if why := self._judge(_statement(kind, body)):
                return await _refuse(writer, why)
            to_server.write(head + body)
            await to_server.drain()


async def _either(*tasks: "asyncio.Task[None]") -> None:
    """Return when one direction has ended, and the other with it."""
    _, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, OSError, EOFError, ssl.SSLError):
            await task


async def _answers(reader: Reader, writer: Writer) -> None:
    """Pass on what the server says, without an offer to bind the sign-in to the server's TLS."""
    signed_in = False
    while not signed_in:
        head = await reader.readexactly(5)
        size = struct.unpack_from("!I", head, 1)[0] - 4
        body = await reader.readexactly(size)
        if head[:1] == b"R" and body[:4] == struct.pack("!I", 10):
            kept = [
                mechanism
                for mechanism in body[4:].split(b"\0")
                if mechanism and mechanism != CHANNEL_BINDING
            ]
            body = body[:4] + b"".join(mechanism + b"\0" for mechanism in kept) + b"\0"
            head = b"R" + struct.pack("!I", len(body) + 4)
        signed_in = head[:1] == b"R" and body[:4] == struct.pack("!I", 0)
        writer.write(head + body)
        await writer.drain()
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()


async def _copied(reader: Reader, writer: Writer, size: int) -> None:
    while size > 0:
        data = await reader.readexactly(min(size, CHUNK))
        size -= len(data)
        writer.write(data)
        await writer.drain()
    await writer.drain()


async def _refuse(writer: Writer, why: str) -> None:
    """End the session with an error of PostgreSQL's form; the server rolls back what was open."""
    fields = b"".join((b"SFATAL\0", b"VFATAL\0", b"C42501\0", b"M" + why.encode() + b"\0", b"\0"))
    writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
    await writer.drain()


def _statement(kind: bytes, body: bytes) -> str:
    """Return the SQL of a Query or Parse message; a FunctionCall names a function by its number."""
    if kind == b"F":
        return f"function call {struct.unpack_from('!I', body)[0]}"
    parts = body.split(b"\0", 2)
    return (parts[0] if kind == b"Q" else parts[1]).decode("utf-8", "replace")


def _own_context(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = os.memfd_create("certificate")  # `ssl` takes files only; this one has no name
    try:
        os.write(file, f"{certificate}\n{key}".encode())
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
    return context


def _server_context(mode: str, terms: dict[str, Any]) -> ssl.SSLContext:
    """Return what libpq does of `sslmode`: encrypt; check a root certificate, and the name too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "verify-full"
    root = terms.get("sslrootcert") or ""
    if mode in ("verify-ca", "verify-full") or (root and mode == "require"):
        if root and root != "system":
            context.load_verify_locations(root)
        else:
            context.load_default_certs()
    else:
        context.verify_mode = ssl.CERT_NONE
    if terms.get("sslcert"):
        context.load_cert_chain(terms["sslcert"], terms.get("sslkey") or None)
    return context
