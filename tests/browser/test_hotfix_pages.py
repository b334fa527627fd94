"""Hotfixes, findings around the portal and a reset that waits for its second signature, in
Chromium.
"""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.models import Finding, Repair, StagingReset
from releases.models.pull_requests import PullRequest
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release
from tests.browser.looks import unreadable
from tests.factory import BASE, CANDIDATE, MERGE, make_people, make_project, make_release

pytestmark = pytest.mark.django_db(transaction=True)
HEAD, LONG = "8" * 40, "W" * 200
DONE = (
    "3f2a1c9 “Quick change” was pushed straight to staging by jonas, by no pull request.",
    (
        "Pull request #133 “Stop the crash” was merged into main by maria, without the status"
        " release-portal."
    ),
    (
        "On backend in production, c51e0d7 was brought back by a rollback on 2026-11-22 at 10:03"
        " UTC by Mallory Jones, around the portal."
    ),
    (
        f"Variables of backend in production were edited on Railway: {LONG} changed; NEW added. Who"
        " did it is not known."
    ),
)


@pytest.fixture
def scene():
    """Alice and bob; a release and a hotfix side by side, another pull request into main, much
    done around.
    """
    people, project = make_people(), make_project()
    alice = people["alice"]
    normal = make_release(project, by=alice)
    pull = {
        "project": project,
        "base": "main",
        "author": "maria",
        "seen_at": timezone.now(),
        "mergeable": "mergeable",
        "checks": [{"name": "python-ci", "state": "success", "url": ""}],
    }
    PullRequest.objects.create(
        number=140, title="Stop the crash", head="fix/crash", head_sha=HEAD, **pull
    )
    PullRequest.objects.create(number=141, title=LONG, head=LONG, head_sha="7" * 40, **pull)
    hotfix = make_release(
        project,
        by=alice,
        kind="hotfix",
        name="2026.11.22-hotfix-1",
        candidate=HEAD,
        collected=HEAD,
        pull_number=140,
        migrations=[],
        heads=[],
        commit_count=1,
    )
    hotfix.pull_requests.clear()
    shipped = make_release(
        project,
        by=alice,
        kind="hotfix",
        name="2026.11.21-hotfix-1",
        status="verifying",
        candidate="6" * 40,
        collected="6" * 40,
        pull_number=120,
        cut_at=timezone.now() - timedelta(days=1),
        migrations=[],
        heads=[],
        merge_commit=MERGE,
        back_merge={"number": 139, "state": "open", "contained": False},
    )
    told = {
        "verdict_sha": HEAD,
        "verdict_state": "pending",
        "verdict_sentence": "2 checks left before promotion.",
    }
    ReleaseReconciler.objects.filter(release=hotfix).update(**told)
    for number, message in enumerate(DONE):
        Finding.objects.create(
            project=project, kind="bypass", subject=f"event {number}", sentence=message
        )
    resolved = {
        "closed_at": timezone.now(),
        "closed_by": alice,
        "reason": f"Agreed on the phone. {LONG}",
    }
    Finding.objects.create(
        project=project, kind="bypass", subject="old", sentence="Merged by hand.", **resolved
    )
    Repair.objects.create(
        project=project,
        kind="sync_staging",
        status="failed",
        result="diverged",
        before=CANDIDATE,
        wanted=BASE,
        sentence="staging has 1 commit that main lacks. Both contain the same files.",
        requested_by=alice,
        evidence=[{"label": "squash 1234567", "said": "Promotion (#131)", "sha": "1234567"}],
    )
    StagingReset.objects.create(
        project=project,
        staging_head=CANDIDATE,
        main_head=BASE,
        reason=f"Squashed by mistake. {LONG}",
        requested_by=people["carol"],
    )
    paths = [
        "/",
        "/pulls/",
        "/environments/",
        "/releases/",
        *(f"/releases/{one.pk}/" for one in (normal, hotfix, shipped)),
    ]
    return alice, paths


def test_every_page_can_be_read_in_both_schemes_and_on_a_phone(open_as, scene, complaints):
    alice, paths = scene
    page = open_as(alice)

    assert unreadable(page, *paths) == []
    assert complaints == []


def test_a_finding_is_resolved_with_a_reason_from_a_release(open_as, scene):
    alice, paths = scene
    page = open_as(alice, paths[4])

    page.get_by_role("link", name="resolve it with a reason").first.click()
    page.wait_for_url("**/environments/**")
    row = page.locator(page.url[page.url.index("#") :])
    row.locator("summary").click()
    row.get_by_label("Reason for resolving").fill("Agreed")
    row.get_by_role("button", name="Resolve").click()
    page.get_by_text("Resolved by people").click()

    assert page.get_by_text("“Agreed”").is_visible()
    assert Finding.objects.filter(kind="bypass", closed_by=alice).count() == 2


def test_a_hotfix_is_cut_by_keyboard(open_as, scene):
    alice, _ = scene
    Release.objects.filter(kind="hotfix", status="open").update(status="abandoned")
    page = open_as(alice, "/")

    page.locator("#cut-hotfix-140").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/releases/*/")

    assert Release.objects.get(kind="hotfix", status="open").pull_number == 140
