"""Spoils what GitHub, Railway, a database and the services answer while the truth is bad: no gate
may turn green.

Run by `make faults`, or with a count for each gate, a seed and the names of project shapes:
`python -m tests.faults.bad_answers 200 7 databases watch-paths`. The last good reading is ten
minutes old, so only the spoiled answer could make a gate green. Ends with 1 when one did.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from portal.sandbox import sample
from portal.sandbox.server import Response
from tests.faults.scene import lift_allowances, world_of_its_own
from tests.faults.spoiling import spoiled
from tests.scratch import scratch_database

LATER = timedelta(minutes=10)
BEFORE = (
    "staging_healthy",
    "promotion_open",
    "ci_green",
    "migrations_ready",
    "environments_coherent",
)
AFTER = ("production_live", "production_at_head", "smoke_green", "staging_equals_main")


AS_IT_IS = (  # a truth that needs nothing made: its gates are not green while all is well
    "as the shape is"
)


@dataclass(frozen=True)
class Truth:
    """A bad state of the world and the gates that it must keep from green; `make` gives what
    unmakes it.
    """

    name: str
    source: str
    gates: tuple[str, ...]
    make: Callable[[], Callable[[], Any]]


@dataclass
class Tally:
    """What came of it all: answers by gate, faults by name, the false greens in words, and
    unexpected errors.
    """

    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    false: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass
class Stage:
    """A release whose gates are all green by a reading that is ten minutes old."""

    world: Any
    release: Any
    now: Any
    dice: random.Random
    old: str
    errors: Counter[str] = field(default_factory=Counter)

    def place(self, kind: str) -> str:
        """What the environment of that kind is called on Railway."""
        return str(self.world.shape.environment(kind))

    def branch(self, kind: str) -> str:
        """What the branch of that kind is called."""
        return str(self.world.shape.branch(kind))

    def read(self, source: str) -> None:
        """One reading of `source` at the later time, as the worker does it, and what the release
        needs after it.
        """
        from django.db import transaction
        from django.utils.module_loading import import_string

        from environments.models import DatabaseSync, RailwaySync, VariableSync
        from releases.models.promotion import PromotionStep
        from releases.models.pull_requests import GitHubSync

        if source == "service":
            self._smoke(PromotionStep.objects.get(promotion__release=self.release, name="smoke"))
            return
        kinds = {
            "github": (GitHubSync,),
            "railway": (RailwaySync, VariableSync),
            "database": (DatabaseSync,),
        }
        for kind in kinds[source]:
            with transaction.atomic():
                step = import_string(kind.step_function)
                step(kind.objects.get(project=self.world.project), now=self.now + LATER)

    def _smoke(self, step: Any) -> None:
        from releases.gates.context import facts_of
        from releases.promotion import steps as promotion_steps

        look = promotion_steps.smoke(step, facts_of(self.release.pk, now=self.now + LATER))
        step.status = "done" if isinstance(look, promotion_steps.Done) else "failed"
        step.save()

    def greens(self, gates_: tuple[str, ...]) -> list[str]:
        """Which of these gates are green at the later time."""
        from releases import gates
        from releases.gates.context import facts_of

        facts = facts_of(self.release.pk, now=self.now + LATER)
        return [name for name in gates_ if gates.GATES[name](facts).passed]

    def tried(self, source: str, gates_: tuple[str, ...], *, spoil: bool) -> tuple[str, list[str]]:
        """Reads once, spoiled or not, and forgets it again: the fault, and the gates that were
        green after it.
        """
        from django.db import transaction

        from environments.railway import request_counts

        # a spoiled "too many requests" must not keep the next answer from being read
        request_counts._accounts.clear()
        fault = ["none"]
        with transaction.atomic():
            with self._spoiling(source, fault) if spoil else _nothing():
                try:
                    self.read(source)
                except Exception as error:  # noqa: BLE001 - the worker notes it and goes on, with no word for people
                    self.errors[repr(error)] += 1
            green = self.greens(gates_)
            transaction.set_rollback(True)
        return fault[0], green

    @contextmanager
    def _spoiling(self, source: str, fault: list[str]) -> Iterator[None]:
        """Puts the spoiling between a stand-in and its socket."""
        if source == "service":
            with self._spoiling_services(fault):
                yield
            return
        server = self.world.github_server if source == "github" else self.world.railway_server
        honest, seed = server.app, self.dice.random()

        def app(request: Any) -> Any:
            # The same fault each time it is asked again: a retry must not come through by luck.
            fault[0], answer = spoiled(
                honest(request), random.Random(f"{seed}{request.path}"), self.old
            )
            return answer if answer is not None else Response(599, b"")

        server.app = app
        try:
            yield
        finally:
            server.app = honest

    @contextmanager
    def _spoiling_services(self, fault: list[str]) -> Iterator[None]:
        addresses = self.world.railway.world.addresses
        honest = addresses.answer

        def answer(owner: str, path: str) -> Any:
            page = honest(owner, path)
            fault[0] = self.dice.choice(
                ("half", "no headers", "other page", "server error", "redirect", "empty")
            )
            status = {"server error": 503, "redirect": 302}.get(fault[0], page.status)
            body = {
                "half": page.body[: len(page.body) // 2],
                "empty": b"",
                "other page": b"<h1>ok</h1>",
            }
            headers = {} if fault[0] == "no headers" and page.status != 200 else page.headers
            return type(page)(status, body.get(fault[0], page.body), headers)

        addresses.answer = answer
        try:
            yield
        finally:
            addresses.answer = honest


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def truths(stage: Stage) -> list[Truth]:
    """The bad states, each with its source; those of the second half need a promoted release."""
    github, railway = stage.world.github, stage.world.railway
    candidate, number = stage.release.candidate, stage.release.pull_number
    staging, production = stage.place("staging"), stage.place("production")
    below, main = stage.branch("staging"), stage.branch("production")

    def check(name: str, **state: Any) -> Callable[[], Callable[[], Any]]:
        def make() -> Callable[[], Any]:
            github.set_check(candidate, name, **state)
            return lambda: github.set_check(candidate, name)

        return make

    def pull(**values: Any) -> Callable[[], Callable[[], Any]]:
        def make() -> Callable[[], Any]:
            row = next(one for one in github.state["pulls"] if one["number"] == number)
            before = {name: row[name] for name in values}
            row |= values
            return lambda: row.update(before)

        return make

    def deployed(place: str, **values: Any) -> Callable[[], Callable[[], Any]]:
        def make() -> Callable[[], Any]:
            row = railway.world.data["deployments"][railway.latest("frontend", place)["id"]]
            before = {name: row[name] for name in values}
            row |= values
            return lambda: row.update(before)

        return make

    def trigger() -> Callable[[], Any]:
        railway.set_trigger("frontend", staging, "elsewhere")
        return lambda: railway.set_trigger("frontend", staging, below)

    def revision(kind: str) -> Callable[[], Callable[[], Any]]:
        def make() -> Callable[[], Any]:
            [head] = stage.world.revisions(kind)
            _sql(
                stage.world.databases[kind],
                "update alembic_version set version_num = '4d6f8b0c2e34'",
            )
            back = f"update alembic_version set version_num = '{head}'"
            return lambda: _sql(stage.world.databases[kind], back)

        return make

    def pushed() -> Callable[[], Any]:
        head = github.heads()[main]
        github.push_commit(below, {"frontend/next.txt": "next"}, "The next thing")
        return lambda: github.git.move(f"refs/heads/{below}", head)

    def broken() -> Callable[[], Any]:
        railway.break_path("frontend", production, "/", 500)
        return lambda: railway.break_path("frontend", production, "/", None)

    def of(service: str, place: str, **values: Any) -> Callable[[], Callable[[], Any]]:
        def make() -> Callable[[], Any]:
            row = railway.world.data["deployments"][railway.latest(service, place)["id"]]
            before = {name: row.get(name) for name in values}
            row |= values
            return lambda: row.update(before)

        return make

    def crashed(service: str, place: str) -> Callable[[], Callable[[], Any]]:
        def make() -> Callable[[], Any]:
            railway.set_containers(service, place, "CRASHED")
            return lambda: railway.set_containers(service, place)

        return make

    draft = pull(draft=True)
    ci, elsewhere = ("ci_green", "promotion_open"), ("staging_healthy", "environments_coherent")
    before = [
        Truth(
            "a required check failed",
            "github",
            ci,
            both(check(sample.CI, conclusion="failure"), draft),
        ),
        Truth(
            "a required check runs",
            "github",
            ci,
            both(check(sample.CI, status="in_progress"), draft),
        ),
        Truth(
            "another check failed", "github", ci, both(check("lint", conclusion="failure"), draft)
        ),
        Truth(
            "a service failed",
            "railway",
            elsewhere,
            both(deployed(staging, status="FAILED"), trigger),
        ),
        Truth(
            "a service deploys",
            "railway",
            elsewhere,
            both(deployed(staging, status="DEPLOYING"), trigger),
        ),
        Truth(
            "a service is stopped",
            "railway",
            elsewhere,
            both(deployed(staging, status="SUCCESS", stopped=True), trigger),
        ),
        Truth(
            "another commit",
            "railway",
            elsewhere,
            both(deployed(staging, meta={"commitHash": stage.old, "branch": below}), trigger),
        ),
        Truth(
            "staging's database elsewhere", "database", ("migrations_ready",), revision("staging")
        ),
    ]
    after = [
        Truth(
            "a service failed",
            "railway",
            ("production_live",),
            deployed(production, status="CRASHED"),
        ),
        Truth(
            "another commit",
            "railway",
            ("production_live",),
            deployed(production, meta={"commitHash": stage.old, "branch": main}),
        ),
        Truth(
            "production's database elsewhere",
            "database",
            ("production_at_head",),
            revision("production"),
        ),
        Truth("staging went on", "github", ("staging_equals_main",), pushed),
        Truth("a page is broken", "service", ("smoke_green",), broken),
        Truth(
            "another commit is served",
            "service",
            ("smoke_green",),
            deployed(production, meta={"commitHash": stage.old, "branch": main}),
        ),
    ]
    place = production if stage.release.merge_commit else staging
    live: tuple[str, ...] = ("production_live",) if place == production else ("staging_healthy",)
    for service in [
        service
        for service in stage.world.shape.services
        if service.watch or service.cron or service.sleeps
    ]:
        elsewhere_ = of(
            service.name, place, meta={"commitHash": stage.old, "branch": place}, status="FAILED"
        )
        (after if place == production else before).append(
            Truth(f"{service.name} failed", "railway", live, elsewhere_)
        )
    containers = Truth("containers crashed", "railway", live, crashed("backend", place))
    found = [*(after if stage.release.merge_commit else before), containers]
    return [one for one in found if one.source != "database" or stage.release.migrations]


def both(
    one: Callable[[], Callable[[], Any]], other: Callable[[], Callable[[], Any]]
) -> Callable[[], Callable[[], Any]]:
    """Two bad states at once."""

    def make() -> Callable[[], Any]:
        unmakes = one(), other()
        return lambda: [unmake() for unmake in unmakes]

    return make


def _sql(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def spoil(stage: Stage, each: int, tally: Tally, found: Sequence[Truth] = ()) -> None:
    """`each` bad answers for each gate, shared among the truths that must keep it from green."""
    found = found or truths(stage)
    share = Counter(gate for truth in found for gate in truth.gates)
    for truth in found:
        unspoiled = stage.tried(truth.source, truth.gates, spoil=False)[1]
        well = [] if truth.name == AS_IT_IS else list(truth.gates)
        assert unspoiled == well, f"of {truth.gates} these are green while all is well: {unspoiled}"
        unmake = truth.make()
        try:
            for _ in range(-(-each // min(share[gate] for gate in truth.gates))):
                fault, green = stage.tried(truth.source, truth.gates, spoil=True)
                tally.faults[fault] += 1
                tally.answers.update(truth.gates)
                tally.false += [f"{gate} while {truth.name}: {fault}" for gate in green]
        finally:
            unmake()
    tally.errors.update(stage.errors)


def stages(world: Any, seed: int) -> Iterator[Stage]:
    """The release before it is promoted, and after: both all green by a reading ten minutes ago."""
    from django.utils import timezone

    from releases.models.promotion import PromotionStep
    from tests.faults.shipping import promoted, ready

    dice, old = random.Random(seed), world.github.git.heads()["main"]
    release = ready(world)
    old = world.github.git.commit(old).parents[0]
    yield Stage(world, release, timezone.now(), dice, old)
    _forget_refusals()
    release = promoted(world, release)
    # The portal's own word that the branches are level is out of the way: GitHub is asked.
    PromotionStep.objects.filter(promotion__release=release, name="sync_staging").update(
        status="skipped"
    )
    yield Stage(world, release, timezone.now(), dice, old)


def _forget_refusals() -> None:
    """What was said about limits in the first half is no reason to wait in the second."""
    from environments.models import RailwayRateLimit
    from environments.railway import request_counts
    from portal import observed
    from portal.models.health import Observation

    request_counts._accounts.clear()
    RailwayRateLimit.objects.all().delete()
    observed._noted.clear()
    Observation.objects.all().delete()


def main(each: int = 2000, seed: int = 20262, *shape: str) -> int:
    """Prints how many bad answers each gate had and which turned it green; 0 when none did."""
    import logging

    import stamina

    logging.disable(logging.ERROR)
    stamina.instrumentation.set_on_retry_hooks([])
    stamina.set_testing(True, attempts=3, cap=True)  # no waiting between the tries
    started, tally = time.monotonic(), Tally()
    with scratch_database(), world_of_its_own(shape=shape) as world:
        lift_allowances(world)  # "used up" may not be all that is ever answered
        for stage in stages(world, seed):
            spoil(stage, each, tally)
    looks = f", {' + '.join(shape)}" if shape else ""
    print(
        f"Bad answers while the truth is bad (seed {seed}{looks}),"
        f" {time.monotonic() - started:.0f} s"
    )
    for gate in (*BEFORE, *AFTER):
        false = Counter(line for line in tally.false if line.startswith(f"{gate} "))
        print(f"  {gate:22} {tally.answers[gate]:6} bad answers, {false.total():4} false greens")
        for line, count in false.most_common(8):
            print(f"      {count:4} × {line}")
    print("  " + ", ".join(f"{count} {fault}" for fault, count in tally.faults.most_common()))
    print(f"  {tally.errors.total()} unexpected errors in reading them")
    for line, count in tally.errors.most_common(8):
        print(f"      {count:4} × {line}")
    return 1 if tally.false or tally.errors else 0


if __name__ == "__main__":
    numbers = [one for one in sys.argv[1:] if one.isdigit()]
    sys.exit(main(*map(int, numbers), *[one for one in sys.argv[1:] if not one.isdigit()]))
