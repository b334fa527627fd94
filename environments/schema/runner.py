"""Runs a project's migrations with our own `env.py`: one subprocess, one lock, and the database has the last word."""

import hashlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from environments.git import Mirror
from environments.schema import database, location

ENVIRONMENT = Path(__file__).parent / "alembic_env"
KEPT_BYTES = 1_000_000


@dataclass(frozen=True)
class Run:
    """What to run: `target` heads of the scripts of `alembic` at `commit`, on the database at `url`."""

    commit: str
    target: tuple[str, ...]
    alembic: str
    url: str
    lock_timeout_ms: int = 5000
    statement_timeout_ms: int = 900_000
    lock_wait_s: float = 30
    time_limit_s: float = 3600
    version_table: str = "alembic_version"


@dataclass(frozen=True)
class Outcome:
    """What happened. `after` None: the database could not be read afterwards."""

    status: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None
    applied: tuple[tuple[str, float], ...] = ()
    sentence: str = ""
    failed_revision: str | None = None
    failed_statement: str | None = None
    invalid_indexes: tuple[str, ...] = ()
    output_bytes: int = 0


def run(
    mirror: Mirror, request: Run, *, on_lines: Callable[[list[str]], None], alive: Callable[[], bool]
) -> Outcome:
    """Brings the database to the target. `alive` is asked about every second; False stops the run."""
    before = database.current(request.url, table=request.version_table)
    if sorted(before) == sorted(request.target):
        return Outcome("succeeded", before, before, sentence="The database was at the target already.")
    with _lock(request, alive) as locked:
        if not locked:
            return Outcome("busy", before, before, sentence="Another migration holds this database.")
        with tempfile.TemporaryDirectory(prefix="portal-migrate-") as folder:
            found = location.locate(mirror, request.commit, request.alembic)
            mirror.checkout(request.commit, found.directories, Path(folder))
            output = _Output(request, on_lines)
            ended = _execute(request, Path(folder), found.directories, output, alive)
    return _judge(request, before, output, ended)


@contextmanager
def _lock(request: Run, alive: Callable[[], bool]) -> Iterator[bool]:
    """The advisory lock, tried again and again: a blocking wait would hang concurrent index builds."""
    deadline = time.monotonic() + request.lock_wait_s
    with psycopg.connect(database.libpq(request.url), autocommit=True, connect_timeout=10) as connection:
        name = connection.execute("select current_database()").fetchone()
        key = int.from_bytes(hashlib.sha256(f"release-portal {name}".encode()).digest()[:8], "big", signed=True)
        while True:
            row = connection.execute("select pg_try_advisory_lock(%s)", [key]).fetchone()
            if row and row[0]:
                break
            if time.monotonic() > deadline or not alive():
                yield False
                return
            time.sleep(0.3)
        yield True


class _Output:
    """Lines of the child: kept up to a bound, without secrets, with what they say of revisions."""

    def __init__(self, request: Run, on_lines: Callable[[list[str]], None]) -> None:
        self.applied: list[tuple[str, float]] = []
        self.last: list[str] = []
        self.bytes = 0
        self._on_lines = on_lines
        parts = psycopg.conninfo.conninfo_to_dict(database.libpq(request.url))
        self._secrets = [request.url, database.libpq(request.url), str(parts.get("password") or "")]

    def take(self, lines: list[str]) -> None:
        shown = []
        for line in lines:
            for secret in filter(None, self._secrets):
                line = line.replace(secret, "•••")
            if line.startswith("@applied "):
                _, revision, seconds = line.split()
                self.applied.append((revision, float(seconds)))
                line = f"applied {revision} in {seconds} s"
            self.bytes += len(line) + 1
            if self.bytes <= KEPT_BYTES:
                shown.append(line)
            self.last = [*self.last, line][-40:]
        if shown:
            self._on_lines(shown)


def _execute(
    request: Run, folder: Path, directories: tuple[str, ...], output: _Output, alive: Callable[[], bool]
) -> str:
    """Runs the child to its end; returns "ended N", "cancelled" or "time"."""
    child = subprocess.Popen(
        [sys.executable, "-u", "-m", "environments.schema.child", str(folder), *directories],
        cwd=Path(__file__).resolve().parents[2],
        env=_environment(request),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    lines: queue.Queue[str] = queue.Queue(maxsize=10_000)
    reader = threading.Thread(target=_read, args=(child, lines), daemon=True)
    reader.start()
    deadline, reason = time.monotonic() + request.time_limit_s, ""
    while child.poll() is None:
        output.take(_drain(lines, 0.5))
        if not alive():
            reason = "cancelled"
        elif time.monotonic() > deadline:
            reason = "time"
        if reason:
            _stop(child)
            break
    _kill_group(child)
    reader.join(5)
    output.take(_drain(lines, 0))
    return reason or f"ended {child.returncode}"


def _environment(request: Run) -> dict[str, str]:
    url = database.SCHEME.sub("postgresql+psycopg://", request.url, count=1)
    return {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "C.UTF-8",
        "PORTAL_TARGET_URL": url,
        "PORTAL_LOCK_MS": str(request.lock_timeout_ms),
        "PORTAL_STATEMENT_MS": str(request.statement_timeout_ms),
        "PORTAL_VERSION_TABLE": request.version_table,
        "PORTAL_TARGET": " ".join(request.target),
    }


def _read(child: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
    stream = child.stdout
    while stream and (line := stream.readline(10_000)):
        lines.put(line.rstrip("\n"))


def _drain(lines: queue.Queue[str], seconds: float) -> list[str]:
    taken = []
    try:
        taken.append(lines.get(timeout=seconds) if seconds else lines.get_nowait())
        while len(taken) < 5000:
            taken.append(lines.get_nowait())
    except queue.Empty:
        pass
    return taken


def _stop(child: subprocess.Popen[str]) -> None:
    os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        _kill_group(child)
        child.wait()


def _kill_group(child: subprocess.Popen[str]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _judge(request: Run, before: tuple[str, ...], output: _Output, ended: str) -> Outcome:
    try:
        after = _settled(request)
        invalid = database.invalid_indexes(request.url)
    except database.DatabaseError as error:
        said = f"The database cannot be read after the run: {error}"
        return Outcome("unknown", before, None, tuple(output.applied), said, output_bytes=output.bytes)
    if sorted(after) == sorted(request.target):
        status, said = "succeeded", f"The database is at {', '.join(after) or 'base'}."
    elif ended == "cancelled":
        status, said = "cancelled", f"Stopped by a person; the database is at {', '.join(after) or 'base'}."
    else:
        status, said = "failed", f"{_why(output, ended)} The database is at {', '.join(after) or 'base'}."
    if invalid:
        said += f" Invalid indexes: {', '.join(invalid)}."
    return Outcome(
        status, before, after, tuple(output.applied), said, invalid_indexes=invalid, output_bytes=output.bytes
    )


def _settled(request: Run) -> tuple[str, ...]:
    return database.current(request.url, table=request.version_table)


def _why(output: _Output, ended: str) -> str:
    if ended == "time":
        return "The run took longer than allowed and was stopped."
    said = next((line for line in reversed(output.last) if line.strip() and not line.startswith(("[", " "))), "")
    return f"Alembic stopped: {said[:300]}." if said else "Alembic stopped without a word."
