"""Restarts the portal's database every 5-20 s, as a crash does, while releases are shipped and
previews come and go; then counts what was lost or written twice.

Run by `make faults`, or with a count of releases and previews: `python -m tests.faults.restarts
500`. People act between two restarts, the workers meet each of them. Ends with 1 when anything was
lost or doubled.
"""

import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import hosts, kills
from tests.faults.releasing import People
from tests.faults.scene import lift_allowances, world_of_its_own

SECONDS = (5.0, 20.0)
PREVIEWS = 4  # beside each release


@dataclass
class Restarts:
    """Crashes PostgreSQL (SIGQUIT: immediate shutdown) and starts it on the same port."""

    server: Any
    dice: random.Random
    count: int = 0
    due_at: float = 0.0

    def one_if_due(self) -> bool:
        """Restart it if it is time; only from the main thread, with which its children end."""
        from portal.server.embedded_postgres import start

        if time.monotonic() < self.due_at:
            return False
        self.server.process.send_signal(signal.SIGQUIT)
        self.server.process.wait()
        self.server.stop()
        self.server = start(self.server.directory)
        self.count += 1
        self.due_at = time.monotonic() + self.dice.uniform(*SECONDS)
        return True


@dataclass
class Patient(People):
    """People who act only while the database stands, and see each restart in between."""

    restarts: Any = None

    def _wait(self, until: Callable[[], bool], what: str) -> None:
        from django.db import connection

        deadline = time.monotonic() + self.seconds
        while not until():
            if time.monotonic() > deadline:
                raise AssertionError(f"Waited {self.seconds:.0f} s for {what}. {self.world.told()}")
            if self.restarts.one_if_due():
                connection.close()
            time.sleep(0.05)


def shipped(world: Any, server: Any, count: int, seed: int) -> tuple[Restarts, Patient, int]:
    """Ship releases, each with previews beside it, until `count` of both have come."""
    restarts = Restarts(server, random.Random(seed))
    people = Patient(world, seconds=600.0, restarts=restarts)
    rounds = hosts.Rounds(world, people, previews=PREVIEWS)
    while rounds.done * (1 + PREVIEWS) < count:
        rounds.one()
    return restarts, people, rounds.done * (1 + PREVIEWS)


def main(count: int = 500, seed: int = 20267) -> int:
    """Print how often the database was restarted and what broke; 0 if nothing."""
    from tests import scratch
    from tests.journeys import furnished

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="portal-restarts-") as name:
        from portal.server.embedded_postgres import start

        targets = start(Path(name) / "targets")  # the projects' own databases stay up
        furnished._admin = lambda: targets.url.rpartition("/")[0]
        try:
            with (
                scratch.scratch_database(),
                world_of_its_own() as world,
                hosts.several(2, Path(name), world) as _,
            ):
                hosts.furnish(world)
                lift_allowances(world)
                restarts, people, done = shipped(world, scratch._server, count, seed)
                scratch._server = restarts.server
                found = {"writes doubled": hosts.doubled(hosts.writes_of(world))}
                found |= hosts.without_previews(kills.findings(world, people))
        finally:
            targets.stop()
    print(
        f"{done} releases and previews, {restarts.count} restarts of the database (seed {seed}),"
        f" {time.monotonic() - started:.0f} s; a person was asked {people.repairs} times"
    )
    for promise, broken in found.items():
        print(f"  {len(broken):5}  {promise}")
        for line in broken[:10]:
            print(f"         {line}")
    return 1 if any(found.values()) or not restarts.count else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
