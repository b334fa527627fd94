"""The audit page, the sign-in page, the errors, and what machines ask."""

import re

import pytest
from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from environments.models import Project
from portal import audit
from portal.models.audit import AuditEvent
from portal.templatetags import formatting
from releases.models.checklist import ChecklistTemplate
from releases.models.freezes import Freeze
from releases.models.releases import Release
from tests.factory import PASSWORD, make_people, make_project, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


def signed_in(user, **options):
    client = Client(**options)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def record(count=1, **values):
    with transaction.atomic():
        for n in range(count):
            audit.record(
                **({"action": "thing.happened", "actor": None, "sentence": f"Event {n}."} | values)
            )


def test_the_trail_is_narrowed_by_a_plain_form(people):
    record(actor=people["bob"], sentence="Bob's own.", outcome="refused", scope="inspector")
    record(sentence="The portal's.", scope="billing")
    carol = signed_in(people["carol"])

    for asked in ("actor=bob", "outcome=refused", "scope=inspector"):
        html = squeezed(carol.get(f"/audit/?{asked}"))

        assert "Bob&#x27;s own." in html and "The portal&#x27;s." not in html, asked


def test_the_trail_of_one_subject_is_shown(people):
    release = make_release(make_project(), by=people["alice"])
    record(sentence="Elsewhere.")

    html = squeezed(
        signed_in(people["carol"]).get(f"/audit/?subject=releases.release:{release.pk}")
    )

    assert "created at 3f2a1c9" in html and "Elsewhere." not in html


def test_older_events_are_one_link_away_and_keep_the_filter(people):
    record(60, scope="inspector")
    carol = signed_in(people["carol"])

    first = squeezed(carol.get("/audit/?scope=inspector"))
    link = re.search(r'href="(\?scope=inspector&amp;before=\d+)"', first)[1].replace("&amp;", "&")
    older = squeezed(carol.get(f"/audit/{link}"))

    assert "Event 59." in first and "Event 9." not in first
    assert "Event 9." in older and "Event 59." not in older and "Older" not in older


def test_the_trail_takes_at_most_six_queries(people):
    record(120)

    carol = signed_in(people["carol"])
    with CaptureQueriesContext(connection) as seen:
        assert carol.get("/audit/?actor=portal&outcome=done").status_code == 200

    assert len(seen) <= 6


@pytest.mark.parametrize(
    "query",
    [
        "before=x",
        "before=-1",
        "before=9999999999999999999999",
        "scope=%00",
        "subject=:",
        "outcome=odd",
    ],
)
def test_an_odd_question_gets_a_page(people, query):
    assert signed_in(people["carol"]).get(f"/audit/?{query}").status_code == 200


def test_the_trail_is_only_for_those_who_may_read_it(people):
    people["carol"].groups.clear()

    response = signed_in(people["carol"]).get("/audit/")

    assert response.status_code == 403 and "Ask dave" in squeezed(response)


def test_what_an_event_holds_is_escaped(people):
    record(data={"title": "<script>alert(1)</script>"}, sentence="<b>bold</b>")

    html = squeezed(signed_in(people["carol"]).get("/audit/"))

    assert "<script>alert" not in html and "<b>bold" not in html and "&lt;script&gt;" in html


@override_settings(SANDBOX=True)
def test_the_sandbox_names_its_people_on_the_sign_in_page(client):
    html = squeezed(client.get("/admin/login/"))

    assert all(name in html for name in ("alice", "bob", "carol", "dave", "make run"))


@override_settings(SANDBOX=False)
def test_elsewhere_the_sign_in_page_names_nobody(client):
    assert "alice" not in squeezed(client.get("/admin/login/"))


def test_a_wrong_password_gets_a_sentence(client, people):
    html = squeezed(client.post("/admin/login/", {"username": "alice", "password": "no"}))

    assert 'role="alert"' in html and "The user name or password is wrong." in html


def test_signing_in_leads_to_what_was_asked_for(client, people):
    response = client.post(
        "/admin/login/?next=/releases/",
        {"username": "alice", "password": PASSWORD, "next": "/releases/"},
    )

    assert response["Location"] == "/releases/"


def test_machines_are_told_without_signing_in_that_all_is_well(client):
    response = client.get("/healthz")

    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.django_db(transaction=True)
