"""Previews through killed workers, with a small count; `make faults` runs the large one."""

import pytest

from tests.faults.previews import disturbed, findings
from tests.faults.scene import world_of_its_own


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_environments_left_are_those_of_the_open_pull_requests(settings):
    with world_of_its_own(settings) as world:
        killer, authors = disturbed(world, count=3, seed=3)
        found = findings(world, authors)

    assert authors.did["opened"] >= 3 and killer.kills
    assert not any(found.values()), found
