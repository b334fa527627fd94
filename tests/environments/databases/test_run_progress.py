"""What the page of a run says of the statement that runs now."""

from dataclasses import asdict, replace

import pytest

from environments.databases.run_progress import place, sentence
from environments.models import MigrationRun
from environments.schema.run.progress import Progress
from tests.factory import make_people, make_project, make_run
from tests.reading import squeezed

PLANNED = [
    "CREATE TABLE a (id int)",
    "UPDATE events SET kind = 'none' WHERE kind IS NULL AND id < 1000",
    "UPDATE events SET kind = 'none' WHERE kind IS NULL AND id < 2000",
    "UPDATE events SET kind = 'none' WHERE kind IS NULL AND id < 1000",
]
NOW = Progress("b2", PLANNED[1], 42.0, table="events", rows=1_200_000)


@pytest.mark.parametrize(
    ("sql", "after", "at"),
    [
        (PLANNED[0].replace(" ", "\n"), 0, 1),
        (PLANNED[2], 1, 3),
        (PLANNED[1], 3, 4),
        ("UPDATE events", 0, 0),
        ("DELETE FROM events", 0, 0),
    ],
)
def test_a_statement_is_found_in_the_plan_and_never_before_one_that_was_reached(sql, after, at):
    assert place(sql, PLANNED, after=after) == at


def test_a_statement_that_the_server_cuts_off_is_known_by_its_beginning():
    long = "UPDATE events SET kind = " + "'x' || " * 400 + "'y'"

    assert place(long[:1000], [PLANNED[0], long], after=0) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"changed": 340_000}, "about 1,200,000 rows, 340,000 changed by committed batches."),
        ({"phase": "building index", "done": 5, "of": 9, "unit": "blocks"}, "5 of 9 blocks."),
        ({"grew": 12_000_000}, "events has grown by 12 MB."),
        ({"waits": "a lock that session 7 holds (psql)"}, "It waits for a lock that session 7"),
    ],
)
def test_what_can_be_seen_from_outside_is_said(changes, words):
    assert words in sentence(replace(NOW, **changes))


@pytest.mark.django_db
def test_the_page_of_a_run_shows_it_while_it_runs_and_not_afterwards(client):
    client.force_login(make_people()["alice"])
    shown = asdict(NOW) | {"at": 2, "statements": 4, "told": sentence(NOW), "of": 9, "done": 5}
    run = make_run(make_project(), status="running", finished_at=None, progress=shown)

    during = squeezed(client.get(f"/migrations/{run.pk}/"))
    MigrationRun.objects.filter(pk=run.pk).update(status="succeeded")
    after = squeezed(client.get(f"/migrations/{run.pk}/"))

    assert "statement 2 of 4, for 42" in during and "about 1,200,000 rows" in during
    assert '<progress max="9" value="5"' in during and 'id="progress"' not in after
