"""The page of a rehearsal with much on it, in Chromium."""

import pytest

from environments.models import Rehearsal
from tests.browser.looks import unreadable
from tests.factory import make_people, make_project, make_rehearsal, make_release

pytestmark = pytest.mark.django_db(transaction=True)
LONG = "select " + "w" * 200
STATEMENTS = [
    {
        "run": run,
        "revision": "3c9d56f82e10",
        "sql": sql,
        "seconds": seconds,
        "in_transaction": inside,
        "locks": [
            {"table": f"public.{table}", "mode": mode, "seconds": 0.012} for table, mode in locks
        ],
        "rewritten": rewritten,
    }
    for run in ("first", "back", "again")
    for sql, seconds, inside, locks, rewritten in (
        (
            "ALTER TABLE events ALTER COLUMN kind TYPE INTEGER USING kind::integer",
            0.0081,
            True,
            [("events", "AccessExclusiveLock"), ("workspaces", "ShareRowExclusiveLock")],
            ["public.events"],
        ),
        (
            "CREATE INDEX CONCURRENTLY events_workspace_id ON events (workspace_id)",
            0.0021,
            False,
            [],
            [],
        ),
        (LONG, 1.2, True, [("w" * 60, "RowExclusiveLock")], []),
    )
]
CHANGES = [
    {
        "how": "changed",
        "type": "table",
        "name": "events",
        "lines": ["- kind text", "+ kind integer"],
    },
    {"how": "added", "type": "index", "name": "events_workspace_id", "lines": []},
]


@pytest.fixture
def carried():
    """Alice, with a rehearsal that passed with warnings, one that failed and one that runs."""
    people = make_people()
    release = make_release(make_project(), by=people["alice"])
    Rehearsal.objects.all().delete()
    full = make_rehearsal(
        release,
        statements=STATEMENTS,
        changes=CHANGES,
        left=CHANGES[1:],
        drift=CHANGES,
        warnings=[
            "The downgrade leaves the schema different: index events_workspace_id added.",
            LONG,
        ],
    )
    failed = make_rehearsal(
        release,
        kind="staging",
        status="failed",
        sentence=f"Revision 3c9d56f82e10 failed: {LONG}.",
        left=None,
        drift=None,
        failed_statement=LONG,
        statements=STATEMENTS[:3],
        phases=[["server", 0.5], ["read", 0.1], ["load", 0.1]],
    )
    running = make_rehearsal(
        make_release(make_project("second"), by=people["alice"]),
        status="running",
        sentence="",
        phase="first",
        finished_at=None,
        phases=[["server", 0.5], ["read", 0.1], ["load", 0.1]],
        server="",
        left=None,
        drift=None,
    )
    pages = [f"/rehearsals/{row.pk}/" for row in (full, failed, running)]
    return people["alice"], [*pages, f"/releases/{release.pk}/", "/migrations/"]


def test_every_page_can_be_read_in_both_schemes_and_on_a_phone(open_as, carried, complaints):
    alice, paths = carried
    page = open_as(alice, paths[0])

    assert unreadable(page, *paths) == []
    assert complaints == []
