"""Staging reset to main: only with the same files, only for two people, only from the heads that
they signed.
"""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.branches import actions
from environments.models import (
    Branch,
    DeploymentRequest,
    Finding,
    Repair,
    ServiceInstance,
    StagingReset,
)
from portal.models.audit import AuditEvent
from portal.ui.actions import NotPermitted, Refused
from releases.models.pull_requests import GitHubSync
from tests.journeys.test_repairs import ended, sync_staging

pytestmark = pytest.mark.slow


def squashed(world) -> dict[str, str]:
    """main got staging's files by a squash: each has commits that the other lacks, and both the
    same files.
    """
    world.work(lambda: ServiceInstance.objects.exclude(judged="").count() == 4)
    world.github.merge_pull(world.github.open_pull("staging", "main", "Promotion"), "squash")
    return known(world)


def known(world) -> dict[str, str]:
    """The heads, once the portal has read them."""
    heads = world.github.heads()
    both = {"staging": heads["staging"], "main": heads["main"]}
    GitHubSync.objects.update(wake_at=timezone.now())
    world.work(lambda: dict(Branch.objects.values_list("name", "head")) == both)
    return both


def asked(world, heads) -> StagingReset:
    assert sync_staging()[0] == 4
    return actions.request_reset(
        world.project, actor=world.person("alice"), reason="Squashed by mistake", **heads
    )


def test_two_people_reset_staging_to_main_and_the_deployment_that_follows_is_no_surprise(world):
    heads = squashed(world)
    reset = asked(world, heads)
    with pytest.raises(Refused, match="second person"):
        actions.sign_reset(reset, actor=world.person("alice"), **heads)
    with pytest.raises(NotPermitted):
        actions.sign_reset(reset, actor=world.person("carol"), **heads)

    repair = ended(world, actions.sign_reset(reset, actor=world.person("bob"), **heads))
    world.work(
        lambda: (
            ServiceInstance.objects.filter(
                environment__kind="staging",
                deployments__commit=heads["main"],
                deployments__is_latest=True,
            ).count()
            == 2
        )
    )
    judged = world.project.branches.get(name="staging")
    GitHubSync.objects.update(wake_at=timezone.now())
    world.work(lambda: Branch.objects.get(pk=judged.pk).judged == heads["main"])

    assert (repair.status, repair.result) == ("succeeded", "moved"), repair.sentence
    assert "Railway redeploys staging" in repair.sentence
    assert world.github.heads()["staging"] == world.github.heads()["main"] == heads["main"]
    assert [
        object_.subject
        for object_ in Finding.objects.filter(kind="bypass")
        if "staging" in object_.subject
    ] == []
    assert DeploymentRequest.objects.count() == 2
    pushes = [
        request
        for request in world.github_server.requests
        if request.path.endswith("git-receive-pack")
    ]
    pushes = [
        push for push in pushes if "refs/heads/" in push.body
    ]  # the trail has a ref of its own
    assert len([push for push in pushes if push.method == "POST"]) == 1
    told = list(
        AuditEvent.objects.filter(action__startswith="staging.reset").values_list(
            "action", "actor_name"
        )
    )
    assert {("staging.reset_requested", "alice"), ("staging.reset_signed", "bob")} <= set(told)
    assert sync_staging()[0] == 0


def test_different_files_are_never_reset(world):
    world.github.push_commit("main", {"frontend/fix.txt": "fix"}, "Hotfix")
    heads = known(world)

    code, message = sync_staging()

    assert code == 4 and "same files" not in message
    with pytest.raises(Refused, match="Sync staging first"):
        actions.request_reset(world.project, actor=world.person("alice"), reason="Please", **heads)
    assert not StagingReset.objects.exists()


def test_a_head_that_moved_in_between_ends_it_before_anything_is_written(world):
    heads = squashed(world)
    reset = asked(world, heads)
    repair = actions.sign_reset(reset, actor=world.person("bob"), **heads)
    moved = world.github.push_commit("staging", {"frontend/late.txt": "late"}, "Late")

    ended(world, repair)

    assert (
        repair.status == "failed"
        and "moved from" in repair.sentence
        and "Nothing was done" in repair.sentence
    )
    assert world.github.heads()["staging"] == moved


def test_the_lease_holds_when_staging_moves_in_the_last_moment(world, monkeypatch):
    heads = squashed(world)
    reset = asked(world, heads)
    repair = actions.sign_reset(reset, actor=world.person("bob"), **heads)
    answers = world.github_server.app
    moved = []

    def late(request):
        """Somebody pushes just before git pushes: after the portal has read the heads."""
        if "git-receive-pack" in str(request.query) + request.path and not moved:
            moved.append(world.github.push_commit("staging", {"frontend/late.txt": "late"}, "Late"))
        return answers(request)

    world.github_server.app = late
    ended(world, repair)

    assert repair.status == "failed" and "any more, so nothing was done" in repair.sentence
    assert moved and world.github.heads()["staging"] == moved[0]


def test_a_protection_that_forbids_force_refuses_in_one_sentence(world):
    heads = squashed(world)
    world.github.protect("staging", pull_request=False, enforce_admins=True)
    reset = asked(world, heads)

    repair = ended(world, actions.sign_reset(reset, actor=world.person("bob"), **heads))

    assert repair.status == "failed" and "refuse a forced push" in repair.sentence
    assert world.github.heads()["staging"] == heads["staging"]


def test_the_database_knows_that_it_takes_two(world):
    heads = squashed(world)
    reset = asked(world, heads)
    alice = world.person("alice")

    with pytest.raises(IntegrityError), transaction.atomic():
        StagingReset.objects.filter(pk=reset.pk).update(signed_by=alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        repair = Repair.objects.create(project=world.project, kind="reset")
        StagingReset.objects.filter(pk=reset.pk).update(repair=repair)
    with pytest.raises(Refused, match="already requested"):
        actions.request_reset(world.project, actor=alice, reason="Again", **heads)
    actions.take_reset_back(reset, actor=alice)
    with pytest.raises(Refused, match="withdrawn"):
        actions.sign_reset(reset, actor=world.person("bob"), **heads)


def test_it_is_done_in_the_browser_by_two_people(world, client):
    heads = squashed(world)
    sync_staging()
    slug = world.project.slug
    client.force_login(world.person("alice"))
    offered = client.get("/environments/").text
    client.post(f"/environments/{slug}/reset/", heads | {"reason": "Squashed by mistake"})
    mine = client.get("/environments/").text
    client.force_login(world.person("bob"))
    theirs = client.get("/environments/").text

    client.post(f"/resets/{StagingReset.objects.get().pk}/sign/", heads)
    repair = Repair.objects.get(kind="reset")
    ended(world, repair)

    assert 'id="reset-ask"' in offered and "then redeploys staging" in offered
    assert 'id="reset-sign"' not in mine and "second person must sign" in mine
    assert 'id="reset-sign"' in theirs and "Squashed by mistake" in theirs
    assert repair.status == "succeeded"
