"""Ships one release of every project shape, or shows that it is refused before anything is written.

Run by `make shapes`, or with names: `python -m tests.shapes.shipping databases
watch-paths+databases`. Prints one table; ends with 1 when a shape is neither shipped nor refused as
it says of itself.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.sandbox import shapes
from tests.scratch import scratch_database

SHIPPED, REFUSED, STUCK = "shipped", "refused", "STUCK"


@dataclass(frozen=True)
class Outcome:
    """What became of a release of one shape; `wrote`: what was written to production before a
    refusal.
    """

    shape: str
    outcome: str
    sentence: str
    calls: int
    seconds: float
    wrote: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether the shape does what it says of itself."""
        wanted = shapes.combined(self.shape.split(" + ")).refused
        if not wanted:
            return self.outcome == SHIPPED
        return self.outcome == REFUSED and wanted in self.sentence and not self.wrote


Look = Callable[[str, Any], None]


def _nothing(moment: str, release: Any) -> None:
    """What is done at each moment of a release where nobody asks for more."""


def ship(world: Any, *, patience: float = 60, at: Look = _nothing) -> Outcome:
    """Cuts a release, migrates staging, ticks, promotes and looks at production, as people do.

    `at` is called with the release when it is "ready", "verifying" or "refused" (before anybody
    tries to promote it).
    """
    began = time.monotonic()
    try:
        outcome, sentence = _ship(world, patience, at)
    except AssertionError as stuck:
        outcome, sentence = STUCK, str(stuck)
    calls = len(world.github_server.requests) + len(world.railway_server.requests)
    wrote = () if outcome == SHIPPED else tuple(written(world))
    return Outcome(world.shape.name, outcome, sentence, calls, time.monotonic() - began, wrote)


def _ship(world: Any, patience: float, at: Look) -> tuple[str, str]:
    from releases import gates
    from releases.checklist import actions as checklist_actions
    from releases.gates.context import facts_of
    from releases.lifecycle import actions as lifecycle_actions
    from releases.promotion import actions as promotion_actions

    project, alice = world.project, world.person("alice")
    kinds = ["staging", "production"]
    world.work(lambda: project.branches.exclude(head="").count() == 2, seconds=patience)
    world.work(lambda: project.environments.filter(kind__in=kinds).count() == 2, seconds=patience)
    release = lifecycle_actions.cut(project, actor=alice)
    world.work(lambda: _is_begun(world, release), seconds=patience)
    if release.migrations:
        run = lifecycle_actions.migrate_staging(release, actor=alice)
        world.work(lambda: (run.refresh_from_db(), not run.is_open)[1], seconds=patience)
    for item in release.items.filter(phase="before", gate=""):
        checklist_actions.tick(item, actor=alice)
    if world.shape.refused:
        return _refused(world, release, patience, at)
    _until(
        world,
        lambda: gates.readiness_of(facts_of(release.pk)).ready,
        lambda: _missing(release),
        patience,
    )
    at("ready", release)
    _until(
        world,
        lambda: gates.readiness_of(facts_of(release.pk)).ready,
        lambda: _missing(release),
        patience,
    )
    promotion_actions.promote(release, actor=alice)
    _until(world, lambda: _at(release, "verifying"), lambda: _stopped(release), patience)
    at("verifying", release)
    for item in release.items.filter(phase="after", gate=""):
        checklist_actions.tick(item, actor=alice, note="looked at")
    _until(world, lambda: _at(release, "done"), lambda: _missing(release), patience)
    deployed = release.promotions.latest("pk").steps.get(name="deploy")
    return SHIPPED, deployed.sentence


def _is_begun(world: Any, release: Any) -> bool:
    """Whether its content was read and its pull request opened, which a shape may be refused
    before.
    """
    release.refresh_from_db()
    refused = world.shape.refused
    return bool(release.collected) and bool(
        release.pull_number or (refused and refused in _missing(release))
    )


