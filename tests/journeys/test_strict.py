"""What a strict repository does around the merge: verdicts it refuses, branches it deletes,
checks it waits for.
"""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from environments.branches import actions as environment_actions
from environments.github import GitHub
from environments.models import Repair
from portal.jobs import STOPPED
from portal.models.audit import AuditEvent
from portal.outbound.http import ApiError
from releases.freezes import actions as freezes_actions
from releases.models.reconciler import ReleaseReconciler
from releases.promotion import actions as promotion_actions
from releases.promotion import clearance
from tests.journeys.test_release import cut, head, prepare, readiness, reread

pytestmark = pytest.mark.slow


def statuses(world) -> list[tuple[str, str]]:
    rows = [one for one in world.github.state["statuses"] if one["context"] == "release-portal"]
    return [(row["state"], row["description"]) for row in rows]


def test_a_freeze_with_an_emoji_is_told_once_without_it_and_takes_the_green_back(world):
    release, alice = prepare(world), world.person("alice")
    world.work(lambda: statuses(world)[-1][0] == "success")

    freezes_actions.freeze(world.project, actor=alice, reason="Friday 🎉 party")
    world.work(lambda: statuses(world)[-1][0] == "failure")
    count = len(statuses(world))
    moment = timezone.now() + timedelta(minutes=1)
    world.work(lambda: timezone.now() > moment)

    assert statuses(world)[-1][1] == "Promotions are frozen: Friday party"
    assert len(statuses(world)) == count
    assert not readiness(release).ready


def test_a_verdict_that_github_takes_no_more_stops_the_promotion_and_is_not_tried_without_end(
    world,
):
    release = prepare(world)
    world.work(lambda: statuses(world)[-1][0] == "success")
    world.github.most_statuses = 0

    freezes_actions.freeze(world.project, actor=world.person("alice"), reason="Friday")
    world.work(lambda: ReleaseReconciler.objects.get().verdict_problem != "")
    tried = len(world.sent("POST", "/statuses/"))
    moment = timezone.now() + timedelta(minutes=1)
    world.work(lambda: timezone.now() > moment)
    freezes_actions.lift_freeze(world.project, actor=world.person("alice"))

    line = next(one for one in readiness(release).missing if one.gate == "verdict_told")
    assert "maximum number of statuses" in line.result.sentence
    assert len(world.sent("POST", "/statuses/")) - tried < 10


def test_a_merge_refused_while_github_takes_the_status_in_is_asked_for_again(world):
    release = prepare(world)
    world.github.slow_statuses = 2

    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")

    assert len(world.sent("PUT", "/merge")) == 3
    assert head(world, "staging") == head(world, "main") == release.merge_commit


def test_a_merge_that_github_never_reckons_stops_with_that_and_blames_nobody_else(
    world, monkeypatch
):
    release = prepare(world)
    monkeypatch.setattr(clearance, "PATIENCE", timedelta(seconds=3))
    monkeypatch.setattr(world.github, "reckoned", lambda *_, **__: False)

    promotion_actions.promote(release, actor=world.person("alice"))
    promotion = release.promotions.get()
    world.work(lambda: reread(promotion).status in STOPPED)

    assert "GitHub is still computing whether" in promotion.sentence
    assert "Railway" not in promotion.sentence and not world.sent("PUT", "/merge")


def test_automatic_deletion_is_switched_off_by_a_click(world, client):
    cut(world)
    world.github.set_settings(delete_branch_on_merge=True)
    world.work(lambda: _deletes_heads(world) == {True})

    repair = environment_actions.keep_heads(world.project, actor=world.person("alice"))
    world.work(lambda: not reread(repair).is_open)

    assert repair.status == "succeeded", repair.sentence
    assert world.github.state["settings"]["delete_branch_on_merge"] is False
    assert _deletes_heads(world) == {False}, "the portal knows at once what it read"
    assert AuditEvent.objects.filter(action="keep_heads.requested", actor_name="alice").exists()


def _deletes_heads(world) -> set:
    rows = world.project.branches.filter(merge_rules__isnull=False)
    return {row.merge_rules["deletes_heads"] for row in rows}


def test_a_staging_that_was_deleted_at_the_merge_is_made_again_with_what_went_into_it(world):
    release = prepare(world)
    promotion_actions.promote(release, actor=world.person("alice"))
    merge = world.github.merge_pull

    world.github.set_settings(delete_branch_on_merge=True)
    portal = ReleaseReconciler.objects.get(release=release).verdict_by
    merge(reread(release).pull_number, by=portal)
    gone = "staging" not in world.github.heads()
    world.work(lambda: reread(release).status == "verifying")

    opened = {
        one["number"]: one["base"] for one in world.github.state["pulls"] if one["state"] == "open"
    }
    assert gone and head(world, "staging") == head(world, "main")
    assert set(opened.values()) == {"staging"} and opened
    assert AuditEvent.objects.filter(action="release.staging_restored").count() == 1


def test_staging_waits_for_the_checks_that_its_protection_demands(world):
    world.github.protect("staging", checks=("python-ci",))
    release = prepare(world)
    promotion_actions.promote(release, actor=world.person("alice"))
    step = reread(release).promotions.get().steps.get(name="sync_staging")

    world.work(lambda: "required checks" in reread(step).sentence)
    waiting = step.status
    world.github.set_check(world.github.heads()["main"], "python-ci")
    world.work(lambda: reread(release).status == "verifying")

    assert waiting == "active" and head(world, "staging") == head(world, "main")


def test_protecting_never_demands_a_check_that_never_ran_nor_locks_the_portal_out(world):
    type(world.project).objects.update(protected_checks=["never"])
    cut(world)

    asked = [
        environment_actions.protect_branch(world.project, actor=world.person("alice"), branch=one)
        for one in ("main", "staging")
    ]
    world.work(
        lambda: not Repair.objects.filter(status__in=["queued", "running", "waiting"]).exists()
    )

    message = [reread(one).sentence for one in asked]
    assert "never never ran" in message[0] and "python-ci" in message[0]
    assert "could not fast-forward it" in message[1]
    assert world.sent("PUT", "/protection") == []


def test_a_renamed_repository_is_read_and_refused_by_its_new_name(world):
    release = prepare(world)
    world.github.rename("inspector-2")

    world.work(
        lambda: (
            "acme/inspector-2"
            in " ".join(one.result.sentence for one in readiness(release).missing)
        )
    )
    github = GitHub("acme/inspector")

    assert github.branch_head("main") == head(world, "main")
    with pytest.raises(ApiError, match="use its new name"):
        github.comment(131, "hello")
    assert json.dumps(world.github.state["comments"]).count("hello") == 0
