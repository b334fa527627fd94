"""Small counts of what `tests.faults.migrations` does by the hundred."""

import pytest

from tests.environments.schema.history.histories import repository
from tests.faults.migrations import FILES, kills, pairs

pytestmark = pytest.mark.slow


def test_of_two_upgrades_at_once_one_runs_and_none_hangs_or_errs(tmp_path):
    seen, _ = pairs(1, repository(tmp_path / "git", FILES))

    assert not any(seen.values()), seen


def test_a_run_killed_at_any_moment_is_told_as_it_is_and_goes_on_from_there(tmp_path):
    found = kills(2, repository(tmp_path / "git", FILES), seed=5)

    assert found.wrong == []
    assert sum(found.statuses.values()) == 2
