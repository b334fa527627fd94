"""A project's checklist is there to be edited before its first release, and freezes are a matter
of the board.
"""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.urls import reverse

from environments.models import Project
from portal.accounts import roles
from portal.models.audit import AuditEvent
from portal.sandbox import sample
from releases.checklist import items
from releases.models.checklist import ChecklistTemplate, ChecklistTemplateItem
from releases.models.freezes import Freeze
from releases.project_settings import connect as project_settings_connect
from tests.factory import make_people, make_project, make_release
from tests.portal.audit_page.test_pages import signed_in
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


def connect(name: str = "shop", **given):
    return project_settings_connect.connect(
        name=name, repository=f"acme/{name}", railway_project_id=f"rp-{name}", **given
    )


def texts(project) -> list[str]:
    return list(items.template_of(project, "normal").items.values_list("text", flat=True))


def test_a_fresh_project_has_checklists_of_its_own_for_each_kind_of_release():
    project = connect()

    kinds = ChecklistTemplate.objects.filter(project=project).values_list("kind", flat=True)
    assert sorted(kinds) == ["hotfix", "normal"]


def test_what_one_project_changes_in_its_checklist_stays_with_it():
    shop, till = connect("shop"), connect("till")

    items.template_of(shop, "normal").items.all().delete()

    assert texts(shop) == [] and len(texts(till)) > 10
    connect("shop")
    assert texts(shop) == []


def test_a_new_project_begins_with_the_default_as_the_team_made_it():
    items.ensure_defaults()
    default = ChecklistTemplate.objects.get(project=None, kind="normal")
    ChecklistTemplateItem.objects.create(template=default, position=5, text="Support is told")

    assert texts(connect())[0] == "Support is told"


def test_the_samples_pages_are_on_the_samples_checklist_and_on_no_other():
    theirs, ours = connect("shop"), connect("inspector", pages=sample.KEY_PAGES)

    named = [name for name, _ in sample.KEY_PAGES]
    assert not any(name in text for name in named for text in texts(theirs))
    assert [text for text in texts(ours) if text.startswith("Verify page")] == [
        f"Verify page: {name}" for name in named
    ]
    assert "Key pages verified in production" in texts(theirs)


def test_long_names_do_not_collide():
    first, second = make_project("a"), make_project("b")
    Project.objects.filter(pk=first.pk).update(name="x" * 99 + "a")
    Project.objects.filter(pk=second.pk).update(name="x" * 99 + "b")
    ChecklistTemplate.objects.all().delete()

    for project in Project.objects.all():
        items.ensure_for(project)

    assert texts(first) == texts(second) != []


def test_the_board_leads_an_administrator_to_a_projects_checklist_and_nobody_else():
    project, people = make_project(), make_people()
    address = reverse("releases:project-checklist", args=[project.slug])

    dave = signed_in(people["dave"]).get(address)
    pages = {name: squeezed(signed_in(people[name]).get("/")) for name in ("dave", "carol")}

    template = items.template_of(project, "normal")
    assert dave.url == reverse("admin:releases_checklisttemplate_change", args=[template.pk])
    assert address in pages["dave"] and address not in pages["carol"]


def test_a_project_from_before_keeps_its_checklist_and_the_default_loses_the_samples_pages():
    separate = import_module("releases.migrations.0002_checklists_of_projects").separate
    project = make_project()
    ChecklistTemplate.objects.filter(project=project).delete()
    default = ChecklistTemplate.objects.get(project=None, kind="normal")
    default.items.filter(text="Key pages verified in production").delete()
    old = [("Signals list", "/signals"), ("Signal detail", "/signals/1"), ("Settings", "/settings")]
    for name, path in old:
        default.items.create(
            position=100, phase="after", text=f"Key page looked at: {name}", link=path
        )

    separate(apps, None)

    kept = [text for text in texts(project) if text.startswith("Key page")]
    assert kept == [f"Key page looked at: {name}" for name, _ in old]
    left = default.items.filter(text__startswith="Key page").values_list("text", "link")
    assert list(left) == [("Key pages verified in production", "/")]


# Freezes


def test_a_release_manager_freezes_on_the_board_with_a_reason_and_lifts_it_there():
    project, people = make_project(), make_people()
    alice = signed_in(people["alice"])

    offered = squeezed(alice.get("/"))
    alice.post(
        reverse("releases:project-do", args=[project.slug, "freeze"]), {"reason": "Black Friday"}
    )
    frozen = squeezed(alice.get("/"))
    alice.post(reverse("releases:project-do", args=[project.slug, "unfreeze"]))

    assert reverse("releases:project-do", args=[project.slug, "freeze"]) in offered
    assert "Black Friday" in frozen and "alice" in frozen
    assert reverse("releases:project-do", args=[project.slug, "unfreeze"]) in frozen
    assert not Freeze.objects.filter(lifted_at=None).exists()
    events = AuditEvent.objects.filter(action__in=["project.frozen", "project.unfrozen"])
    assert [event.actor_name for event in events] == ["alice", "alice"]


@pytest.mark.parametrize("name", ["bob", "carol"])
def test_nobody_else_is_offered_a_freeze_or_may_start_one(name):
    project, people = make_project(), make_people()
    client = signed_in(people[name])

    html = squeezed(client.get("/"))
    client.post(reverse("releases:project-do", args=[project.slug, "freeze"]), {"reason": "I can"})

    assert "freeze/" not in html
    assert not Freeze.objects.exists()
    assert AuditEvent.objects.filter(action="project.frozen", outcome="refused").count() == 1


def test_a_freeze_is_judged_by_the_release_at_once():
    project, people = make_project(), make_people()
    release = make_release(project, by=people["alice"])
    asleep = release.reconciler.wake_at

    signed_in(people["alice"]).post(
        reverse("releases:project-do", args=[project.slug, "freeze"]), {"reason": "Fair"}
    )

    release.reconciler.refresh_from_db()
    assert release.reconciler.wake_at < asleep


# Run apart


def test_roles_and_default_checklists_are_there_when_only_migrate_ran():
    Group.objects.all().delete()
    ChecklistTemplate.objects.all().delete()

    call_command("migrate", verbosity=0)

    held = Group.objects.get(name="Release managers").permissions.values_list("codename", flat=True)
    assert set(Group.objects.values_list("name", flat=True)) == set(roles.ROLES)
    assert {code.split(".")[1] for code in roles.ROLES["Release managers"].permissions} == set(held)
    assert ChecklistTemplate.objects.filter(project=None).count() == 2


def test_a_release_has_the_item_about_its_environments_whatever_its_checklist_leaves_out():
    project = make_project()
    own = items.template_of(project, "normal")
    own.items.all().delete()
    ChecklistTemplateItem.objects.create(template=own, position=30, text="Notes", gate="")

    release = make_release(project, by=make_people()["alice"])

    assert list(release.items.values_list("text", "gate")) == [
        ("Notes", ""),
        ("Environments are coherent", "environments_coherent"),
    ]
