"""The page *Runbook*: every step with its page, what is missing, and what may be retired."""

import pytest
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from environments.models import (
    BranchProtection,
    ConnectionCheck,
    Finding,
    Project,
    RunbookReading,
    SmokeTest,
)
from environments.runbook import kinds
from environments.runbook.read import CODE, DOCUMENT, SCRIPT, STARTUP, WORKFLOW
from releases.models.releases import Release
from releases.runbook import retiring
from releases.runbook.facts import facts_of
from releases.runbook.retiring import retirements
from releases.runbook.steps import steps
from tests.factory import make_people, make_project, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def project():
    return make_project()


def missing(project) -> dict[str, list[str]]:
    return {step.title: step.missing for step in steps(facts_of(project))}


def left(project, *found) -> None:
    rows = [
        {"kind": kind, "place": place, "path": path, "line": line, "seen": "alembic upgrade"}
        for kind, place, path, line in found
    ]
    RunbookReading.objects.create(
        project=project, commit="a" * 40, rules=1, found=rows, read_at=timezone.now()
    )


def test_every_step_leads_to_a_page_that_is_there(project):
    listed = steps(facts_of(project))

    assert len(listed) == 20 and len({step.title for step in listed}) == 20
    for step in listed:
        assert resolve(step.page.partition("?")[0])


def test_what_is_missing_goes_away_when_it_is_set_up(project):
    before = missing(project)
    SmokeTest.objects.create(project=project, service="backend", path="/health")
    Project.objects.filter(pk=project.pk).update(
        previews=True, required_checks=["python-ci"], required_approvals=1
    )
    make_people()
    now = timezone.now()
    BranchProtection.objects.create(
        project=project, branch="main", settings={"a": "b"}, read_at=now
    )
    project.refresh_from_db()
    after = missing(project)

    for title in (
        "A preview for each pull request",
        "CI is green",
        "A second person agrees",
        "Look at production",
        "Branches are protected",
    ):
        assert before[title] and not after[title], title
    assert after["Staging is healthy"] == []


def test_findings_and_broken_tokens_are_named(project):
    Finding.objects.create(project=project, kind="branch", subject="backend", sentence="x")
    Finding.objects.create(project=project, kind="same", subject="KEY", sentence="x")
    ConnectionCheck.objects.create(found=[{"name": "RAILWAY_API_TOKEN", "state": "fail"}])
    found = missing(project)

    assert found["Environments follow their branches"] == [
        "1 open finding: branches that services follow."
    ]
    assert "1 open finding: variables." in found["Variables differ where they must"]
    assert found["Tokens work"] == ["RAILWAY_API_TOKEN does not work."]


def test_every_kind_and_place_has_advice(project):
    places = (WORKFLOW, STARTUP, SCRIPT, DOCUMENT, CODE)
    left(project, *((kind, place, f"{place}.x", 1) for kind in kinds.KINDS for place in places))

    shown = retirements(facts_of(project))

    assert sum(len(one.places) for one in shown) == len(kinds.KINDS) * len(places)
    assert {one.title for one in shown} == {one.title for one in retiring._ADVICE.values()}
    assert all(one.steps and one.instead for one in shown)


def test_the_old_way_stays_until_the_new_one_has_worked(project):
    left(project, (kinds.SYNC, SCRIPT, "scripts/sync_staging_to_main.sh", 6))
    Project.objects.filter(pk=project.pk).update(watch_only=True)
    project.refresh_from_db()
    [before] = retirements(facts_of(project))
    make_release(project, by=make_people()["alice"])
    Release.objects.update(status="done")
    Project.objects.filter(pk=project.pk).update(watch_only=False)
    project.refresh_from_db()
    [after] = retirements(facts_of(project))

    assert before.first == [
        "The project only watches; let the portal act first.",
        "No release was shipped through the portal yet.",
    ]
    assert after.first == []


def test_the_page_names_file_line_and_address(project, django_assert_max_num_queries):
    left(project, (kinds.MIGRATE, DOCUMENT, "docs/a <b>.md", 12))
    client = Client()
    client.force_login(make_people()["carol"])

    with django_assert_max_num_queries(32):
        page = squeezed(client.get("/runbook/", {"project": project.slug}))

    assert f"/acme/inspector/blob/{'a' * 40}/docs/a%20%3Cb%3E.md#L12" in page
    assert "docs/a &lt;b&gt;.md" in page and "line 12: alembic upgrade" in page
    assert "not yet" in page and "nothing was executed" in page


def test_a_repository_that_was_not_read_yet_is_said_so(project):
    client = Client()
    client.force_login(make_people()["carol"])
    assert "was not read yet" in squeezed(client.get("/runbook/"))
