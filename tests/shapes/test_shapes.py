"""Every project shape ships, or is refused before anything is written: the small version of
`make shapes`.
"""

from pathlib import Path

import pytest
import stamina

from portal.sandbox import shapes
from tests.faults.spoiled_shapes import Spoiler
from tests.journeys.world import quick_world
from tests.shapes.shipping import ship, table

# What ships is laid over each other where one says nothing of what the other is about: each of
# them has to be right for the release to arrive. `make shapes` ships every one by itself.
TOGETHER = (
    "config-as-code + databases + strict-app-checks",
    "two-databases + strict-signed-commits",
    "watch-paths + sleeping-and-scheduled + internal-address",
    "no-migrations + existing-previews",
    "railway-migrates + other-repository",
    "other-names + free-plan",
)
REFUSED = [name for name in shapes.names() if shapes.named(name).refused]


def test_every_shape_is_shipped_or_refused_here():
    together = [name for names in TOGETHER for name in names.split(" + ")]

    # Of `large` a smaller one is shipped, in test_large.py.
    assert sorted([*together, *REFUSED, "large"]) == shapes.names()


@pytest.mark.slow
@pytest.mark.parametrize("names", [*TOGETHER, *REFUSED])
def test_a_release_ships_or_is_refused_before_anything_is_written(
    names, tmp_path, settings, transactional_db
):
    with (
        stamina.set_testing(True, attempts=3, cap=True),
        quick_world(tmp_path, settings, shape=names.split(" + ")) as world,
    ):
        spoiler = Spoiler(world, each=4, seed=11)
        outcome = ship(world, at=spoiler)

    assert outcome.held, table([outcome])
    # A refusal names the cause, not what waits for it.
    assert not any(one in outcome.sentence for one in ("is being opened", "Reading"))
    assert (spoiler.tally.false, spoiler.tally.errors) == ([], {}) and spoiler.tally.answers


def test_shapes_can_be_laid_over_each_other_and_an_unknown_one_is_named():
    both = shapes.combined(["watch-paths", "sleeping-and-scheduled", "databases"])

    frontend = next(service for service in both.services if service.name == "frontend")
    assert (frontend.watch, frontend.sleeps) == (("frontend/**", "!*.md"), True)
    assert {"backend", "worker", "nightly", "Postgres"} <= {
        service.name for service in both.services
    }
    with pytest.raises(KeyError, match="There is no shape 'odd'"):
        shapes.combined(["odd"])
    with pytest.raises(KeyError, match="two-databases and large each make a repository"):
        shapes.combined(["databases", "two-databases", "large"])


def test_every_shape_has_its_sentence_in_the_docs():
    page = Path(__file__).parents[2] / "docs" / "shapes.md"

    listed = [
        line
        for line in page.read_text().splitlines()
        if line.startswith("| ") and "Shape" not in line
    ]

    assert listed == [f"| {name} | {shapes.named(name).sentence} |" for name in shapes.names()]
