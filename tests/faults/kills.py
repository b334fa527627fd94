"""Kills workers, migrations and database connections at random while releases are shipped, then
counts.

Run by `make faults`, or with a count: `python -m tests.faults.kills 200`. Ends with 1 when a step
was lost, a side effect happened twice, an outcome was shown green that was not so, or the audit
chain has a gap.
"""

import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.faults.scene import Workers, world_of_its_own
from tests.scratch import scratch_database

WORKERS = 2
LIFE_SECONDS = (0.01, 1.5)
AIMS = ("promotion", "promotion", "migration", "", "")
PATIENCE_SECONDS = 3.0


@dataclass
class Killer:
    """Ends `left` lives, one at a time and at random moments, and starts a new worker for each
    dead one.
    """

    workers: Workers
    left: int
    dice: random.Random
    hits: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    errors: list[str] = field(default_factory=list)

    def run(self) -> None:
        from django.db import connections

        try:
            ends = {self._start(): self._end() for _ in range(WORKERS)}
            while self.left > 0:
                pid = min(ends, key=lambda one: ends[one])
                time.sleep(max(0.0, ends[pid] - time.monotonic()))
                time.sleep(self.dice.uniform(0, 1.0))
                pid = self._aim(pid)
                ends[pid] = self._end()
                where = self._strike(pid)
                self.hits[where] += 1
                self.left -= 1
                if where.split(":")[0] not in ("migration child", "backend"):
                    del ends[pid]
                    self.workers.pids.discard(pid)
                    ends[self._start()] = self._end()
                    self.restarts += 1
        except Exception as error:  # noqa: BLE001 - told to the script's own thread
            self.errors.append(repr(error))
            self.left = 0
        finally:
            connections.close_all()

    def _aim(self, pid: int) -> int:
        """Mostly waits a while for a worker at a promotion or a migration; else syncs would get
        nearly all.
        """
        target, deadline = self.dice.choice(AIMS), time.monotonic() + PATIENCE_SECONDS
        while target and self.left > 0 and time.monotonic() < deadline:
            for one in self.workers.pids:
                if self._doing(one).startswith(target):
                    time.sleep(
                        self.dice.choice((self.dice.uniform(0, 0.05), self.dice.uniform(0, 1.5)))
                    )
                    return one
            time.sleep(0.002)
        return pid

    def _start(self) -> int:
        return self.workers.start()

    def _end(self) -> float:
        return time.monotonic() + self.dice.uniform(*LIFE_SECONDS)

    def _strike(self, pid: int) -> str:
        """Kills the worker, its migration, or a connection of the portal or a target; says what
        it was doing.
        """
        import psutil

        kind = self.dice.random()
        if kind < 0.15:
            with suppress(psutil.Error):  # it may have ended by itself between two looks
                children = psutil.Process(pid).children(recursive=True)
                running = [
                    child for child in children if "alembic_env/child" in " ".join(child.cmdline())
                ]
                if running:
                    running[0].kill()
                    return f"migration child: {self._doing(pid)}"
        elif kind < 0.25 and (cut := self._cut_connection()):
            return f"backend: {cut}"
        os.kill(pid, signal.SIGKILL)
        return self._doing(pid)

    def _doing(self, pid: int) -> str:
        from django.conf import settings

        from releases.models.promotion import PromotionStep

        try:
            model, _, pk = (settings.VAR_DIR / f"worker-{pid}").read_text().strip().partition(" ")
        except FileNotFoundError:
            return "starting"
        if model == "Promotion":
            step = PromotionStep.objects.filter(promotion=pk).exclude(
                status__in=["done", "skipped"]
            )
            return f"promotion: {getattr(step.order_by('position').first(), 'name', 'finish')}"
        return {"": "starting", "-": "between jobs", "MigrationRun": "migration"}.get(
            model, model.lower()
        )

    def _cut_connection(self) -> str:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(
                "select datname from (select datname, pid from pg_stat_activity where pid <>"
                " pg_backend_pid() and (datname like 'target%%' or (datname = current_database()"
                " and application_name = %s)) order by random() limit 1) one where"
                " pg_terminate_backend(pid)",
                ["killed-worker"],
            )
            row = cursor.fetchone()
        return "" if row is None else "target" if row[0].startswith("target") else "portal"


def shipped(world: Any, kills: int, seed: int) -> tuple[Killer, Any]:
    """Ships releases until `kills` lives have ended, and the last release to its end."""
    from tests.faults.releasing import People

    workers = Workers(JOB_LEASE_SECONDS="1")
    killer = Killer(workers, kills, random.Random(seed))
    thread = threading.Thread(target=killer.run)
    people = People(world)
    thread.start()
    try:
        while killer.left > 0 or not people.released:
            people.ship()
    finally:
        killer.left = 0
        thread.join()
        workers.stop()
    return killer, people


def findings(world: Any, people: Any) -> dict[str, list[str]]:
    """Everything that breaks a promise, by promise; empty lists when all were kept."""
    return {
        "lost steps": list(_lost()),
        "duplicate side effects": [*_repeated(world), *_applied(world)],
        "shown green and not so": people.wrong,
        "gaps in the audit trail": list(_gaps()),
    }


