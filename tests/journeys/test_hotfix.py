"""A hotfix: a pull request straight into main, through the portal, and back into staging."""

import json

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.models import Finding
from portal.models.audit import AuditEvent
from portal.ui.actions import NotPermitted, Refused
from releases import gates
from releases.checklist import actions as checklist_actions
from releases.gates.context import facts_of
from releases.lifecycle import actions as lifecycle_actions
from releases.models.promotion import PromotionStep
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release, ReleaseStatus
from releases.promotion import actions as promotion_actions
from tests.journeys.test_release import cut, head, readiness, reread

pytestmark = pytest.mark.slow
FIX = {"frontend/fix.txt": "fix\n"}


def propose(world, files=FIX, branch: str = "fix/crash") -> int:
    """Somebody opens a pull request with a green check straight into main; gives its number once
    it is known here.
    """
    sha = world.github.push_commit(branch, files, "Stop the crash")
    number = world.github.open_pull(branch, "main", "Stop the crash")
    world.github.set_check(sha, "python-ci")
    world.work(lambda: PullRequest.objects.filter(number=number, head_sha=sha).exists())
    world.work(
        lambda: world.project.environments.filter(kind__in=["staging", "production"]).count() == 2
    )
    return number


def cut_hotfix(world, files=FIX) -> Release:
    number = propose(world, files)
    release = lifecycle_actions.cut_hotfix(world.project, actor=world.person("alice"), pull=number)
    world.work(lambda: reread(release).collected == release.candidate)
    return release


def ready(world, release) -> None:
    for item in release.items.filter(phase="before", gate=""):
        checklist_actions.tick(item, actor=world.person("alice"), note="The page crashes")
    world.work(lambda: readiness(release).ready)


def shipped(world) -> Release:
    release = cut_hotfix(world)
    ready(world, release)
    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == ReleaseStatus.VERIFYING)
    return release


def look_again(release) -> None:
    release.reconciler.__class__.objects.filter(release=release).update(wake_at=timezone.now())


def test_a_hotfix_goes_to_production_and_back_into_staging(world):
    staging = head(world, "staging")
    release = shipped(world)
    for item in release.items.filter(phase="after", gate=""):
        checklist_actions.tick(item, actor=world.person("alice"), note="works")
    [waiting] = [line for line in readiness(release).after if not line.done]

    assert (
        waiting.gate == "back_merged" and "merge it, with a merge commit" in waiting.result.sentence
    )
    assert reread(release).status == ReleaseStatus.VERIFYING
    number = release.back_merge["number"]
    world.github.merge_pull(number)
    world.work(lambda: reread(release).status == ReleaseStatus.DONE)

    [merge] = world.sent("PUT", "/merge")
    assert (
        json.loads(merge)["sha"] == release.candidate
        and json.loads(merge)["merge_method"] == "merge"
    )
    assert head(world, "main") == release.merge_commit and head(world, "staging") != staging
    names = list(PromotionStep.objects.order_by("position").values_list("name", flat=True))
    assert names == ["merge", "deploy", "migrate", "smoke", "back_merge"]
    assert world.sent("PATCH", "/git/refs") == []
    assert AuditEvent.objects.filter(action="hotfix.cut", actor_name="alice").exists()
    assert AuditEvent.objects.filter(action="release.back_merged").count() == 1
    assert not Finding.objects.filter(kind="bypass").exists(), (
        Finding.objects.filter(kind="bypass").get().sentence
    )


def test_its_verdict_is_on_its_head_and_follows_it(world):
    release = cut_hotfix(world)
    ready(world, release)
    first = release.candidate
    moved = world.github.push_commit("fix/crash", {"frontend/fix.txt": "better\n"}, "A better fix")
    world.github.set_check(moved, "python-ci")

    world.work(lambda: reread(release).collected == moved)
    world.work(
        lambda: any(
            moved in one.path for one in world.github_server.requests if one.method == "POST"
        )
    )

    assert release.items.filter(lapsed_at__isnull=False).count() == 1
    assert not readiness(release).ready
    assert moved != first
    with pytest.raises(Refused, match="Not confirmed"):
        promotion_actions.promote(release, actor=world.person("alice"), candidate=moved)


def test_what_is_no_hotfix_is_refused_in_one_sentence(world):
    number = propose(world)
    alice, project = world.person("alice"), world.project
    promotion = world.github.open_pull("staging", "main", "Promotion")
    world.work(lambda: PullRequest.objects.filter(number=promotion).exists())
    row = PullRequest.objects.get(number=number)

    for pull, message in (
        (promotion, "promotes staging"),
        (129, "goes into staging"),
        (999, "does not know pull request"),
        ("x' or 1=1", "does not know pull request"),
    ):
        with pytest.raises(Refused, match=message):
            lifecycle_actions.cut_hotfix(project, actor=alice, pull=pull)
    with pytest.raises(Refused, match="moved from"):
        lifecycle_actions.cut_hotfix(project, actor=alice, pull=number, candidate="0" * 40)
    PullRequest.objects.filter(pk=row.pk).update(fork=True)
    with pytest.raises(Refused, match="fork"):
        lifecycle_actions.cut_hotfix(project, actor=alice, pull=number)
    with pytest.raises(NotPermitted):
        lifecycle_actions.cut_hotfix(project, actor=world.person("carol"), pull=number)
    assert not Release.objects.exists()