def _refused(world: Any, release: Any, patience: float, at: Look) -> tuple[str, str]:
    """What the portal says when somebody promotes it nevertheless."""
    from portal.ui.actions import Refused
    from releases.promotion import actions as promotion_actions

    _until(
        world, lambda: world.shape.refused in _missing(release), lambda: _missing(release), patience
    )
    at("refused", release)
    _until(
        world, lambda: world.shape.refused in _missing(release), lambda: _missing(release), patience
    )
    try:
        promotion_actions.promote(release, actor=world.person("alice"))
    except Refused as refusal:
        return REFUSED, str(refusal)
    return STUCK, "It was promoted, although it was to be refused."


def _at(release: Any, status: str) -> bool:
    release.refresh_from_db()
    if (
        release.status != status
        and release.promotions.filter(status__in=["failed", "needs_person"]).exists()
    ):
        raise AssertionError(_stopped(release))
    return release.status == status


def _until(world: Any, holds: Any, message: Any, patience: float) -> None:
    """Works until it holds; what the portal says is the reason when it never does."""
    deadline = time.monotonic() + patience
    with suppress(AssertionError):
        world.work(holds, seconds=patience)
        return
    waited = "" if time.monotonic() < deadline else f" (after {patience:.0f} s)"
    raise AssertionError(f"{message()}{waited}")


def _missing(release: Any) -> str:
    from releases import gates
    from releases.gates.context import facts_of

    readiness = gates.readiness_of(facts_of(release.pk))
    return " ".join(
        line.result.sentence for line in (*readiness.missing, *readiness.after) if not line.done
    )


def _stopped(release: Any) -> str:
    steps = release.promotions.latest("pk").steps.exclude(status="done").order_by("position")
    return " ".join(f"{step.name}: {step.sentence} {step.world}" for step in steps[:1])


def written(world: Any) -> list[str]:
    """What was asked of production, in words: a merge, a moved branch, a change on Railway."""
    found = [
        f"GitHub {request.method} {request.path}"
        for request in world.github_server.requests
        if request.method in ("PUT", "PATCH", "DELETE") and request.status < 400
    ]
    return found + [
        "Railway mutation"
        for request in world.railway_server.requests
        if "mutation " in request.body
    ]


def table(outcomes: Sequence[Outcome]) -> str:
    """One row for each shape."""
    width = max(len(outcome.shape) for outcome in outcomes)
    rows = [f"{'shape':{width}}  {'outcome':8}  {'calls':>5}  {'s':>5}  what the portal says"]
    for outcome in outcomes:
        wrong = "" if outcome.held else "  ← not as it should be"
        wrote = (
            f" Written before: {', '.join(outcome.wrote)}."
            if outcome.wrote and outcome.outcome == REFUSED
            else ""
        )
        rows.append(
            f"{outcome.shape:{width}}  {outcome.outcome:8}  {outcome.calls:5} "
            f" {outcome.seconds:5.1f}  {outcome.sentence}{wrote}{wrong}"
        )
    return "\n".join(rows)


def main(*wanted: str) -> int:
    """Ships each of `wanted`, or every shape; several joined by “+” are one project."""
    outcomes = []
    for name in wanted or shapes.names():
        with scratch_database():
            outcomes.append(_shipped(name.split("+")))
            print(table(outcomes[-1:]).splitlines()[1], flush=True)
    print(f"\n{table(outcomes)}")
    return 0 if all(outcome.held for outcome in outcomes) else 1


def _shipped(names: Sequence[str]) -> Outcome:
    from django.conf import settings

    from tests.faults.scene import _Setting
    from tests.journeys.world import quick_world

    with (
        tempfile.TemporaryDirectory(
            prefix="portal-shapes-", ignore_cleanup_errors=True
        ) as directory,
        quick_world(Path(directory), _Setting(settings), shape=names) as world,
    ):
        return ship(world)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
