"""A PostgreSQL server for one rehearsal, in its own directory.

Its processes end with the one that started it, also on `kill -9`. What then lies on disk is found
by its lock, which nobody holds any more, and removed when the next server is started.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from portal.server.embedded_postgres import Server, create, start


@dataclass(frozen=True)
class Scratch:
    """A running server, and a private directory `work` that goes with it."""

    server: Server
    work: Path
    version: int  # as `server_version_num`

    def url(self, database: str) -> str:
        """Return the address of one of its databases."""
        return urlsplit(self.server.url)._replace(path=f"/{quote(database, safe='')}").geturl()

    def create(self, database: str) -> str:
        """Make an empty database; return its address."""
        if database != "postgres":
            create = sql.SQL("create database {} template template0")
            self._do(create.format(sql.Identifier(database)))
        return self.url(database)

    def drop(self, database: str) -> None:
        """Remove one of its databases."""
        drop = sql.SQL("drop database if exists {} with (force)")
        self._do(drop.format(sql.Identifier(database)))

    def create_roles(self, names: list[str]) -> None:
        """Make roles that may not sign in, for grants, owners and policies to name."""
        for name in sorted(set(names) - {"postgres"}):
            self._do(sql.SQL("create role {} nologin").format(sql.Identifier(name)))

    def extensions(self) -> set[str]:
        """Return the extensions that can be installed."""
        with psycopg.connect(self.server.url) as opened:
            return {row[0] for row in opened.execute("select name from pg_available_extensions")}

    def _do(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as opened:
            opened.execute(statement)


@contextmanager
def scratch_server(root: Path) -> Iterator[Scratch]:
    """Provide a fresh server under `root`, gone at the end.

    From the main thread only. Raise `StartError`.
    """
    root.mkdir(parents=True, exist_ok=True)
    directory = root / uuid4().hex
    with _alone(root):
        sweep(root)
        shutil.copytree(
            _empty(root), directory / "server", ignore=shutil.ignore_patterns("lock", "log")
        )
        server = start(directory / "server", fsync=False, confined=True)
    try:
        (directory / "work").mkdir(mode=0o700)
        with psycopg.connect(server.url) as opened:
            version = opened.info.server_version
        yield Scratch(server, directory / "work", version)
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _empty(root: Path) -> Path:
    """Return an empty server's data, made once for each PostgreSQL: a copy is made sooner."""
    place = root.with_name(f"postgres-empty-{version_of('embedded-postgres')}")
    create(place)
    for older in root.parent.glob("postgres-empty-*"):
        if older != place:
            shutil.rmtree(older, ignore_errors=True)
    return place


def sweep(root: Path) -> int:
    """Remove what killed rehearsals left under `root`; return how many.

    No server may be starting meanwhile.
    """
    left = [
        directory
        for directory in root.iterdir()
        if directory.is_dir() and not _is_held(directory / "server" / "lock")
    ]
    for directory in left:
        shutil.rmtree(directory, ignore_errors=True)
    return len(left)


def _is_held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Let one server at a time come up or be cleared away."""
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
