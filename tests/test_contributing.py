"""CONTRIBUTING.md is true: what it says to write is enough for a new thing to be everywhere
people look.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from environments.finding_kinds.registry import KINDS as FINDINGS
from environments.findings.problem import Problem
from environments.findings.writer import update_findings
from environments.models import Finding, ServiceInstance
from portal import audit
from portal.accounts import roles
from releases.checklist.admin import TemplateItemForm
from releases.conditions.registry import CONDITIONS
from releases.gates import GATES, lines
from releases.models.checklist import ChecklistItem, Phase
from releases.models.notifications import Channel, Notice, NotificationFeed
from releases.notifications import feed
from releases.notifications.kinds.registry import KINDS as NOTIFICATIONS
from tests.factory import make_people, make_project, make_release
from tests.releases.gates.facts import good_facts

pytestmark = pytest.mark.django_db
TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
FILES = {
    match[1]: match[0]
    for match in re.finditer(r'(?<=```python\n)"""([\w/.]+):.*?(?=```)', TEXT, re.S)
}
FRIDAY, MONDAY = datetime(2026, 11, 27, 12, tzinfo=UTC), datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def add(monkeypatch):
    """Return a function that runs one of the page's files, as its line in the register would."""

    def run(path: str, register) -> None:
        monkeypatch.setattr(register, "declared", dict(register))
        exec(compile(FILES[path], path, "exec"), {"__name__": path})  # noqa: S102 - our own page

    return run


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def choices(field: str) -> dict[str, str]:
    return dict(TemplateItemForm().fields[field].choices)


def test_a_gate_is_asked_on_the_page_and_can_be_named_by_a_checklist(add):
    add("releases/gates/fridays.py", GATES)
    people = make_people()
    release = make_release(make_project(), by=people["alice"])
    ChecklistItem.objects.create(
        release=release, text="It is not Friday", gate="not_on_friday", position=1
    )

    html = (
        signed_in(people["alice"])
        .get(reverse("releases:release", args=[release.pk]))
        .content.decode()
    )

    assert choices("gate")["not_on_friday"] == "No release on a Friday"
    assert "It is not Friday" in html
    assert ("Today is Friday" in html) or ("Today is not Friday" in html)


@pytest.mark.parametrize(("now", "asked"), [(FRIDAY, True), (MONDAY, False)])
def test_a_gate_is_asked_also_where_no_checklist_names_it(add, now, asked):
    add("releases/gates/fridays.py", GATES)

    message = [
        line.text
        for line in lines(good_facts(now=now), Phase.BEFORE)
        if line.gate == "not_on_friday"
    ]

    assert message == (["No release on a Friday"] if asked else [])


def test_a_kind_of_finding_is_shown_with_its_repair_and_holds_a_release_up(add):
    add("environments/finding_kinds/regions.py", FINDINGS)
    people, project = make_people(), make_project()
    release = make_release(project, by=people["alice"])
    instance = ServiceInstance.objects.filter(environment__kind="production").first()
    problem = Problem("region", str(instance), f"{instance} runs in Asia.")
    with transaction.atomic():
        update_findings(project, [problem], now=timezone.now())

    client = signed_in(people["alice"])
    html = client.get(reverse("environments:environments")).content.decode()

    assert "runs in another region" in html and "Move home" in html
    assert (
        f"{instance} runs in Asia."
        in client.get(reverse("releases:release", args=[release.pk])).content.decode()
    )
    assert ("region", "runs in another region") in Finding._meta.get_field("kind").flatchoices
    with transaction.atomic():
        update_findings(project, [], now=timezone.now())
    assert Finding.objects.get(kind="region").closed_at


def test_a_kind_of_finding_that_nobody_may_sign_for_refuses_it():
    with pytest.raises(ValueError, match="cannot be signed off"):
        Problem("push", "backend in staging", "A push does not deploy it.", attestable=True)


def test_a_condition_can_be_chosen_and_takes_items_off_the_list(add):
    add("releases/conditions/hotfixes.py", CONDITIONS)
    people = make_people()
    release = make_release(make_project(), by=people["alice"])
    ChecklistItem.objects.create(
        release=release, text="Told the support", condition="hotfix", position=1
    )
    page = reverse("releases:release", args=[release.pk])
    client = signed_in(people["alice"])

    assert choices("condition")["hotfix"] == "only for a hotfix"
    assert "Told the support" not in client.get(page).content.decode()
    type(release).objects.update(kind="hotfix")
    assert "Told the support" in client.get(page).content.decode()


def test_a_role_can_be_given_and_allows_what_it_names(add):
    make_people()
    add("portal/accounts/roles/night_shift.py", roles.ROLES)
    roles.ensure()
    people = make_people()
    people["carol"].groups.set([Group.objects.get(name="Night shift")])

    html = signed_in(people["dave"]).get(reverse("admin:auth_group_changelist")).content.decode()

    carol = type(people["carol"]).objects.get(username="carol")
    assert "Night shift" in html
    assert carol.has_perm("releases.freeze_project") and not carol.has_perm(
        "releases.promote_release"
    )


def test_a_notification_can_be_chosen_and_is_told(add):
    add("releases/notifications/kinds/passwords.py", NOTIFICATIONS)
    people = make_people()
    Channel.objects.create(
        name="ops", transport="email", address="a@b.c", place="a@b.c", kinds=["passwords"]
    )
    feed.begin()
    with transaction.atomic():
        audit.record("person.password_changed", actor=None, sentence="Bob has a new password.")
    feed.step(NotificationFeed.objects.get(), now=timezone.now())

    html = signed_in(people["alice"]).get(reverse("releases:notifications")).content.decode()

    assert "Changed passwords" in html
    assert Notice.objects.get().payload["text"] == "Bob has a new password."
