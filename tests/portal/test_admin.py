import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from portal import audit, roles
from portal.models import WebhookDelivery
from tests.chain import fill

pytestmark = pytest.mark.django_db
EVENTS = "admin:portal_auditevent_changelist"


@pytest.fixture
def auditor(client):
    roles.ensure()
    charlie = User.objects.create_user("charlie", is_staff=True)
    charlie.groups.add(Group.objects.get(name="Auditors"))
    client.force_login(charlie)
    return client


def test_an_auditor_reads_the_trail(auditor):
    audit.record("release.promoted", actor=None, sentence="Release 3 went out.", scope="inspector")

    page = auditor.get(reverse(EVENTS)).content.decode()
    detail = auditor.get(reverse("admin:portal_auditevent_change", args=[1])).content.decode()

    assert "Release 3 went out." in page
    assert "release.promoted" in detail


@pytest.mark.parametrize("view", ["auditevent_change", "auditevent_delete", "webhookdelivery_change"])
def test_not_even_a_superuser_changes_a_row(admin_client, view):
    audit.record("x", actor=None)
    delivery = WebhookDelivery.objects.create(
        source="github", delivery="1", received_at=timezone.now(), size=0, outcome="handled"
    )
    key = delivery.pk if "webhook" in view else 1

    answer = admin_client.post(
        reverse(f"admin:portal_{view}", args=[key]), {"sentence": "other", "post": "yes"}
    )

    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("term", "found"),
    [("2", {2}), ("inspector", {1, 3}), ("auth.user 7", {3}), ("nothing", set()), ("9" * 30, set())],
)
def test_it_finds_events_by_position_project_and_subject(auditor, term, found):
    audit.record("a", actor=None, scope="inspector")
    audit.record("b", actor=None)
    audit.record("c", actor=None, scope="inspector", subject=User(pk=7, username="x"))

    answer = auditor.get(reverse(EVENTS), {"q": term})

    assert {event.position for event in answer.context["cl"].result_list} == found


def test_the_list_neither_counts_nor_sorts_the_whole_table(auditor):
    fill(connection, 60)

    with CaptureQueriesContext(connection) as queries:
        auditor.get(reverse(EVENTS))

    on_events = [query["sql"] for query in queries if "portal_auditevent" in query["sql"]]
    assert len(on_events) == 2
    assert all("LIMIT" in sql and "DISTINCT" not in sql for sql in on_events)
