"""The virtual environment of the project's own command, made once for each set of lock files.

Built beside, under a lock, and published by one rename of a link, so that there is a whole one or
none. The directory is never renamed, since programs in a virtual environment name their own place.
"""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from uuid import uuid4

from environments.git.repository import Mirror
from environments.schema.run.command import surroundings, tools_of
from environments.schema.run.install import interpreter, missing_tools, note_links
from environments.schema.run.process import Finished, Log, follow
from portal import isolation
from portal.isolation import confine

LIMIT_SECONDS = 15 * 60.0
UNUSED_SECONDS = 30 * 24 * 3600.0
POLL_SECONDS = 0.5
_LOCKS = re.compile(
    r"((?:requirements|constraints)[\w.-]*\.txt|(?:uv|poetry|pdm|Pipfile)\.lock|pyproject\.toml|\.python-version|runtime\.txt)\Z"
)


class NotPrepared(Exception):
    """The environment could not be made; the message is one sentence.

    `cancelled`: because a person asked.
    """

    def __init__(self, sentence: str, *, cancelled: bool = False) -> None:
        super().__init__(sentence)
        self.cancelled = cancelled


def key_of(mirror: Mirror, commit: str, alembic: str, install: str) -> tuple[str, tuple[str, ...]]:
    """Return what the environment depends on, as a hash, and the lock files: at the root and beside
    the Alembic directory.

    The repository is part of it: what one project's packages did while they were installed never
    serves another.
    """
    above = PurePosixPath(alembic.strip("/"))
    places = {PurePosixPath("."), above.parent, above}
    locks = sorted(
        (path, sha)
        for path, sha in mirror.tree(commit)
        if PurePosixPath(path).parent in places and _LOCKS.match(PurePosixPath(path).name)
    )
    files = (f"{path} {sha}" for path, sha in locks)
    message = "\0".join([str(mirror.path.resolve()), sys.version, install, *files])
    key = hashlib.sha256(message.encode()).hexdigest()[:32]
    return key, tuple(path for path, _ in locks)


def prepare(
    mirror: Mirror,
    commit: str,
    alembic: str,
    install: str,
    *,
    root: Path,
    log: Log,
    alive: Callable[[], bool],
    limit_s: float = LIMIT_SECONDS,
) -> Path:
    """Return the environment for `commit`'s lock files under `root`, made by `install` if need be.

    `alive` is asked twice a second: False breaks off. Raise `NotPrepared`, `GitError`.
    """
    key, locks = key_of(mirror, commit, alembic, install)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = time.monotonic() + limit_s
    with _alone(root / f"{key}.lock", alive, deadline):
        os.utime(root / f"{key}.lock")
        _sweep(root, key)
        ready = root / key
        if not (ready / "bin" / "python").exists():
            files = ", ".join(locks) or "no lock file"
            log.say(f"Preparing the environment for {files}: {install}")
            fresh = root / f"{key}-{uuid4().hex[:8]}"
            try:
                _build(mirror, commit, install, fresh, log, alive, deadline)
                _take_back(fresh)
                _publish(fresh, ready)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
            log.say("The environment is prepared.")
        return ready.resolve()


def _take_back(fresh: Path) -> None:
    """Take the files from the user that installed for root: no later run may own them."""
    if os.geteuid() == 0:
        confine.give(fresh, 0)


def _publish(fresh: Path, ready: Path) -> None:
    link = ready.with_name(f"{fresh.name}.link")
    link.symlink_to(fresh.name)
    os.replace(link, ready)


