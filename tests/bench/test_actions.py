"""An action's event is one query more, and the measurement compares the same action with and
without it.
"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal.models.audit import AuditEvent
from tests.bench.actions import change, compare, scene, unaudited

pytestmark = pytest.mark.django_db


def statements(work):
    with CaptureQueriesContext(connection) as seen:
        work()
    return [query["sql"] for query in seen.captured_queries if "SAVEPOINT" not in query["sql"]]


def test_an_event_costs_its_action_one_query():
    _, items, alice = scene()
    alice.has_perm("releases.tick_checklistitem")  # read once for a request

    with unaudited():
        plain = statements(lambda: change(items[0], alice, 0))
    audited = statements(lambda: change(items[1], alice, 0))

    assert len(audited) == len(plain) + 1
    assert [sql for sql in audited if "portal_audit_append" in sql] == audited[-1:]


def test_both_ways_change_their_row_and_only_one_is_told():
    compare(3)

    told = [
        event.data["text"] for event in AuditEvent.objects.filter(action__startswith="checklist.")
    ]
    assert told == ["Item 1"] * 3
