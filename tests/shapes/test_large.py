"""The shape `large`, smaller: it ships, costs few calls and queries, and over a hundred pull
requests are found.
"""

import pytest

from portal.sandbox.shapes import large
from releases.models.releases import Release
from tests.journeys.world import quick_world
from tests.shapes.large import MOST_COLD, MOST_QUERIES, MOST_WARM, queries, read, sized
from tests.shapes.shipping import ship, table

SMALL = large.Size(
    branches=300, open=120, merged=105, into_main=12, checks=60, services=10, environments=4
)


@pytest.mark.slow
def test_a_large_project_ships_and_costs_few_calls_and_queries(
    tmp_path, settings, transactional_db
):
    with sized(SMALL), quick_world(tmp_path, settings, shape=["large"]) as world:
        cold, second, warm = read(world), read(world), read(world)
        outcome = ship(world)
        release = Release.objects.get()
        pages = queries(world, release)

    assert outcome.held, table([outcome])
    assert max(sum(cold), sum(second)) <= MOST_COLD, (cold, second)
    assert sum(warm) <= MOST_WARM, warm
    assert len(pages) > 30 and max(pages.values()) <= MOST_QUERIES, pages
    assert release.pull_requests.count() == SMALL.merged
