"""What an event says of a change: every field from and to, of a secret only that it was changed."""

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command

from environments.models import EnvironmentDatabase, SmokeTest
from portal.accounts import roles
from portal.audit import row_changes
from portal.models.audit import AuditEvent
from releases.project_settings import connect
from tests.factory import PASSWORD, make_people, make_project
from tests.faults.denied_configuration import NEW_PASSWORD, address, filled, passwords

pytestmark = pytest.mark.django_db


def newest(action: str) -> AuditEvent:
    return AuditEvent.objects.filter(action=action)[0]


def send(client, row, **changed):
    path = address(row, "change")
    answer = client.post(path, {**filled(client.get(path)), **changed})
    assert answer.status_code == 302, answer.context["adminform"].form.errors


def test_a_form_tells_each_field_from_and_to(admin_client):
    project = make_project()

    send(admin_client, project, soak_minutes="7")

    event = newest("configuration.changed")
    assert event.data["changes"] == {"soak_minutes": {"from": project.soak_minutes, "to": 7}}
    assert (event.actor_name, event.subject_label) == ("admin", "inspector")


def test_an_inline_row_is_told_with_its_row(admin_client):
    project = make_project()
    project.smoke_tests.all().delete()
    probe = SmokeTest.objects.create(project=project, service="backend", path="/health")

    send(admin_client, project, **{"smoke_tests-0-path": "/other"})
    send(admin_client, project, **{"smoke_tests-0-DELETE": "on"})

    name = f"smoke test {probe.pk}: path"
    removed, changed = AuditEvent.objects.filter(action="configuration.changed")[:2]
    assert changed.data["changes"] == {name: {"from": "/health", "to": "/other"}}
    assert removed.data["changes"][name] == {"from": "/other", "to": None}


def test_a_form_that_changes_nothing_makes_no_event(admin_client):
    send(admin_client, make_project())

    assert not AuditEvent.objects.filter(action="configuration.changed").exists()


def test_who_is_given_and_loses_a_role_is_told_from_and_to(admin_client):
    carol = make_people()["carol"]

    send(admin_client, carol, groups=[Group.objects.get(name="Approvers").pk])

    told = newest("configuration.proposed").data["values"]
    assert told["groups"] == {"from": ["Auditors"], "to": ["Approvers"]}


def test_a_secret_is_only_said_to_be_changed(admin_client):
    place = EnvironmentDatabase.objects.filter(environment__project=make_project())[0]

    send(admin_client, place, new_database_url="postgresql://portal:hidden-word@db.internal/x")

    assert newest("configuration.changed").data["changes"] == {"url": row_changes.CHANGED}


def test_what_was_deleted_is_told_whole(admin_client):
    guests = Group.objects.create(name="Guests")

    admin_client.post(address(guests, "delete"), {"post": "yes"})

    assert newest("configuration.deleted").data["changes"]["name"] == {"from": "Guests", "to": None}


def test_ones_own_new_password_is_an_event(client):
    carol = make_people()["carol"]
    client.force_login(carol)

    client.post(
        "/admin/password_change/",
        {"old_password": PASSWORD, **passwords("new_password1", "new_password2")},
    )

    event = newest("person.password_changed")
    carol.refresh_from_db()
    assert carol.check_password(NEW_PASSWORD)
    assert (event.actor_name, event.data["changes"]) == (str(carol), {"password": "changed"})


def test_a_superuser_made_at_the_shell_is_an_event_that_says_so():
    call_command("createsuperuser", username="gina", email="g@acme.example", interactive=False)

    event = newest("configuration.added")
    assert event.data["changes"]["is_superuser"] == {"from": None, "to": True}
    assert event.data["changes"]["email"]["to"] == "g@acme.example"
    assert "`manage.py createsuperuser`, run by" in event.sentence and event.actor_id is None


def test_a_role_brought_back_to_what_is_shipped_is_an_event_from_and_to():
    roles.ensure()
    auditors = Group.objects.get(name="Auditors")
    auditors.permissions.clear()
    known = AuditEvent.objects.count()

    roles.ensure()
    roles.ensure()

    assert AuditEvent.objects.count() == known + 1
    told = newest("configuration.changed").data["changes"]["permissions"]
    assert told["from"] == [] and "portal.view_auditevent" in told["to"]


def test_a_project_set_up_anew_otherwise_is_an_event_and_the_same_is_none():
    given = {"name": "second", "repository": "acme/second", "railway_project_id": "p"}
    connect.connect(**given)
    connect.connect(**given, soak_minutes=9)
    known = AuditEvent.objects.count()

    connect.connect(**given, soak_minutes=9)

    assert AuditEvent.objects.count() == known
    assert newest("configuration.changed").data["changes"]["soak_minutes"]["to"] == 9


def test_a_password_in_an_address_is_not_shown():
    told = row_changes.difference(
        {"git_url": "https://git.example/x"}, {"git_url": "https://me:word@git.example/x"}
    )

    assert told == {
        "git_url": {"from": "https://git.example/x", "to": "https://me:•••@git.example/x"}
    }


def test_libraries_forms_change_nothing(admin_client):
    from django_q.models import Schedule

    answers = [
        admin_client.post(
            "/admin/django_q/schedule/add/", {"func": "os.getcwd", "schedule_type": "O"}
        )
    ]
    answers.append(admin_client.post("/admin/axes/accessattempt/add/", {}))

    assert [answer.status_code for answer in answers] == [
        403,
        403,
    ] and not Schedule.objects.exists()
    assert User.objects.count() == 1