def _build(
    mirror: Mirror,
    commit: str,
    install: str,
    into: Path,
    log: Log,
    alive: Callable[[], bool],
    deadline: float,
) -> None:
    def stop() -> str:
        return "cancelled" if not alive() else "time limit" if time.monotonic() >= deadline else ""

    with tempfile.TemporaryDirectory(prefix="portal-preparing-", dir=into.parent) as name:
        directory = Path(name)
        (directory / "home").mkdir()
        (directory / "files").mkdir()
        into.mkdir()
        mirror.checkout_all(commit, directory / "files")
        line = _shell_line(install, into, directory / "files", log)
        ended = follow(
            {"command": line, "environ": _surroundings(into, directory / "home")},
            directory=directory / "files",
            door=isolation.door(directory, writable=[into], packages=True, size=isolation.LARGE),
            log=log,
            stop=stop,
        )
        log.flush(force=True)
        note_links(into, directory / "files")
    _check_built(ended, install, into)


def _surroundings(into: Path, home: Path) -> dict[str, str]:
    """Return the variables of the install command."""
    environ = surroundings(into, home)
    del environ["UV_NO_SYNC"]
    return environ | {
        "PIP_NO_INPUT": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_PYTHON": str(into / "bin" / "python"),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NATIVE_TLS": "1",  # the certificates that this machine trusts, as pip takes them
    }


def _shell_line(install: str, into: Path, files: Path, log: Log) -> str:
    """Return what makes an empty environment, fetches missing tools, and installs."""
    # Isolated: a `types` or `email` package at the root must not hide the standard library's.
    python, note = interpreter(_wanted_python(files))
    if note:
        log.say(note)
    make = f"{shlex.quote(python)} -I -m venv {shlex.quote(str(into))} || exit 1"
    beside, fetch = tools_of(into), ":"
    if tools := " ".join(missing_tools(install)):
        fetch = f"python -I -m venv {beside} && {beside}/bin/pip install -q {tools} || exit 1"
    return f"{make}\n{fetch}\n{install}"


def _check_built(ended: Finished, install: str, into: Path) -> None:
    """Raise `NotPrepared` where the install command left no environment that can be used."""
    if ended.stopped == "cancelled":
        message = "The run was cancelled while its environment was prepared."
        raise NotPrepared(message, cancelled=True)
    if ended.stopped:
        raise NotPrepared(
            "Preparing the environment took too long and was stopped; make the install command"
            " quicker."
        )
    if ended.returncode:
        message = f"“{install[:200]}” ended with code {ended.returncode}"
        raise NotPrepared(f"The environment could not be prepared: {message}; the log says why.")
    if not (into / "bin" / "python").exists():
        raise NotPrepared("The environment could not be prepared: the install command removed it.")


def _wanted_python(files: Path) -> str:
    """Return the Python that the project wants, as its hosts read it; "" for any."""
    for name in (".python-version", "runtime.txt"):
        if (files / name).is_file():
            return (files / name).read_text(errors="replace")[:100]
    return ""


@contextmanager
def _alone(path: Path, alive: Callable[[], bool], deadline: float) -> Iterator[None]:
    """Let one at a time in, also among processes; the kernel frees what a killed one held."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _locked(descriptor):
            if not alive():
                message = "The run was cancelled while it waited for its environment."
                raise NotPrepared(message, cancelled=True)
            if time.monotonic() >= deadline:
                message = "Another run prepares the same environment for too long; try again later."
                raise NotPrepared(message)
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep(root: Path, key: str) -> None:
    """Remove what builds of `key` left that were killed, and what nobody has used for a month."""
    _clear(root, key, keep=(root / key).resolve())
    for lock in root.glob("*.lock"):
        if lock.stem != key and time.time() - lock.stat().st_mtime > UNUSED_SECONDS:
            descriptor = os.open(lock, os.O_RDWR)
            try:
                if _locked(descriptor):
                    (root / lock.stem).unlink(missing_ok=True)
                    _clear(root, lock.stem, keep=None)
            finally:
                os.close(descriptor)


def _clear(root: Path, key: str, *, keep: Path | None) -> None:
    for path in root.glob(f"{key}-*"):
        if path.is_symlink():
            path.unlink(missing_ok=True)
        elif path.resolve() != keep:
            shutil.rmtree(path, ignore_errors=True)
