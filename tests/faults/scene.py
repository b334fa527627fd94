"""Where the fault scripts take place: a fresh database, the stand-ins in this process, workers that can be killed."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[2]


def prepare() -> None:
    """For a script: PostgreSQL (by importing `tests.postgres`) and Django, before any model is imported."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    os.environ.setdefault("PORTAL_ENV_FILE", os.devnull)
    import django

    import tests.postgres  # noqa: F401 - importing it starts PostgreSQL

    django.setup()


@contextmanager
def fresh_database() -> Iterator[None]:
    """A migrated portal database of its own, for a script; tests have theirs from pytest-django."""
    from django.core.management import call_command
    from django.db import connection, connections

    name, old = f"faults_{uuid4().hex[:8]}", connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(f"create database {name}")
    try:
        _use(name)
        call_command("migrate", verbosity=0)
        yield
    finally:
        connections.close_all()
        _use(old)
        with connection.cursor() as cursor:
            cursor.execute(f"drop database {name} with (force)")


def _use(name: str) -> None:
    from django.db import connection

    connection.close()
    connection.settings_dict["NAME"] = name


@contextmanager
def world_of_its_own(settings: Any = None) -> Iterator[Any]:
    """`tests.journeys.world` in a directory of its own; `settings` as the pytest fixture, else Django's own."""
    from django.conf import settings as real

    from tests.journeys.world import running_world

    directory = Path(tempfile.mkdtemp(prefix="portal-faults-"))
    try:
        with running_world(directory, settings or _Setting(real)) as world:
            yield world
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class _Setting:
    """Sets Django's settings as the pytest fixture does, for the rest of a script."""

    def __init__(self, real: Any) -> None:
        object.__setattr__(self, "_real", real)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._real, name, value)


class Workers:
    """A process that forks workers on demand; each runs due jobs until it is killed."""

    def __init__(self, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.working"],
            cwd=ROOT,
            env={**os.environ, **_environment(), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pids: set[int] = set()

    def start(self) -> int:
        """Forks one more worker and gives its process id."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("start\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        self.pids.add(pid)
        return pid

    def stop(self) -> None:
        """Ends all of it."""
        for pid in self.pids:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self._process.kill()
        self._process.wait()


def _environment() -> dict[str, str]:
    """What a worker process must know to work on this process's world."""
    from django.conf import settings
    from django.db import connection

    database = SimpleNamespace(**connection.settings_dict)
    address = f"{database.USER}:{database.PASSWORD}@{database.HOST}:{database.PORT}/{database.NAME}"
    return {
        "DATABASE_URL": f"postgresql://{address}",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PORTAL_VAR_DIR": str(settings.VAR_DIR),
        "SECRET_KEY": settings.SECRET_KEY,
        "SYNC_SECONDS": "0.5",
        "DEPLOY_GRACE_SECONDS": "10",
    } | {name: getattr(settings, name) for name in (
        "GITHUB_API_URL", "GITHUB_GIT_URL", "GITHUB_TOKEN", "RAILWAY_API_URL", "RAILWAY_API_TOKEN", "PORTAL_URL",
    )}  # fmt: skip
