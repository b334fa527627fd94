"""Bad answers to a project of each shape by itself: no gate turns green, and a refused shape stays
refused.

`python -m tests.faults.spoiled_shapes 200 7` spoils 200 answers for each shape, or for those that
are named, each in a process and on a server of its own, two at a time. Prints a table; exit status
1 when a gate turned green.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from portal.sandbox import shapes
from tests.faults.bad_answers import AS_IT_IS, Stage, Tally, Truth, _forget_refusals, spoil, truths
from tests.faults.scene import ROOT, lift_allowances
from tests.scratch import scratch_database

ONE = "--one"  # of the shapes, in this process


class Spoiler:
    """Spoils `each` answers at every moment of a release of one world, into one tally."""

    def __init__(self, world: Any, each: int, seed: int) -> None:
        self.world, self.each, self.tally = world, each, Tally()
        self.dice = random.Random(seed)
        lift_allowances(world)

    def __call__(self, moment: str, release: Any) -> None:
        """Be told of a moment by `tests.shapes.shipping.ship`."""
        from django.utils import timezone

        world = self.world
        world.work(lambda: self._is_still(moment, release))
        main = world.github.git.heads()[world.shape.branch("production")]
        old = world.github.git.commit(main).parents[0]
        stage = Stage(world, release, timezone.now(), self.dice, old)
        if moment == "verifying":
            # The portal's own word that the branches are level is out of the way: GitHub is asked.
            step = release.promotions.latest("pk").steps.get(name="sync_staging")
            type(step).objects.filter(pk=step.pk).update(status="skipped")
        found = self._as_it_is(release) if moment == "refused" else truths(stage)
        # So many for each gate that there are `each` of all together; where those are few, of some
        # truths only.
        mine = self.each if moment == "refused" else self.each // 2
        found = self.dice.sample(found, min(len(found), mine))
        share = max(1, mine // len(found))
        gates = {
            gate: sum(gate in one.gates for one in found) for one in found for gate in one.gates
        }
        spoil(stage, share * max(gates.values()), self.tally, found)
        _forget_refusals()
        if moment == "verifying":
            type(step).objects.filter(pk=step.pk).update(status="done")

    def _is_still(self, moment: str, release: Any) -> bool:
        """Whether what the gates look at is fresh and green, where it is to be."""
        from releases import gates
        from releases.gates.context import facts_of

        readiness = gates.readiness_of(facts_of(release.pk))
        if moment == "verifying":
            return all(line.done for line in readiness.after if line.gate)
        return moment == "refused" or readiness.ready

    def _as_it_is(self, release: Any) -> list[Truth]:
        """That the gate which refuses the shape refuses it, whatever GitHub and Railway answer."""
        from releases import gates
        from releases.gates.context import facts_of

        message = self.world.shape.refused
        facts = facts_of(release.pk)
        refusing = tuple(
            name for name, gate in gates.GATES.items() if message in gate(facts).sentence
        )
        assert refusing, f"no gate says “{message}”"
        return [
            Truth(AS_IT_IS, source, refusing, lambda: lambda: None)
            for source in ("github", "railway")
        ]


def one(name: str, each: int, seed: int) -> int:
    """Spoil answers for one shape in this process; print its line; return the exit status."""
    import logging

    import stamina
    from django.conf import settings

    from tests.faults.scene import _Setting
    from tests.journeys.world import quick_world
    from tests.shapes.shipping import ship

    logging.disable(logging.ERROR)
    stamina.instrumentation.set_on_retry_hooks([])
    stamina.set_testing(True, attempts=3, cap=True)  # no waiting between the tries
    began = time.monotonic()
    with (
        scratch_database(),
        tempfile.TemporaryDirectory(
            prefix="portal-spoiled-", ignore_cleanup_errors=True
        ) as directory,
        quick_world(Path(directory), _Setting(settings), shape=name.split("+")) as world,
    ):
        spoiler = Spoiler(world, each, seed)
        outcome = ship(world, patience=120, at=spoiler)
    tally = spoiler.tally
    answers, wrong = tally.faults.total(), [*sorted(set(tally.false)), *tally.errors]
    held = not wrong and outcome.held and answers >= min(each, 1)
    print(
        f"{name:24} {outcome.outcome:8} {answers:5} bad answers {len(tally.false):3} false greens "
        f"{tally.errors.total():3} errors {time.monotonic() - began:5.0f} s",
        flush=True,
    )
    for line in [*wrong[:12], *([] if outcome.held else [outcome.sentence])]:
        print(f"    {line[:300]}")
    return 0 if held else 1


def main(each: int = 200, seed: int = 7, *names: str, at_once: int = 2) -> int:
    """Run every shape, or those named, in processes of their own; return the exit status."""

    # Each starts a server of its own, beside the one that was started when this module was loaded.
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DATABASE_URL", "PORTAL_VAR_DIR")
    }

    def run(name: str) -> int:
        command = [sys.executable, "-m", __spec__.name, ONE, name, str(each), str(seed)]
        done = subprocess.run(command, cwd=ROOT, env=kept, capture_output=True, text=True)
        print(done.stdout or f"{name}: {done.stderr[-2000:]}", end="", flush=True)
        return done.returncode

    with ThreadPoolExecutor(at_once) as pool:
        return max(pool.map(run, names or _wanted()))


def _wanted() -> Sequence[str]:
    """Every shape; the longest first."""
    return sorted(shapes.names(), key=lambda name: name != "large")


if __name__ == "__main__":
    if ONE in sys.argv:
        name, each, seed = sys.argv[2:]
        sys.exit(one(name, int(each), int(seed)))
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    sys.exit(main(*numbers, *[word for word in sys.argv[1:] if not word.isdigit()]))
