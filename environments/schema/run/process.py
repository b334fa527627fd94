"""The process of a migration run: its log without secrets, and its certain end."""

import codecs
import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, cast
from urllib.parse import quote, quote_plus

from environments.schema.run.events import Hearing
from portal.isolation.confine import Door
from portal.outbound.parsing import JsonObject

CHILD = Path(__file__).parent / "alembic_env" / "child.py"
MAX_LOG_BYTES = 1_000_000
TAIL_BYTES = 16_384  # of what is beyond that, the end is kept: errors stand there
BATCH_SECONDS = 0.5
GRACE_SECONDS = 3.0
_MAX_LINE = 16_384
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Redactor:
    """Replaces secrets of 3 letters and more, also percent-encoded or as in JSON."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            for part in {secret, *secret.splitlines()}:
                forms |= {part, part.strip(), quote(part, safe=""), quote_plus(part)}
                forms.add(json.dumps(part)[1:-1])
        kept = sorted((form for form in forms if len(form) >= 3), key=len, reverse=True)
        self.longest = max(map(len, kept), default=0)
        self._pattern = re.compile("|".join(map(re.escape, kept))) if kept else None

    def __call__(self, text: str) -> str:
        """Return `text` without the secrets."""
        return self._pattern.sub("•••", text) if self._pattern else text


class Log:
    """Lines for people, at most every half second; beyond 1 MB only the last are kept."""

    def __init__(self, on_lines: Callable[[list[str]], None], redact: Redactor) -> None:
        self.output_bytes = 0
        self._on_lines, self._redact = on_lines, redact
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""
        self._stored = 0
        self._tail = b""
        self._waiting: list[str] = []
        self._flushed = time.monotonic()

    def feed(self, data: bytes) -> None:
        """Take in what the child printed."""
        self.output_bytes += len(data)
        if self._stored >= MAX_LOG_BYTES:
            self._tail = (self._tail + data)[-TAIL_BYTES:]
            return
        *lines, self._rest = (self._rest + self._decode(data)).split("\n")
        for line in lines:
            self._keep(line)
        if len(self._rest) > _MAX_LINE + self._redact.longest:
            text = self._redact(self._rest)
            at = len(text) - self._redact.longest  # a secret cut in two is held back as a whole
            self._keep(text[:at])
            self._rest = text[at:]

    def say(self, line: str) -> None:
        """Keep a line of our own, always."""
        self._waiting.append(self._redact(line))

    def finish(self) -> None:
        """Hand on all that is left; of output that was too long, its last whole lines."""
        # Of a line cut in two nobody knows whether it is a secret's half.
        last = self._tail.partition(b"\n")[2]
        if last.strip():
            self.say("The last lines were:")
            for line in last.decode("utf-8", "replace").splitlines():
                self.say(_CONTROL.sub("", line))
        self._tail = b""
        self.flush(force=True)

    def flush(self, *, force: bool = False) -> None:
        """Hand on what is waiting, when it is time."""
        if force and self._rest:
            self._keep(self._rest)
            self._rest = ""
        now = time.monotonic()
        if self._waiting and (force or now - self._flushed >= BATCH_SECONDS):
            lines, self._waiting, self._flushed = self._waiting, [], now
            self._on_lines(lines)

    def _keep(self, line: str) -> None:
        if self._stored >= MAX_LOG_BYTES:
            return
        text = _CONTROL.sub("", self._redact(line))
        if text or not line:
            pieces = [text[at : at + _MAX_LINE] for at in range(0, len(text), _MAX_LINE)] or [""]
            self._waiting += pieces
            self._stored += len(text.encode()) + len(pieces)
        if self._stored >= MAX_LOG_BYTES:
            self._waiting.append("Output beyond 1 MB is counted but not kept.")


@dataclass
class Finished:
    """How a child ended. `stopped` is why we ended it, "" when it ended by itself."""

    returncode: int = -1
    stopped: str = ""
    events: list[dict[str, object]] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)  # by this process's monotonic clock

    def last(self, key: str) -> Any:
        """Return the value of the latest event of this kind, else None."""
        return next((event[key] for event in reversed(self.events) if key in event), None)


def usual(directory: Path) -> dict[str, str]:
    """Return the environment of a run's process: nothing of the portal's own."""
    home = str(directory)
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": home, "TMPDIR": home}


class Child:
    """A child in `directory` that waits to be told what to do; it ends when we do, or by `close`.

    An `early` one loads Alembic while it waits, and moves to where it is sent.
    """

    def __init__(self, directory: Path, *, early: bool = False) -> None:
        self.reading, self.events = os.pipe()
        self._ended = False
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", str(CHILD), *(["early"] if early else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=usual(directory),
                pass_fds=(self.events,),
                start_new_session=True,
            )
        except BaseException:
            os.close(self.reading)
            raise
        finally:
            os.close(self.events)  # its number is the child's from now on

    def close(self) -> None:
        """End it and all below it, if that has not been done."""
        if not self._ended:
            self._ended = True
            _end(self.process)
            cast(IO[bytes], self.process.stdout).close()
            os.close(self.reading)


def limit(seconds: float) -> Callable[[], str]:
    """Return a `stop` that ends the child that long after this call."""
    deadline = time.monotonic() + seconds
    return lambda: "time limit" if time.monotonic() >= deadline else ""


def follow(
    request: JsonObject,
    *,
    directory: Path,
    log: Log,
    stop: Callable[[], str],
    door: Door | None,
    variables: Mapping[str, str] = MappingProxyType({}),
    on_event: Callable[[JsonObject], None] = lambda event: None,
    child: Child | None = None,
) -> Finished:
    """Run the child to its end. A word from `stop`, asked twice a second, ends it and all below.

    `request` and `variables` go over stdin: others can see arguments, and the guard, which stays
    outside the door, must not start with variables such as LD_PRELOAD. `door`: what the child may
    use; None where this machine cannot isolate.
    """
    child = child or Child(directory)
    ended = Finished()
    try:
        settings = {"events": child.events, "directory": str(directory.absolute()), "door": door}
        _tell(child.process, {**request, **settings, "variables": dict(variables)})
        _pump(child.process, child.reading, ended, log, on_event, stop)
    finally:
        child.close()
    ended.returncode = child.process.returncode
    return ended


def _tell(process: "subprocess.Popen[bytes]", request: Mapping[str, object]) -> None:
    stdin = cast(IO[bytes], process.stdin)
    try:
        stdin.write(json.dumps(request).encode() + b"\n")
        stdin.flush()
    except BrokenPipeError:
        pass  # it has ended already, which its exit code will tell


def _pump(
    process: "subprocess.Popen[bytes]",
    reading: int,
    ended: Finished,
    log: Log,
    on_event: Callable[[JsonObject], None],
    stop: Callable[[], str],
) -> None:
    output = cast(IO[bytes], process.stdout).fileno()
    hearing, last_asked = Hearing(), time.monotonic()
    with selectors.DefaultSelector() as selector:
        for descriptor in (output, reading):
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        while True:
            over = process.poll() is not None
            selector.select(0 if over else 0.1)
            printed, events = _available(output), _available(reading)
            log.feed(printed)
            for event in hearing.feed(events):
                ended.events.append(event)
                on_event(event)
            log.flush()
            if over and not printed and not events:
                return
            if not over and time.monotonic() - last_asked >= BATCH_SECONDS:
                last_asked = time.monotonic()
                if reason := stop():
                    ended.stopped = reason
                    _end(process)
            if over:
                continue
            if not printed and not events and process.poll() is None:
                time.sleep(0.02)  # a pipe closed by the child is always ready


def _available(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 18)
    except BlockingIOError:
        return b""


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM, close stdin (its guard kills all), SIGKILL the group; return when gone."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        _wait(process, GRACE_SECONDS)
    with contextlib.suppress(BrokenPipeError):
        cast(IO[bytes], process.stdin).close()
    if not _wait(process, GRACE_SECONDS) or process.returncode < 0:
        _signal(process, signal.SIGKILL)  # the guard hangs, or was killed and could not clear up
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
