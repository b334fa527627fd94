"""Where the fault scripts take place: the stand-ins in this process, and workers that can be
killed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def world_of_its_own(settings: Any = None, shape: Sequence[str] = ()) -> Iterator[Any]:
    """`tests.journeys.world` in a directory of its own; `settings` as the pytest fixture, else
    Django's own.
    """
    from django.conf import settings as real

    from tests.journeys.world import running_world

    directory = Path(tempfile.mkdtemp(prefix="portal-faults-"))
    try:
        with running_world(directory, settings or _Setting(real), shape=shape) as world:
            yield world
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def lift_allowances(world: Any) -> None:
    """More is asked in one of these scripts than an hour's allowance holds."""
    world.railway.set_knobs(rate_limit=10**9)
    for rate in world.github.rate.values():
        rate.limit = 10**9


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
            env={**os.environ, **environment_of_workers(), **environment},
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
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        self._process.kill()
        self._process.wait()


def environment_of_workers() -> dict[str, str]:
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
        "SYNC_SECONDS": "1.5",
        "DEPLOY_GRACE_SECONDS": "10",
    } | {
        name: getattr(settings, name)
        for name in (
            "GITHUB_API_URL",
            "GITHUB_GIT_URL",
            "GITHUB_TOKEN",
            "RAILWAY_API_URL",
            "RAILWAY_API_TOKEN",
            "PORTAL_URL",
        )
    }
