"""The page *Project settings*: sections with their own words, free settings saved at once,
guarded ones proposed to a second person.
"""

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from environments.models import Project
from portal.models.audit import AuditEvent
from portal.models.configuration import ConfigurationChange
from releases.project_settings.sections import SECTIONS
from tests.factory import PASSWORD, make_people, make_project, make_promotion, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    """A project in production, with a second person who may confirm changes of it."""
    people = make_people()
    erin = User.objects.create_user("erin", password=PASSWORD, is_staff=True)
    erin.groups.set(Group.objects.filter(name="Administrators"))
    project = make_project()
    make_promotion(make_release(project, by=people["alice"]), at="")
    project.releases.update(status="done")
    return project


def as_(client, name):
    client.force_login(User.objects.get(username=name))
    return client


def fields_of(client, project, key):
    """What the browser would send from a section without a change of the person."""
    page = client.get(f"{reverse('releases:settings')}?project={project.slug}")
    form = next(form for section, form in page.context["sections"] if section.key == key)
    found = {name: form[name].value() for name in form.fields}
    found = {name: "" if value is None else value for name, value in found.items()}
    lists = {name: "\n".join(v) for name, v in found.items() if isinstance(v, list)}
    return {k: v for k, v in {**found, **lists}.items() if v is not False}


def sent(client, project, key, **changed):
    address = reverse("releases:settings-save", args=[project.slug, key])
    return client.post(address, {**fields_of(client, project, key), **changed}, follow=True)


def test_each_section_is_shown_with_its_words_and_the_board_leads_there(client, project):
    page = squeezed(as_(client, "dave").get(reverse("releases:settings")))
    board = squeezed(client.get("/"))

    for section in SECTIONS.values():
        assert f'id="{section.key}"' in page and f'id="save-{section.key}"' in page
    assert "Soak time (minutes)" in page and "Smoke tests" in page and "erin" in page
    assert f"{reverse('releases:settings')}?project={project.slug}" in board


def test_the_sections_are_the_concerns_of_a_project_with_every_setting_once():
    fields = [name for section in SECTIONS.values() for name in section.form.base_fields]

    assert [section.concern for section in SECTIONS.values()] == list(Project.__bases__)
    settings = {field.name for field in Project._meta.fields if field.editable} - {"id", "slug"}
    assert sorted(fields) == sorted(settings)


@pytest.mark.parametrize("key", list(SECTIONS))
def test_saving_a_section_without_a_change_changes_nothing(client, project, key):
    before = type(project).objects.values().get()

    page = sent(as_(client, "dave"), project, key)

    assert "The settings are saved." in squeezed(page)
    assert type(project).objects.values().get() == before
    assert not ConfigurationChange.objects.exists()


def test_a_free_setting_is_saved_at_once_with_its_event(client, project):
    sent(as_(client, "dave"), project, "previews", preview_days=3)

    project.refresh_from_db()
    assert project.preview_days == 3
    event = AuditEvent.objects.get(action="configuration.changed")
    assert event.data["changes"]["preview_days"]["to"] == 3 and event.actor_name == "dave"


def test_a_guarded_setting_waits_for_a_second_person(client, project):
    page = sent(as_(client, "dave"), project, "rules", soak_minutes=1, required_checks="ci\nlint")

    before = project.soak_minutes
    project.refresh_from_db()
    assert project.soak_minutes == before and "A second person must confirm it" in squeezed(page)
    change = ConfigurationChange.objects.get(state="waiting")
    assert change.values["required_checks"]["to"] == ["ci", "lint"]
    assert change.values["soak_minutes"]["to"] == 1 and "need a second person" in squeezed(
        client.get(reverse("releases:settings"))
    ).replace("needs", "need")


def test_a_wrong_value_is_named_beside_its_field_and_nothing_is_saved(client, project):
    page = sent(as_(client, "dave"), project, "general", name="", repository="no repository")

    assert page.status_code == 200 and "Write the repository as owner/name." in squeezed(page)
    assert type(project).objects.get().name == project.name


def test_whoever_may_not_change_projects_reads_them_only(client, project):
    page = squeezed(as_(client, "carol").get(reverse("releases:settings")))
    sent(client, project, "previews", preview_days=3)

    assert "Soak time" in page and 'id="save-rules"' not in page
    project.refresh_from_db()
    assert project.preview_days != 3
    assert AuditEvent.objects.filter(outcome="refused", actor_name="carol").exists()


def test_the_admin_shares_the_sidebar_and_says_what_it_is(client, project):
    index = squeezed(as_(client, "dave").get(reverse("admin:index")))

    assert "Every table behind the pages" in index and 'class="side"' in index
    assert reverse("releases:settings") in index
