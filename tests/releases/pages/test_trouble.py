"""The top of a release in trouble, and what the page asks before an act."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from environments.models import Deployment, DeploymentLog
from releases.models.freezes import Freeze
from releases.models.promotion import PromotionStep
from releases.models.pull_requests import PullRequest
from tests.factory import (
    MERGE,
    make_advice,
    make_people,
    make_project,
    make_promotion,
    make_release,
    make_rollback,
    make_run,
)
from tests.reading import squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    return make_people()


def page(people, release, name: str = "alice") -> str:
    client = Client()
    client.force_login(people[name])
    return squeezed(client.get(reverse("releases:release", args=[release.pk])))


def stopped(people, at: str):
    release = make_release(make_project(), by=people["alice"], ready=True)
    make_promotion(release, by=people["alice"], at=at, failed=True)
    return release


def trouble(html: str) -> str:
    return html[html.index('aria-label="What to do"') : html.index('id="moved"')]


def test_each_service_says_what_is_live_and_the_broken_one_comes_first_with_its_log(
    people, settings
):
    settings.RAILWAY_DASHBOARD_URL = "https://railway.test"
    release = stopped(people, "deploy")
    rows = Deployment.objects.filter(
        instance__environment__kind="production", instance__service__name="frontend"
    )
    row = rows.get()
    Deployment.objects.filter(pk=row.pk).update(is_latest=False)
    Deployment.objects.create(
        instance=row.instance,
        railway_id="broken-1",
        status="FAILED",
        commit=MERGE,
        is_latest=True,
        seen_at=row.seen_at,
    )

    top = trouble(page(people, release))

    names = re.findall(r"<strong>\s*(\w+)\s*</strong>", top)
    assert names[0] == "frontend" and "backend" in names
    assert f"still live; deploy of {MERGE[:7]} failed" in top
    assert "id=broken-1" in top and 'href="https://railway.test/project/' in top


def broken_frontend(release) -> Deployment:
    row = Deployment.objects.get(
        instance__environment__kind="production", instance__service__name="frontend"
    )
    Deployment.objects.filter(pk=row.pk).update(is_latest=False)
    return Deployment.objects.create(
        instance=row.instance,
        railway_id="broken-1",
        status="FAILED",
        commit=MERGE,
        is_latest=True,
        seen_at=row.seen_at,
    )


def test_railways_log_of_the_failed_deployment_is_shown_and_escaped(people):
    release = stopped(people, "deploy")
    deployment = broken_frontend(release)
    before = trouble(page(people, release))
    DeploymentLog.objects.create(
        deployment=deployment,
        build="<script>alert(1)</script> exit code 1",
        reads=1,
        read_at=timezone.now(),
    )

    after = trouble(page(people, release))

    assert "Reading it from Railway…" in before
    assert "&lt;script&gt;alert(1)&lt;/script&gt; exit code 1" in after
    assert "Reading it" not in after and "<script>alert" not in after


def test_a_log_that_could_not_be_read_says_why(people):
    release = stopped(people, "deploy")
    DeploymentLog.objects.create(
        deployment=broken_frontend(release), problem="Railway is down.", read_at=timezone.now()
    )

    assert "Railway is down." in trouble(page(people, release))


def test_where_the_pull_request_moved_cancelling_comes_before_retrying(people):
    release = stopped(people, "merge")
    PullRequest.objects.filter(number=release.pull_number).update(head_sha="d" * 40)

    top = trouble(page(people, release))

    assert "the release takes up the new commits" in top
    assert top.index("Cancel promotion") < top.index('id="retry-step"')


def test_a_stopped_rollback_begins_with_what_to_do(people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    make_promotion(release, by=people["alice"], at="deploy", failed=True)
    make_advice(release)
    make_rollback(release, by=people["alice"], at="restore", failed=True)

    html = page(people, release)

    top = trouble(html)
    assert "Read what Railway says, fix it there, then retry." in top
    assert re.findall(r'<button[^>]*id="([\w-]+)"', top)[0] == "retry-rollback"
    assert html.count('id="retry-rollback"') == 1


def test_a_service_that_fell_over_after_the_promotion_is_trouble_too(people):
    release = make_release(
        make_project(), by=people["alice"], status="verifying", merge_commit=MERGE
    )
    broken_frontend(release)

    top = trouble(page(people, release))

    assert "Repair under Environments" in top and "still live" in top


@pytest.mark.parametrize(
    ("at", "first"),
    [("deploy", "deploy-commit"), ("migrate", "retry-step"), ("merge", "retry-step")],
)
def test_the_first_button_is_the_first_right_act(people, at, first):
    html = page(people, stopped(people, at))

    main = html[html.index('<main id="main"') :]
    assert re.findall(r'<button[^>]*id="([\w-]+)"', main)[0] == first


def test_one_click_leads_to_the_run_and_the_pull_request(people):
    release = stopped(people, "migrate")
    run = make_run(release.project, kind="production", status="failed")
    PromotionStep.objects.filter(name="migrate").update(migration_run=run)

    top = trouble(page(people, release))

    assert f'href="{reverse("environments:migration", args=[run.pk])}">Run and log' in top
    assert f"#{release.pull_number} on GitHub" in top or not release.pull_number


def test_nothing_green_stands_above_the_failure(people):
    html = page(people, stopped(people, "deploy"))

    above = html[html.index('<main id="main"') : html.index('aria-label="What to do"')]
    assert 'class="mark pass"' not in above and 'class="pill pass"' not in above


def test_promoting_asks_with_what_will_happen(people):
    release = make_release(make_project(required_approvals=0), by=people["alice"], ready=True)

    html = page(people, release)

    question = html[html.index('id="confirm-promote"') : html.index('id="promote-now"')]
    assert "Merge → Deploy → Migrate → Smoke → Sync staging" in question
    assert "backend" in question and "3c9d56f82e10" in question
    assert "nobody; no approval is required" in question


@pytest.mark.parametrize(
    ("at", "consequence"),
    [
        ("merge", "Nothing has reached production. The release is prepared again."),
        ("deploy", "main keeps the merge, and production stays as it is now"),
    ],
)
def test_canceling_says_what_follows(people, at, consequence):
    assert consequence in page(people, stopped(people, at))


def test_who_may_not_repair_is_offered_nothing(people):
    html = page(people, stopped(people, "deploy"), "carol")

    assert "Do now:" in html and "retry-step" not in html


def test_a_release_that_only_a_freeze_holds_leads_to_the_freeze(people):
    project = make_project()
    release = make_release(project, by=people["alice"], ready=True)
    Freeze.objects.create(project=project, started_by=people["alice"], reason="Black Friday")

    html = page(people, release)
    shown = html[html.index('id="now"') : html.index('id="moved"')]

    assert "Promotions are frozen: Black Friday" in shown
    assert f'href="{reverse("releases:board")}#project-{project.slug}"' in shown
    assert "Show the freeze" in shown
