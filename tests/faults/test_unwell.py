"""A frozen worker and a restarted database, for real; the other failures: `python -m
tests.faults.unwell`.
"""

import pytest

from tests.faults import unwell

pytestmark = pytest.mark.slow


def test_a_frozen_worker_and_a_restarted_database_are_said_within_a_minute_and_get_over(tmp_path):
    portal = unwell.Portal(tmp_path)
    try:
        assert (
            unwell.seconds_until(lambda: portal.states().get("workers") == "ok")
            < unwell.LIMIT_SECONDS
        )
        rows = [unwell.frozen_worker(portal), unwell.restarted_database(portal)]
    finally:
        portal.end()

    for name, *seconds in rows:
        assert max(seconds) < unwell.LIMIT_SECONDS, (name, seconds)
