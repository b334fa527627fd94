"""The trail for auditors: filters that are addresses, one event by itself, and exports."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from environments.models import Project
from portal import audit
from portal.audit import row_changes
from portal.audit_page.views import COLUMNS, plain
from portal.models.audit import AuditEvent
from tests.factory import make_people, make_project, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def carol(people):
    client = Client()
    client.force_login(people["carol"])
    return client


def record(sentence, **values):
    with transaction.atomic():
        audit.record(**({"action": "thing.happened", "actor": None} | values), sentence=sentence)


@pytest.mark.parametrize(
    "asked",
    [
        "actor=bob",
        "outcome=refused",
        "scope=inspector",
        "action=release.",
        "subject=auth.user",
        "text=WANTED",
        f"since={timezone.localdate() - timedelta(days=1):%Y-%m-%d}&text=wanted",
    ],
)
def test_it_filters_by_project_object_person_action_outcome_time_and_text(people, carol, asked):
    record("The other.", scope="billing")
    record(
        "The wanted one.",
        actor=people["bob"],
        outcome="refused",
        scope="inspector",
        action="release.promoted",
        subject=people["bob"],
    )

    html = squeezed(carol.get(f"/audit/?{asked}"))

    assert "The wanted one." in html and "The other." not in html


def test_a_day_that_has_not_come_finds_nothing(carol):
    record("Today.")

    tomorrow = timezone.localdate() + timedelta(days=1)

    assert "Today." not in squeezed(carol.get(f"/audit/?since={tomorrow:%Y-%m-%d}"))
    assert "Today." in squeezed(carol.get(f"/audit/?until={timezone.localdate():%Y-%m-%d}"))


def test_a_minute_of_an_incident_is_an_address_and_the_fields_say_it_again(carol):
    noon = timezone.localtime().replace(hour=12, minute=0, second=30) - timedelta(days=1)
    for minute in range(3):
        record(f"Minute {minute}.", now=noon + timedelta(minutes=minute))
    day = f"{noon:%Y-%m-%d}"

    minute = squeezed(carol.get(f"/audit/?since={day}T12:01&until={day}T12:01"))
    whole = squeezed(carol.get(f"/audit/?since={day}&until={day}"))

    assert [f"Minute {n}." in minute for n in range(3)] == [False, True, False]
    assert [f"Minute {n}." in whole for n in range(3)] == [True, True, True]
    assert f'value="{day}T12:01"' in minute
    assert f'value="{day}T00:00"' in whole and f'value="{day}T23:59"' in whole


def test_an_odd_date_is_named_beside_its_field(carol):
    assert "Enter a valid date/time." in squeezed(carol.get("/audit/?since=yesterday"))


def test_an_event_has_an_address_with_before_and_after_of_each_change(people, carol):
    project = make_project()
    before = row_changes.stored(project)
    Project.objects.update(staging_branch="next")
    with transaction.atomic():
        row_changes.record(
            project, before, row_changes.stored(project), actor=people["dave"], by=""
        )
    event = AuditEvent.objects.first()

    html = squeezed(carol.get(f"/audit/{event.position}/"))

    assert "<td>staging</td><td>next</td>" in html.replace("> ", ">").replace(" <", "<")
    assert event.sentence in html
    assert carol.get("/audit/999999/").status_code == 404


@pytest.mark.parametrize(
    "cell", ["=1+1", " =1", "\u3000=1", "\xa0@x", "\uff1d1+1", "\uff0b1", "-1", "\t=1", "\n=1"]
)
def test_no_cell_begins_like_a_formula_of_any_spreadsheet(cell):
    assert plain(cell) == f"'{cell}"


def test_a_csv_is_safe_from_formulas_and_names_release_and_position(people, carol):
    release = make_release(make_project(), by=people["alice"])
    for begins in ("=1+1", "+1", "-1", "@x", "\t=1", "  =1"):
        record(f"{begins} is text", subject=release)

    response = carol.get(f"/audit/export.csv?subject=releases.release:{release.pk}")
    rows = list(csv.DictReader(io.StringIO(response.getvalue().decode())))

    assert response.streaming and tuple(rows[0]) == COLUMNS
    assert all(row["release"] == str(release) for row in rows)
    assert [int(row["position"]) for row in rows] == sorted(int(row["position"]) for row in rows)
    dangerous = [row for row in rows if "is text" in row["sentence"]]
    assert len(dangerous) == 6
    assert all(row["sentence"].startswith("'") for row in dangerous)


def test_json_lines_hold_everything_of_each_event(people, carol):
    record("One, with “quotes”\tand a tab.", scope="inspector", data={"a": [1]})
    record("Two.", scope="billing")

    response = carol.get("/audit/export.jsonl?scope=inspector")
    events = [json.loads(line) for line in response.getvalue().decode().splitlines()]

    known = AuditEvent.objects.get(scope="inspector")
    assert [event["position"] for event in events] == [known.position]
    assert events[0]["data"] == {"a": [1]} and events[0]["sentence"] == known.sentence
    assert events[0]["digest"] == bytes(known.digest).hex()


def test_it_is_refused_to_whom_may_not_read_the_trail(people):
    people["carol"].groups.clear()
    carol = Client()
    carol.force_login(people["carol"], backend="django.contrib.auth.backends.ModelBackend")

    for address in ("/audit/1/", "/audit/export.csv", "/audit/export.jsonl"):
        assert carol.get(address).status_code == 403, address