def test_a_release_and_a_hotfix_are_prepared_side_by_side_and_the_release_notices_that_main_moved(
    world,
):
    normal = cut(world)
    base = normal.base
    release = shipped(world)

    world.work(
        lambda: reread(normal).base == release.merge_commit and normal.collected == normal.candidate
    )

    assert base != normal.base and normal.status == ReleaseStatus.OPEN
    with pytest.raises(Refused, match=f"Release {normal.name} is in preparation"):
        lifecycle_actions.cut(world.project, actor=world.person("alice"))
    with pytest.raises(IntegrityError), transaction.atomic():
        Release.objects.create(project=world.project, name="x", candidate="1" * 40, base="2" * 40)
    with pytest.raises(IntegrityError), transaction.atomic():
        values = {"kind": "hotfix", "pull_number": 7, "name": "y", "base": "2" * 40}
        Release.objects.create(project=world.project, candidate=normal.candidate, **values)
    assert AuditEvent.objects.filter(
        action="release.candidate_moved", subject_id=str(normal.pk)
    ).exists()


def test_a_file_that_staging_has_not_run_keeps_a_hotfix_from_production_and_the_way_out_is_named(
    world,
):
    old = "backend/alembic/versions"
    names = world.github.git.text("ls-tree", "--name-only", "main", f"{old}/").split()
    last = max(names)
    text = world.github.git.text("show", f"main:{last}")
    revision = next(line.split('"')[1] for line in text.splitlines() if line.startswith("revision"))
    fix = text.replace(f'"{revision}"', '"7fffffffffff"')
    lines = [
        f'down_revision = "{revision}"' if line.startswith("down_revision") else line
        for line in fix.splitlines()
    ]
    body = (
        "\n".join(lines).split("def upgrade")[0]
        + "def upgrade():\n    pass\n\n\ndef downgrade():\n    pass\n"
    )
    release = cut_hotfix(world, FIX | {f"{old}/7fffffffffff_fix.py": body})
    alice = world.person("alice")

    told = gates.GATES["migrations_ready"](facts_of(release.pk))
    run = lifecycle_actions.migrate_staging(
        release, actor=alice
    )  # both databases are where main is: it can be done right here
    world.work(lambda: not reread(run).is_open)
    world.work(lambda: gates.GATES["migrations_ready"](facts_of(release.pk)).passed)

    assert told.state == "pending" and "Press Migrate staging" in told.sentence
    assert world.revisions("staging") == ["7fffffffffff"]

    normal = cut(world)
    assert gates.GATES["migrations_ready"](facts_of(normal.pk)).state == "pending"


def test_a_closed_back_merge_is_said_and_a_new_one_is_found(world):
    release = shipped(world)
    world.github.close_pull(reread(release).back_merge["number"])
    look_again(release)
    world.work(lambda: reread(release).back_merge.get("state") == "closed")
    closed = gates.GATES["back_merged"](facts_of(release.pk))

    second = world.github.open_pull("main", "staging", "Back")
    look_again(release)
    world.work(lambda: reread(release).back_merge.get("number") == second)

    assert closed.state == "fail" and "Open a new back-merge" in closed.sentence
    assert gates.GATES["back_merged"](facts_of(release.pk)).state == "pending"


def test_the_pages_name_the_kind_and_the_button_cuts_it(world, client):
    number = propose(world)
    client.force_login(world.person("alice"))
    board, pulls = client.get("/").text, client.get("/pulls/").text

    answer = client.post(
        f"/projects/{world.project.slug}/cut-hotfix/",
        {"pull": number, "candidate": PullRequest.objects.get(number=number).head_sha},
    )
    release = Release.objects.get()
    page, after = client.get(f"/releases/{release.pk}/").text, client.get("/").text

    assert f'id="cut-hotfix-{number}"' in board and f'id="cut-hotfix-{number}"' in pulls
    assert answer.headers["Location"] == f"/releases/{release.pk}/"
    assert (
        f"Hotfix {release.name}" in page
        and f"#{number} straight into main" in page
        and "Back-merge" in page
    )
    assert release.name in after and f'id="cut-hotfix-{number}"' not in after
    assert release.name in client.get("/pulls/").text and "hotfix" in client.get("/releases/").text
