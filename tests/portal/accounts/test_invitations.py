"""One form makes a person with a role, by password or by invitation; the list shows the roles."""

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from portal.models.audit import AuditEvent
from tests.factory import PASSWORD, make_people
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def dave():
    client = Client()
    backend = "django.contrib.auth.backends.ModelBackend"
    client.force_login(make_people()["dave"], backend=backend)
    return client


def make(client, **fields):
    role = Group.objects.get(name="Auditors")
    known = {"username": "erin", "email": "erin@example.com", "groups": [role.pk]}
    return client.post(reverse("admin:auth_user_add"), known | fields, follow=True)


def test_the_list_of_people_shows_their_roles(dave):
    html = squeezed(dave.get(reverse("admin:auth_user_changelist")))

    for role in ("Release managers", "Approvers", "Auditors", "Administrators, superuser"):
        assert role in html


def test_a_person_with_a_password_may_use_the_portal_as_soon_as_the_role_counts(dave):
    words = {"usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}

    make(dave, **words)

    erin = User.objects.get(username="erin")
    assert erin.is_staff and erin.check_password(PASSWORD)
    proposed = AuditEvent.objects.filter(action__startswith="configuration.").last()
    assert erin.groups.exists() or "groups" in proposed.data["values"]


def test_an_invited_person_sets_a_password_once(dave):
    html = squeezed(make(dave, usable_password="false"))
    [path] = re.findall(r"(/invited/[^<\s]+)", html)
    erin, guest = User.objects.get(username="erin"), Client()
    assert not erin.has_usable_password()

    form = guest.get(path, follow=True)
    page = form.redirect_chain[-1][0]
    done = guest.post(page, {"new_password1": PASSWORD, "new_password2": PASSWORD})

    erin.refresh_from_db()
    assert done.status_code == 302 and erin.check_password(PASSWORD)
    assert AuditEvent.objects.filter(action="person.invited_in").count() == 1
    assert "was used already" in squeezed(Client().get(path, follow=True))


def test_without_a_role_nobody_is_made(dave):
    html = squeezed(make(dave, groups=[], usable_password="false"))

    assert "Choose at least one role" in html and not User.objects.filter(username="erin").exists()


def test_the_right_password_of_an_account_that_is_not_staff_is_not_called_wrong():
    make_people()
    User.objects.filter(username="bob").update(is_staff=False)

    known = {"username": "bob", "password": PASSWORD, "next": "/"}
    html = squeezed(Client().post(reverse("admin:login"), known, follow=True))

    assert "wrong" not in html
    assert "not marked as" in html
