"""What the gates say of a hotfix that they do not say of a release."""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.models import EnvironmentDatabase, StagedRevision
from releases import gates
from releases.checklist.items import SHIPPED
from releases.gates.context import facts_of
from releases.models.checklist import ChecklistTemplate
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release
from tests.factory import MERGE, REVISIONS, make_people, make_project, make_release, make_run

pytestmark = pytest.mark.django_db
HEAD = "8" * 40


@pytest.fixture
def hotfix():
    """A hotfix with a migration, whose pull request is open and green."""
    project = make_project(soak_minutes=0)
    release = make_release(
        project, by=make_people()["alice"], kind="hotfix", candidate=HEAD, collected=HEAD
    )
    PullRequest.objects.filter(number=131).update(head="fix/crash", head_sha=HEAD)
    return release


def said(release: Release, gate: str) -> gates.Result:
    return gates.GATES[gate](facts_of(release.pk))


def at(release: Release, kind: str, *revisions: str) -> None:
    EnvironmentDatabase.objects.filter(
        environment__project=release.project, environment__kind=kind
    ).update(revisions=list(revisions), revisions_at=timezone.now())


def test_every_gate_that_its_checklist_names_exists(hotfix):
    assert {one[1] for one in SHIPPED["hotfix"]} - {""} <= set(gates.GATES)
    assert (
        hotfix.items.filter(gate="back_merged").exists()
        and not hotfix.items.filter(gate="staging_healthy").exists()
    )
    assert len(SHIPPED["hotfix"]) < len(SHIPPED["normal"])
    assert ChecklistTemplate.objects.filter(project=None).count() == 2


def test_its_files_must_have_run_in_staging_although_staging_is_ahead(hotfix):
    before = said(hotfix, "migrations_ready")
    run = make_run(hotfix.project)
    at(hotfix, "staging", "somewhere-further")

    after = said(hotfix, "migrations_ready")

    assert (
        before.state == "pending"
        and "Bring the same files to staging by a pull request" in before.sentence
    )
    assert after.passed and "run in staging" in after.sentence
    StagedRevision.objects.filter(run=run, revision=REVISIONS[0]["id"]).update(sha256="0" * 64)
    assert said(hotfix, "migrations_ready").state == "fail"


def test_it_may_be_run_in_staging_right_away_only_where_both_databases_stand_alike(hotfix):
    at(hotfix, "production", "2a8f45e9b1c0")
    at(hotfix, "staging", "2a8f45e9b1c0")

    assert "Press Migrate staging" in said(hotfix, "migrations_ready").sentence


def test_what_failed_in_staging_is_said_with_the_way_out(hotfix):
    make_run(
        hotfix.project,
        commit=HEAD,
        status="failed",
        sentence="It does not know 6f8b.",
        created_at=timezone.now(),
    )

    result = said(hotfix, "migrations_ready")

    assert (
        result.state == "fail"
        and "It does not know 6f8b." in result.sentence
        and "pull request" in result.sentence
    )


def test_staging_soaks_for_a_hotfix_too(hotfix):
    type(hotfix.project).objects.update(soak_minutes=90)
    make_run(hotfix.project)

    assert said(hotfix, "migrations_ready").state == "pending"
    StagedRevision.objects.update(at=timezone.now() - timedelta(hours=2))
    assert said(hotfix, "migrations_ready").passed


def test_a_pull_request_that_was_turned_to_another_branch_is_no_hotfix_any_more(hotfix):
    PullRequest.objects.filter(number=131).update(base="develop")

    result = said(hotfix, "promotion_open")

    assert result.state == "fail" and "goes into develop, not into main" in result.sentence


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ({}, "pending"),
        ({"number": 140, "state": "open"}, "pending"),
        ({"number": 140, "state": "closed"}, "fail"),
        ({"number": 140, "contained": True}, "pass"),
        ({"contained": False}, "pending"),
    ],
)
def test_the_back_merge_is_done_when_staging_holds_the_hotfix(hotfix, known, state):
    before = said(hotfix, "back_merged")
    Release.objects.filter(pk=hotfix.pk).update(back_merge=known, merge_commit=MERGE)

    assert before.state == "pending"
    assert said(hotfix, "back_merged").state == state


def test_branches_that_became_equal_need_no_back_merge(hotfix):
    Release.objects.filter(pk=hotfix.pk).update(merge_commit=MERGE)
    hotfix.project.branches.update(head=MERGE)

    assert said(hotfix, "back_merged").passed
