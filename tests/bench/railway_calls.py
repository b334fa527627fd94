"""How many requests Railway gets in an hour from one project that nobody works on, by the journey's
clock.

`python -m tests.bench.railway_calls`. The Hobby plan allows 1,000 an hour for all that uses one
account; promised are less than 200 for a project, also with five previews or with one that hangs.
Exit status 1 if not.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.test.utils import override_settings

from environments.models import Preview, Project, VariableSync
from releases.lifecycle import actions
from tests.journeys.world import World, quick_world

MOST = 200
PACE = {"SYNC_SECONDS": 30.0, "VARIABLES_SECONDS": 600.0, "ADVICE_SECONDS": 600.0}
HANGING = "one preview that hangs"
SCENES = ("idle", "1 preview", "3 previews", "5 previews", HANGING, "a release in preparation")


@dataclass(frozen=True)
class Cost:
    """Requests in one simulated hour, and which."""

    calls: int
    documents: Counter[str]


class _Settings:
    """Sets Django's settings for as long as `override_settings` is in force around it."""

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(settings, name, value)


@contextmanager
def scene(name: str) -> Iterator[World]:
    """A connected project in which what `name` says has come about and was seen."""
    with (
        tempfile.TemporaryDirectory(prefix="portal-bench-") as folder,
        override_settings(),
        quick_world(Path(folder), _Settings()) as world,
    ):
        settings.PREVIEW_PAUSE_SECONDS = 0
        world.railway.set_knobs(cooldown=0)
        world.work(lambda: VariableSync.objects.filter(sentence="Variables read.").exists())
        _furnish(world, name)
        for key, value in PACE.items():
            setattr(settings, key, value)
        yield world


def _furnish(world: World, name: str) -> None:
    if name == "a release in preparation":
        actions.cut(world.project, actor=world.person("alice"))
    previews = 1 if name == HANGING else int(name[0]) if name[0].isdigit() else 0
    if not previews:
        return
    pulls = [one for one in world.github.state["pulls"] if one["state"] == "open"]
    for pull in pulls:
        world.github.close_pull(pull["number"])
    Project.objects.update(previews=True)
    if name == HANGING:
        world.railway.freeze()
    for number in range(previews):
        world.github.push_commit(
            f"work-{number}", {f"frontend/{number}.txt": "x"}, f"Work {number}"
        )
        world.github.open_pull(f"work-{number}", "staging", f"Work {number}")
    wanted = "deploying" if name == HANGING else "live"
    world.work(lambda: Preview.objects.filter(state=wanted).count() == previews, seconds=120)


def count(world: World, *, minutes: float = 60) -> Cost:
    """What is asked of Railway in that time, reckoned for an hour, after ten minutes to come to
    rest.
    """
    _wait(world, minutes=10)
    world.railway_server.requests.clear()
    _wait(world, minutes=minutes)
    documents = Counter(
        request.body.split("(")[0][10:60] for request in list(world.railway_server.requests)
    )
    return Cost(round(sum(documents.values()) * 60 / minutes), documents)


def _wait(world: World, *, minutes: float) -> None:
    assert world.clock is not None
    end = world.clock.now() + timedelta(minutes=minutes)
    world.work(lambda: world.clock.now() >= end, seconds=600)


def main() -> int:
    """Print the table; return the exit status."""
    missed = False
    print("requests to Railway in one hour")
    for name in SCENES:
        with scratch_database(), scene(name) as world:
            cost = count(world)
        most = ", ".join(
            f"{times} × {document.strip()}" for document, times in cost.documents.most_common(4)
        )
        print(f"  {name:26} {cost.calls:5}   {most}", flush=True)
        missed |= cost.calls >= MOST
    print(f"less than {MOST} in each: {'missed' if missed else 'held'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
