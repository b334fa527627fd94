"""The page of previews: what it shows, how many queries it takes, and who may do what there."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from environments.models import Environment, Preview, PreviewVariable, Project
from tests.factory import make_people, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def project():
    project = make_project()
    Project.objects.filter(pk=project.pk).update(previews=True)
    return project


def make_preview(project, number: int, **values) -> Preview:
    now = timezone.now()
    values = {"state": "live", "sentence": f"Live at {'c' * 7}.", "title": "Search"} | values
    return Preview.objects.create(
        project=project, number=number, head="c" * 40, head_at=now, made_at=now, **values
    )


def test_the_page_takes_the_same_queries_for_one_preview_and_for_forty(client, people, project):
    client.force_login(people["alice"])
    counts = []
    for number in (1, 40):
        for extra in range(number):
            make_preview(
                project, 100 * number + extra, services=[{"name": "backend", "status": "success"}]
            )
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/previews/").status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 14


def test_a_preview_is_shown_with_its_state_commit_and_what_failed(client, people, project):
    client.force_login(people["carol"])
    make_preview(
        project,
        7,
        state="failed",
        sentence="frontend did not come up.",
        log="<script>alert(1)</script>",
    )

    page = client.get("/previews/").text

    assert "pr-7" in page and "frontend did not come up." in page and "ccccccc" in page
    assert "<script>alert" not in page and "Rebuild" not in page


def test_a_value_is_kept_encrypted_and_never_shown(client, people, project):
    client.force_login(people["alice"])
    given = {"service": "backend", "name": "PAYMENT_KEY", "value": "canary-value-7"}

    page = client.post(f"/previews/{project.slug}/variable/", given, follow=True).text

    row = PreviewVariable.objects.get()
    with connection.cursor() as cursor:
        cursor.execute("select value from environments_previewvariable")
        stored = cursor.fetchone()[0]
    assert row.value.reveal() == "canary-value-7"
    assert "canary-value-7" not in page and "canary-value-7" not in stored and "PAYMENT_KEY" in page


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"service": "nowhere", "name": "KEY", "value": "x"}, "has no service"),
        ({"service": "backend", "name": "NO WAY", "value": "x"}, "Write the variable"),
        ({"service": "backend", "name": "KEY", "value": ""}, "Give a value"),
    ],
)
def test_a_bad_value_is_refused_in_a_sentence(client, people, project, given, message):
    client.force_login(people["alice"])

    page = client.post(f"/previews/{project.slug}/variable/", given, follow=True).text

    assert message in page and not PreviewVariable.objects.exists()


def test_an_auditor_changes_nothing(client, people, project):
    client.force_login(people["carol"])
    row = make_preview(project, 7)
    place = Environment.objects.create(
        project=project, name="pr-8", kind="preview", railway_id="e-8"
    )

    for address in (f"/previews/{row.pk}/remove/", f"/previews/{row.pk}/rebuild/"):
        client.post(address)
    client.post(f"/environments/{place.pk}/delete/", {"typed": "pr-8"})

    row.refresh_from_db()
    assert row.wanted and row.state == "live" and not project.repairs.exists()
