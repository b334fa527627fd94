"""A few bad days of the table: nothing that a page says is untrue. All of them: `make faults`."""

import pytest

from tests.faults.days.look import go_through
from tests.faults.days.registry import DAYS

NAMES = (
    "a build fails in production",
    "the revert is open",
    "the branches have diverged",
    "a release is being read",
)


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize(
    "day", [one for one in DAYS if one.name in NAMES], ids=lambda one: one.name
)
def test_nothing_untrue_stands_on_any_page(day, settings):
    looks = go_through(day, settings)

    assert [verdict for looked in looks for verdict in looked.untrue] == []
    assert sum(len(looked.held) for looked in looks) >= 8


def test_there_are_at_least_thirty_days():
    assert len({one.name for one in DAYS}) == len(DAYS) >= 30
