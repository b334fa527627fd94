"""Accounts and roles: each change is an event, and nobody lifts themselves above what they are."""

import pytest
from django.contrib.auth.models import Group, User

from portal.configuration.actions import confirm_change
from portal.models.audit import AuditEvent
from portal.models.configuration import ConfigurationChange
from tests.factory import PASSWORD, make_people

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


@pytest.fixture
def administrator(people, client):
    people["erin"] = User.objects.create_user("erin", password=PASSWORD, is_staff=True)
    people["erin"].groups.set(Group.objects.filter(name="Administrators"))
    client.force_login(people["erin"])
    return client


def form_of(person: User, **changes) -> dict:
    return {
        "username": person.username,
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        "is_active": "on",
        "is_staff": "on",
        **changes,
    }


def test_signing_in_and_out_are_events(people, client):
    client.post("/admin/login/", {"username": "alice", "password": PASSWORD})
    client.post("/admin/logout/")

    message = AuditEvent.objects.filter(action__startswith="person.").order_by("position")
    assert [(one.action, one.actor_name) for one in message] == [
        ("person.signed_in", "alice"),
        ("person.signed_out", "alice"),
    ]


def test_giving_a_role_is_an_event_that_names_the_roles(people, administrator):
    approvers = Group.objects.get(name="Approvers")

    administrator.post(
        f"/admin/auth/user/{people['carol'].pk}/change/",
        form_of(people["carol"], groups=approvers.pk),
    )

    confirm_change(ConfigurationChange.objects.get(), actor=people["bob"])

    event = AuditEvent.objects.get(action="configuration.confirmed")
    assert (event.actor_name, event.data["proposed_by"]) == ("bob", people["erin"].pk)
    assert event.data["values"]["groups"] == {"from": ["Auditors"], "to": ["Approvers"]}


def test_a_new_password_is_an_event_that_does_not_hold_it(people, administrator):
    new = "correct horse battery 9"

    administrator.post(
        f"/admin/auth/user/{people['carol'].pk}/password/",
        {"usable_password": "true", "password1": new, "password2": new},
    )

    assert new not in str(
        AuditEvent.objects.get(action="configuration.changed", subject_label="carol").data
    )
    people["carol"].refresh_from_db()
    assert people["carol"].check_password(new)


def test_an_administrator_makes_no_superuser(people, administrator):
    address = f"/admin/auth/user/{people['erin'].pk}/change/"

    administrator.post(address, form_of(people["erin"], is_superuser="on", user_permissions=["1"]))

    people["erin"].refresh_from_db()
    assert not people["erin"].is_superuser and not people["erin"].user_permissions.exists()


def test_an_administrator_does_not_take_over_a_superuser(people, administrator):
    root = User.objects.create_superuser("root", password=PASSWORD)

    answers = [
        administrator.post(f"/admin/auth/user/{root.pk}/change/", form_of(root, username="mine")),
        administrator.post(
            f"/admin/auth/user/{root.pk}/password/", {"password1": "x", "password2": "x"}
        ),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
