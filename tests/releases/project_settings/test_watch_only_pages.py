"""Watch only, as people see and switch it."""

import pytest
from django.test import Client

from environments.clients import withhold
from environments.models import Project
from portal.outbound.http import WatchOnly
from releases.gates.context import facts_of
from releases.gates.posted_verdict import verdict_told
from tests.portal.accounts.addresses import every, furnish
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
# About one project or about a row of one.
PAGES = {
    "board",
    "release",
    "task-log",
    "environments",
    "previews",
    "protections",
    "variables",
    "pulls",
    "releases",
    "migration",
    "rehearsal",
    "watch-only",
}


@pytest.fixture
def people():
    found = furnish()
    Project.objects.update(watch_only=True)
    return found


def signed_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def saying_so(person) -> set[str]:
    client, found = signed_in(person), set()
    for name, _, address in every():
        if name in PAGES:
            page = squeezed(client.get(address, {"project": "inspector"}))
            found |= {name} if "Watch only: nothing is sent for" in page else set()
    return found


def test_every_page_of_the_project_says_that_nothing_is_sent(people):
    client, silent = signed_in(people["alice"]), []
    for name, _, address in every():
        if name in PAGES and "Watch only: nothing is sent for" not in squeezed(
            client.get(address, {"project": "inspector"})
        ):
            silent.append(name)
    assert silent == []


def test_no_page_says_so_of_a_project_that_acts(people):
    Project.objects.update(watch_only=False)
    client = signed_in(people["alice"])
    said = [
        name
        for name, _, address in every()
        if name in PAGES
        and "nothing is sent for" in squeezed(client.get(address, {"project": "inspector"}))
    ]
    assert said == []


def test_what_was_held_back_is_listed_with_its_content(people):
    project = Project.objects.get()
    with pytest.raises(WatchOnly):
        withhold(project, "GitHub", "merge pull request #7", {"sha": "abc123"})
    page = squeezed(signed_in(people["alice"]).get(f"/projects/{project.slug}/watch-only/would/"))
    assert "GitHub: merge pull request #7" in page and "abc123" in page
    assert "start-sending" not in page


def test_an_administrator_turns_it_on_alone_and_off_with_a_second_person(people):
    project = Project.objects.get()
    client = signed_in(people["erin"])
    client.post(f"/projects/{project.slug}/start-sending/")
    assert Project.objects.get().watch_only, "A promotion was begun, so it takes two."
    assert "waiting for a second person" in squeezed(client.get("/"))
    Project.objects.update(watch_only=False)
    client.post(f"/projects/{project.slug}/watch-only/")
    assert Project.objects.get().watch_only


def test_nobody_else_turns_it_on_or_off(people):
    project = Project.objects.get()
    signed_in(people["alice"]).post(f"/projects/{project.slug}/start-sending/")
    assert Project.objects.get().watch_only


def test_the_verdict_that_is_held_back_holds_nothing_up(people):
    facts = facts_of(Project.objects.get().releases.first().pk)
    assert verdict_told(facts).state == "pass"