def test_without_its_database_it_says_so_with_503(client):
    connection.close()
    port, connection.settings_dict["PORT"] = connection.settings_dict["PORT"], "1"
    try:
        response = client.get("/healthz")
    finally:
        connection.close()
        connection.settings_dict["PORT"] = port

    assert response.status_code == 503 and b"does not answer" in response.content


def test_a_form_without_its_token_changes_nothing_and_gets_a_sentence(people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    alice = signed_in(people["alice"], enforce_csrf_checks=True)

    response = alice.post(reverse("releases:release-do", args=[release.pk, "promote"]))

    assert response.status_code == 403 and "nothing was changed" in squeezed(response)
    assert Release.objects.get(pk=release.pk).status == "open"


def test_every_page_comes_with_the_strict_policy(people):
    policy = signed_in(people["alice"]).get("/")["Content-Security-Policy"]

    assert (
        "unsafe" not in policy and "default-src 'none'" in policy and "script-src 'self'" in policy
    )


def test_a_change_of_configuration_is_in_the_trail(people):
    project = make_project()
    dave = signed_in(people["dave"])
    template = ChecklistTemplate.objects.get(kind="normal", project=project)
    address = reverse("admin:releases_checklisttemplate_change", args=[template.pk])
    page = dave.get(address)
    form = {
        key: value
        for key, value in page.context["adminform"].form.initial.items()
        if value is not None
    }
    formset = page.context["inline_admin_formsets"][0].formset
    form |= {f"{formset.prefix}-TOTAL_FORMS": 0, f"{formset.prefix}-INITIAL_FORMS": 0}

    dave.post(address, form | {"name": "Our runbook", "project": project.pk})

    event = AuditEvent.objects.get(action="configuration.changed")
    assert event.actor_name == "dave" and "Our runbook" in event.sentence


def test_connecting_a_project_starts_reading_it(people):
    dave = signed_in(people["dave"])
    address = reverse("admin:environments_project_add")
    page = dave.get(address)
    shown = {field.name: field.value() for field in page.context["adminform"].form}
    form = {
        name: value for name, value in shown.items() if value is not None and value is not False
    }
    for inline in page.context["inline_admin_formsets"]:
        form |= {
            f"{inline.formset.prefix}-{count}": 0 for count in ("TOTAL_FORMS", "INITIAL_FORMS")
        }
    named = {
        "name": "inspector",
        "slug": "inspector",
        "repository": "acme/inspector",
        "railway_project_id": "p",
    }

    dave.post(address, form | named)

    project = Project.objects.get()
    assert project.github_sync and project.railway_sync
    assert AuditEvent.objects.filter(action="configuration.added", scope="inspector").exists()


def test_promotions_are_frozen_from_the_admin_through_the_action(people):
    project = make_project()
    dave = signed_in(people["dave"])
    address = reverse("admin:releases_freeze_add")

    dave.post(address, {"project": project.pk, "reason": "holiday"})
    twice = dave.post(address, {"project": project.pk, "reason": "again"}, follow=True)

    assert Freeze.objects.get().started_by == people["dave"]
    assert AuditEvent.objects.filter(action="project.frozen", outcome="done").exists()
    assert "Promotions are frozen already." in squeezed(twice)


def test_what_the_portal_writes_is_read_only_in_the_admin(people):
    release = make_release(make_project(), by=people["alice"])
    dave = signed_in(people["dave"])

    assert dave.get("/admin/releases/release/add/").status_code == 403
    assert dave.get(f"/admin/releases/release/{release.pk}/delete/").status_code == 403
    assert 'name="status"' not in squeezed(
        dave.get(f"/admin/releases/release/{release.pk}/change/")
    )


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "//evil.example",
        "data:text/html,x",
        "http://user@host/",
        None,
        "http://[",
        "ftp://x",
    ],
)
def test_only_web_addresses_are_linked(address):
    assert formatting.href(address) == ""


def test_ages_are_said_as_people_say_them():
    message = [formatting.age_words(seconds) for seconds in (0.2, 8, 70, 7300, 90000, 200000)]

    assert message == ["just now", "8 s ago", "1 min ago", "2 h ago", "1 day ago", "2 days ago"]
