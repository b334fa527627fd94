"""People who tick at the same moment."""

import pytest

from tests.faults.ticks import a_release, problems, tick_at_once


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("same", [False, True])
def test_no_tick_is_lost_when_people_tick_at_once(same):
    release, users = a_release(people=8, each=5)

    seen = tick_at_once(release, users, 5, same=same)

    assert problems(release, seen, wanted=5 if same else 40) == []
    assert sum(seen.ticks.values()) == 40


@pytest.mark.django_db(transaction=True)
def test_a_lost_tick_is_noticed():
    release, users = a_release(people=2, each=2)
    seen = tick_at_once(release, users, 2, same=False)

    release.items.filter(pk=release.items.first().pk).update(ticked_at=None, ticked_by=None)

    assert problems(release, seen, wanted=4) == ["3 of 4 items are ticked"]
