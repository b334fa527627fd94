import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from portal import audit
from portal.models.audit import AuditEvent
from portal.models.webhooks import WebhookDelivery
from portal.ui.model_admin import ReadOnly

pytestmark = pytest.mark.django_db

EVENTS, DELIVERIES = "/admin/portal/auditevent/", "/admin/portal/webhookdelivery/"


@pytest.fixture
def rows():
    with transaction.atomic():
        for number in range(60):
            message = f"<b>sentence {number}</b>"
            audit.record("x.done", actor=None, sentence=message, data={"a": "<script>"})
    WebhookDelivery.objects.create(
        source="github",
        delivery="g-1",
        event="push",
        size=2,
        outcome="handled",
        received_at=timezone.now(),
        body="<script>alert(1)</script>",
    )


@pytest.mark.parametrize("path", [EVENTS, DELIVERIES])
def test_nothing_can_be_added_changed_or_deleted_even_by_a_superuser(admin_client, rows, path):
    pk = 1 if path == EVENTS else WebhookDelivery.objects.get().pk

    answers = [
        admin_client.post(f"{path}add/", {}),
        admin_client.post(f"{path}{pk}/change/", {"sentence": "other"}),
        admin_client.post(f"{path}{pk}/delete/", {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert (AuditEvent.objects.count(), WebhookDelivery.objects.count()) == (
        61,
        1,
    )  # with the sign-in


def test_an_event_is_shown_whole_and_as_text(admin_client, rows):
    event = AuditEvent.objects.get(sentence="<b>sentence 59</b>")

    page = admin_client.get(f"{EVENTS}{event.position}/change/").text

    assert "&lt;b&gt;sentence 59&lt;/b&gt;" in page and "<b>sentence" not in page
    assert bytes(event.digest).hex() in page
    assert "&quot;&lt;script&gt;&quot;" in page


def test_a_body_is_shown_as_text(admin_client, rows):
    pk = WebhookDelivery.objects.get().pk

    assert "<script>alert" not in admin_client.get(f"{DELIVERIES}{pk}/change/").text


def test_the_list_of_events_counts_no_further_than_it_must_and_sorts_by_the_key(admin_client, rows):
    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(EVENTS)

    of_events = [query["sql"] for query in queries if '"portal_auditevent"' in query["sql"]]
    assert page.status_code == 200
    assert len(of_events) == 2
    assert all("LIMIT" in sql for sql in of_events)
    assert 'ORDER BY "portal_auditevent"."position" DESC' in of_events[1]
    assert not any("DISTINCT" in sql for sql in of_events)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?q=7", 1),
        ("?q=seven", 0),
        ("?q=" + "9" * 30, 0),
        ("?q=٣", 0),
        ("?position__lte=9", 9),
        ("", 50),
    ],
)
def test_an_event_is_found_by_its_position(admin_client, rows, query, count):
    page = admin_client.get(EVENTS + query)

    assert len(page.context["cl"].result_list) == count


def test_no_form_of_the_admin_asks_for_json(rf):
    request = rf.get("/")
    request.user = User.objects.create(username="root", is_staff=True, is_superuser=True)
    asks = [
        f"{model.__name__}.{name}"
        for model, one in admin.site._registry.items()
        if not isinstance(one, ReadOnly)
        for form in (
            one.get_form(request),
            *(inline.get_formset(request).form for inline in one.get_inline_instances(request)),
        )
        for name, field in form.base_fields.items()
        if isinstance(field, forms.JSONField)
    ]

    assert asks == []


def test_json_of_what_the_portal_keeps_is_shown_line_by_line_and_read_only(admin_client):
    audit.record("x.done", actor=None, sentence="s", data={"b": [1], "a": "<script>"})
    event = AuditEvent.objects.get(action="x.done")

    shown = admin_client.get(f"{EVENTS}{event.pk}/change/").content.decode()

    told = '<pre tabindex="0">{\n  &quot;a&quot;: &quot;&lt;script&gt;&quot;,\n  &quot;b&quot;: ['
    assert told in shown
    assert 'name="data"' not in shown
