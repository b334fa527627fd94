"""Restarts the portal's database every 5-20 s, as a crash does, under many releases and previews
that are all running at once, each in one of several projects; then counts what was lost or written
twice, by what the stand-ins of GitHub and Railway, and the projects' databases, were told.

Run by `make faults`, or with a number of projects and of previews beside the release of each:
`python -m tests.faults.restarts 20 24`. People act between two restarts; workers meet every one.
Ends with 1 when anything was lost or doubled.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults import crowd, hosts, kills, previews
from tests.faults.releasing import People
from tests.faults.scene import ROOT, environment_of_workers, world_of_its_own

SECONDS = (5.0, 20.0)
PATIENCE = 1800.0  # seconds for one thing that people wait for
HOSTS = 2
SETTINGS = {"SYNC_SECONDS": "45", "PREVIEW_PAUSE_SECONDS": "0", "JOB_LEASE_SECONDS": "10"}


@dataclass
class Restarts:
    """Crashes PostgreSQL (SIGQUIT: immediate shutdown) and starts it on the same port.

    People hold `acting` while they act.
    """

    server: Any
    dice: random.Random
    acting: threading.Lock = field(default_factory=threading.Lock)
    count: int = 0
    due_at: float = 0.0

    def one_if_due(self) -> None:
        """Restart it if it is time; only from the main thread, with which its children end."""
        from portal.server.embedded_postgres import start

        if time.monotonic() < self.due_at:
            return
        with self.acting:
            self.server.process.send_signal(signal.SIGQUIT)
            self.server.process.wait()
            self.server.stop()
            self.server = start(self.server.directory)
            self.count += 1
        self.due_at = time.monotonic() + self.dice.uniform(*SECONDS)


@dataclass
class Patient(People):
    """People of one project, who let the database restart whenever they wait."""

    restarts: Any = None
    pulls: dict[int, str] = field(default_factory=dict)  # open, and their branches
    live_at_once: int = 0

    def work(self) -> None:
        """One release, and previews that all run until it is done; some are pushed to, some go."""
        from django.db import connection

        with self.restarts.acting:
            try:
                self.ship()
                for number in list(self.pulls)[::3]:
                    self._push_to(self.pulls[number])
                self._wait(self._are_right, "the previews to be live")
                self.live_at_once = len(self.pulls)
                for number in list(self.pulls)[::2]:
                    self.world.github.close_pull(number)
                    del self.pulls[number]
                self._wait(self._are_right, "the previews to be gone")
            except Exception as error:  # noqa: BLE001 - told with what else went wrong
                self.wrong.append(f"{self.world.project}: {type(error).__name__}: {error}")
            finally:
                connection.close()

    def open(self, branch: str) -> None:
        """Open a pull request, which is to have a preview."""
        hub = self.world.github
        hub.git.move(f"refs/heads/{branch}", hub.heads()["staging"])
        self._push_to(branch)
        self.pulls[hub.open_pull(branch, "staging", f"Feature {branch}")] = branch

    def _push_to(self, branch: str) -> None:
        files = {f"frontend/{branch}.txt": f"{time.time()}"}
        self.world.github.push_commit(branch, files, f"Work on {branch}")

    def _are_right(self) -> bool:
        """Whether every preview is as its pull request wants it, and GitHub was told so."""
        from environments.models import Preview

        heads = self.world.github.heads()
        rows = Preview.objects.filter(project=self.world.project)
        known = {row.number: row for row in rows}
        return known.keys() >= self.pulls.keys() and all(
            (
                row.state == "live"
                and row.head == heads[self.pulls[number]]
                and row.told.get("state") == "success"
            )
            if number in self.pulls
            else row.status == "succeeded"
            for number, row in known.items()
        )

    def _wait(self, until: Callable[[], bool], what: str) -> None:
        from django.db import connection

        deadline = time.monotonic() + self.seconds
        while not until():
            if time.monotonic() > deadline:
                raise AssertionError(f"Waited {self.seconds:.0f} s for {what}")
            before = self.restarts.count
            self.restarts.acting.release()
            time.sleep(0.5)
            self.restarts.acting.acquire()
            if before != self.restarts.count:
                connection.close()


@contextmanager
def at_work(count: int, directory: Path) -> Iterator[None]:
    """`count` hosts whose workers do what is due."""
    environment = os.environ | environment_of_workers() | SETTINGS
    environment |= {"PORTAL_ENV_FILE": os.devnull, "ALLOW_SUPERUSER_DATABASE": "1"}
    command, workers = [sys.executable, "manage.py", "worker"], []
    for number in range(count):
        own = {"PORTAL_VAR_DIR": str(directory / f"host-{number}")}
        Path(own["PORTAL_VAR_DIR"]).mkdir()
        with (directory / f"host-{number}" / "log").open("ab") as log:
            workers.append(
                subprocess.Popen(command, cwd=ROOT, env=environment | own, stdout=log, stderr=log)
            )
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def shipped(people: list[Patient], restarts: Restarts) -> None:
    """Have everybody ship a release, all at once, while their previews come to life."""
    threads = [threading.Thread(target=one.work) for one in people]
    for thread in threads:
        thread.start()
    restarts.due_at = time.monotonic() + SECONDS[0]
    while any(thread.is_alive() for thread in threads):
        restarts.one_if_due()
        time.sleep(0.1)


def findings(worlds: list[Any], people: list[Patient]) -> dict[str, list[str]]:
    """Everything that breaks a promise, by promise."""
    found = {"writes doubled": hosts.doubled(hosts.writes_of(worlds[0]))}
    found |= hosts.without_previews(kills.findings(worlds[0], people[0]))
    for world, one in zip(worlds[1:], people[1:], strict=True):
        found["duplicate side effects"] += kills._applied(world)
        found["shown green and not so"] += one.wrong
    for world, one in zip(worlds, people, strict=True):
        authors = previews.Authors(world, random.Random(), one.pulls)
        for promise, broken in previews.findings(world, authors).items():
            lines = [f"{world.project}: {line}" for line in broken]
            found[promise] = [*found.get(promise, []), *lines]
    return found


def main(projects: int = 20, pulls: int = 24, seed: int = 20267) -> int:
    """Print how often the database was restarted and what broke; 0 if nothing."""
    from tests import scratch

    # isort: split
    from django.db import connection

    from tests.journeys import furnished

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="portal-restarts-") as name:
        from portal.server.embedded_postgres import start

        targets = start(Path(name) / "targets")  # the projects' own databases stay up
        furnished._admin = lambda: targets.url.rpartition("/")[0]
        try:
            with (
                scratch.scratch_database(),
                world_of_its_own() as first,
                crowd.several_projects(first, Path(name), projects) as worlds,
            ):
                restarts = Restarts(scratch._server, random.Random(seed))
                people = [Patient(one, seconds=PATIENCE, restarts=restarts) for one in worlds]
                for one in people:
                    for number in range(pulls):
                        one.open(f"feature-{number}")
                ready = time.monotonic() - started
                with at_work(HOSTS, Path(name)):
                    shipped(people, restarts)
                scratch._server = restarts.server
                connection.close()  # it was this thread's before the last restart
                found = findings(worlds, people)
        finally:
            targets.stop()
    return _report(people, restarts, found, (ready, time.monotonic() - started))


def _report(
    people: list[Patient],
    restarts: Restarts,
    found: dict[str, list[str]],
    seconds: tuple[float, float],
) -> int:
    releases, live = sum(len(one.released) for one in people), sum(p.live_at_once for p in people)
    print(
        f"{len(people)} projects: {len(people)} releases and {live} previews at once; {releases}"
        f" releases done, {sum(len(one.pulls) for one in people)} previews left open"
    )
    print(
        f"{restarts.count} restarts of the database, {seconds[1]:.0f} s, {seconds[0]:.0f} of them"
        f" to begin; a person was asked {sum(one.repairs for one in people)} times"
    )
    for promise, broken in found.items():
        print(f"  {len(broken):5}  {promise}")
        for line in broken[:10]:
            print(f"         {line}")
    return 1 if any(found.values()) or not restarts.count else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
