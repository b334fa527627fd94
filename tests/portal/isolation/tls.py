"""PostgreSQL that demands TLS, with a certificate made for the test: the test's own server behind
an end of TLS, and a PostgreSQL of the system that speaks TLS itself, where there is one.
"""

import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

SSL_REQUEST = struct.pack("!II", 8, 80877103)
NOBODY = 65534


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its key, as files."""

    file: Path
    key: Path


def certificate(where: Path, address: str = "127.0.0.1", called: str = "server") -> Certificate:
    """One for a server at `address`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    files = Certificate(where / f"{called}.crt", where / f"{called}.key")
    files.file.write_bytes(made.public_bytes(pem))
    files.key.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    files.key.chmod(0o600)
    return files


def pumped(one: socket.socket, other: socket.socket) -> None:
    """Carries bytes both ways until one side ends, in threads."""

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    for pair in ((one, other), (other, one)):
        threading.Thread(target=carry, args=pair, daemon=True).start()


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Gives each connection to a port of this machine to `answer`; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError, ssl.SSLError):
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def behind_tls(server: tuple[str, int], own: Certificate) -> Iterator[int]:
    """An end of TLS before `server`, which answers nothing that comes in the clear; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.file, own.key)

    def answer(connection: socket.socket) -> None:
        if connection.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
            text = b"SFATAL\0C28000\0Mno entry for this host, no encryption\0\0"
            connection.sendall(b"E" + struct.pack("!I", len(text) + 4) + text)
            connection.close()
            return
        connection.sendall(b"S")
        pumped(TlsEnd(connection, context), socket.create_connection(server))

    with listening(answer) as port:
        yield port


class TlsEnd:
    """A socket with TLS that two threads may use: one lock around what OpenSSL does."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self.inner = context.wrap_socket(connection, server_side=True)
        self.inner.settimeout(0.02)
        self.lock = threading.Lock()

    def recv(self, size: int) -> bytes:
        while True:
            try:
                with self.lock:
                    return self.inner.recv(size)
            except TimeoutError:
                time.sleep(0.002)

    def sendall(self, data: bytes) -> None:
        with self.lock:
            self.inner.sendall(data)

    def shutdown(self, how: int) -> None:
        self.inner.shutdown(how)


def programs() -> Path | None:
    """Where a PostgreSQL of the system lies that speaks TLS."""
    for place in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        done = subprocess.run([place / "pg_config", "--configure"], capture_output=True, text=True)
        if "ssl" in done.stdout and (place / "initdb").exists():
            return place
    return None


@contextmanager
def real(own: Certificate) -> Iterator[str]:
    """A PostgreSQL of the system that takes connections over TLS alone; its address."""
    found, port, where = programs(), free_port(), Path(tempfile.mkdtemp(prefix="tls-"))
    assert found is not None
    as_nobody = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
    (where / "password").write_text("secret")
    for file in (own.file, own.key):
        shutil.copy(file, where)
    for path in (where, *where.iterdir()) if as_nobody else ():
        os.chown(path, NOBODY, NOBODY)
    data = where / "data"
    made = [found / "initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "-N"]
    made += [f"--pwfile={where / 'password'}"]
    subprocess.run(made, check=True, capture_output=True, **as_nobody)
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    options = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "ssl": "on",
        "fsync": "off",
        "ssl_cert_file": where / own.file.name,
        "ssl_key_file": where / own.key.name,
    }
    given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    command = [found / "postgres", "-D", data, *given]
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, **as_nobody)
    try:
        yield _answering(f"postgresql://postgres:secret@127.0.0.1:{port}/postgres")
    finally:
        started.send_signal(signal.SIGINT)
        started.wait(20)
        shutil.rmtree(where, ignore_errors=True)


def _answering(url: str) -> str:
    for _ in range(300):
        with suppress(psycopg.OperationalError), psycopg.connect(url):
            return url
        time.sleep(0.1)
    raise AssertionError("PostgreSQL did not start.")