def _lost():
    from environments.models import MigrationRun
    from portal.jobs import OPEN
    from releases.models.promotion import Promotion
    from releases.models.releases import Release

    for promotion in Promotion.objects.exclude(status="succeeded"):
        yield f"{promotion} is {promotion.status}: {promotion.sentence}"
    for promotion in Promotion.objects.all():
        if set(promotion.steps.values_list("status", flat=True)) != {"done"}:
            yield f"{promotion} has steps that are not done"
    for release in Release.objects.exclude(status="done"):
        yield f"{release} is {release.status}"
    for run in MigrationRun.objects.filter(status__in=OPEN):
        yield f"{run} is {run.status}: {run.sentence}"
    for row in (
        row for name in ("github_sync", "railway_sync", "database_sync") for row in _syncs(name)
    ):
        yield f"{row} ended as {row.status}: {row.sentence}"


def _syncs(name: str):
    from environments.models import Project
    from portal.jobs import OPEN

    return [
        row
        for project in Project.objects.all()
        if (row := getattr(project, name)).status not in OPEN
    ]


def _repeated(world: Any):
    """Outward effects that happened twice, by what the stand-ins were asked and answered."""
    done: dict[str, list[str]] = defaultdict(list)
    statuses: dict[str, list[str]] = defaultdict(list)
    for request in world.github_server.requests:
        if request.method == "PUT" and request.path.endswith("/merge") and request.status == 200:
            done[f"merge of {request.path}"].append(request.body)
        elif request.method == "POST" and request.path.endswith("/pulls") and request.status == 201:
            done["pull request opened"].append(request.body)
        elif request.method == "PATCH" and "/git/refs/" in request.path and request.status == 200:
            sha = json.loads(request.body)["sha"][:7]
            done[f"{request.path} moved to {sha}"].append(request.body)
        elif request.method == "POST" and "/statuses/" in request.path and request.status == 201:
            statuses[request.path].append(request.body)
    opened = done.pop("pull request opened", [])
    from releases.models.releases import Release

    if len(opened) > Release.objects.count():
        yield f"{len(opened)} pull requests for {Release.objects.count()} releases"
    yield from (f"{what}: {len(bodies)} times" for what, bodies in done.items() if len(bodies) > 1)
    for path, bodies in statuses.items():
        twice = [new for old, new in pairwise(bodies) if old == new]
        yield from (f"{path} was told twice: {body}" for body in twice)
    deployed = [
        request.body
        for request in world.railway_server.requests
        if "serviceInstanceDeployV2" in request.body
    ]
    if deployed:
        yield f"{len(deployed)} deployments were started that nobody asked for"


def _applied(world: Any):
    import psycopg

    for kind, url in world.databases.items():
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "select revision, count(*) from applied group by 1 having count(*) > 1"
            )
            yield from (
                f"{revision} was applied {count} times in {kind}" for revision, count in rows
            )


def _gaps():
    from django.db.models import Count

    from portal.audit.verification import verify
    from portal.models.audit import AuditEvent
    from releases.models.promotion import PromotionStep

    positions = list(AuditEvent.objects.order_by("position").values_list("position", flat=True))
    if positions != list(range(1, len(positions) + 1)):
        yield "positions are not contiguous"
    verdict = verify(anchors=[])
    if not verdict.ok:
        yield f"the chain does not verify: {verdict.sentence}"
    events = (
        AuditEvent.objects.filter(action="step.done")
        .values("subject_id", "sentence")
        .annotate(n=Count("pk"))
    )
    yield from (
        f"{event['sentence']} of {event['subject_id']} is told {event['n']} times"
        for event in events
        if event["n"] > 1
    )
    told = Counter(
        re.sub(":.*", "", object_.sentence)
        for object_ in AuditEvent.objects.filter(action="step.done")
    )
    steps = Counter(str(step) for step in PromotionStep.objects.filter(status="done"))
    yield from (
        f"{name}: {steps[name]} done, {told[name]} told"
        for name in steps
        if steps[name] != told[name]
    )


def main(kills: int = 200, seed: int = 20260) -> int:
    """Prints where the kills hit and what they broke; 0 when every promise was kept."""
    started = time.monotonic()
    with scratch_database(), world_of_its_own() as world:
        killer, people = shipped(world, kills, seed)
        found = findings(world, people)
    seconds = time.monotonic() - started
    print(f"Killed at random while releases were shipped (seed {seed})")
    for where, count in sorted(killer.hits.items(), key=lambda pair: -pair[1]):
        print(f"  {count:5}  {where}")
    print(
        f"  {sum(killer.hits.values()):5}  kills, {killer.restarts} workers started anew,"
        f" {seconds:.0f} s"
    )
    print(
        f"  {len(people.released):5}  releases shipped; a person was asked {people.repairs} times"
    )
    for promise, broken in found.items():
        print(f"  {len(broken):5}  {promise}")
        for line in broken[:10]:
            print(f"         {line}")
    for error in killer.errors:
        print(f"  The killer itself broke: {error}")
    return 1 if any(found.values()) or killer.errors else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
