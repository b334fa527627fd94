"""A release through the actions and jobs, against the stand-ins, a real repository and real
databases.
"""

import subprocess
from datetime import timedelta

import pytest

from portal.models.audit import AuditEvent
from portal.sandbox.server import Fault
from portal.ui.actions import NotPermitted, Refused
from releases import gates
from releases.approvals import actions as approvals_actions
from releases.checklist import actions as checklist_actions
from releases.gates.context import facts_of
from releases.lifecycle import actions as lifecycle_actions
from releases.models.promotion import PromotionStep
from releases.models.releases import Release, ReleaseStatus
from releases.promotion import actions as promotion_actions
from releases.steps import engine as steps_engine

pytestmark = pytest.mark.slow


def cut(world) -> Release:
    """Alice cuts a release, and the worker collects it."""
    world.work(lambda: world.project.branches.exclude(head="").count() == 2)
    world.work(
        lambda: world.project.environments.filter(kind__in=["staging", "production"]).count() == 2
    )
    release = lifecycle_actions.cut(world.project, actor=world.person("alice"))
    world.work(
        lambda: reread(release).collected == release.candidate and release.pull_number is not None
    )
    return release


def prepare(world) -> Release:
    """Cut, staging migrated, everything ticked: ready to be promoted."""
    return make_ready(world, cut(world))


def make_ready(world, release: Release) -> Release:
    """Migrates staging where it is behind, ticks what is not ticked, and waits until the release
    may go.
    """
    alice = world.person("alice")
    if sorted(release.heads) != world.revisions("staging"):
        run = lifecycle_actions.migrate_staging(release, actor=alice)
        world.work(lambda: not reread(run).is_open)
        assert run.status == "succeeded", run.sentence
    for item in release.items.filter(phase="before", gate=""):
        if not item.is_ticked:
            checklist_actions.tick(item, actor=alice, note="read")
    if world.project.required_approvals:
        approvals_actions.approve(release, actor=world.person("bob"), comment="read")
    world.work(lambda: readiness(release).ready)
    return release


def end(world, release: Release) -> None:
    """Alice has looked at production, and the release is done."""
    for item in release.items.filter(phase="after", gate=""):
        checklist_actions.tick(item, actor=world.person("alice"), note="looked at")
    world.work(lambda: reread(release).status == ReleaseStatus.DONE)


def push(world, files: dict[str, str]) -> str:
    """One more commit on staging, with green checks; returns it when the portal has seen it."""
    sha = world.github.push_commit("staging", files, "One more thing")
    world.github.set_check(sha, "python-ci")
    world.work(lambda: world.project.branches.filter(name="staging", head=sha).exists())
    return sha


def promote(world, *, until="verifying") -> Release:
    release = prepare(world)
    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == until)
    return release


def stopped_step(world, release) -> PromotionStep:
    """Works until the newest promotion stopped, and returns its failed step."""
    promotion = release.promotions.latest("pk")
    world.work(lambda: reread(promotion).status in ("failed", "needs_person"))
    return PromotionStep.objects.get(promotion=promotion, status="failed")


def reread(row):
    row.refresh_from_db()
    return row


def readiness(release):
    return gates.readiness_of(facts_of(release.pk))


def head(world, branch: str) -> str:
    """A branch, as git itself knows it."""
    command = ["git", "-C", str(world.repository), "rev-parse", branch]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_release_goes_from_staging_to_production_when_everything_allows_it_and_by_who_may(world):
    before, alice = head(world, "main"), world.person("alice")
    world.project.required_approvals = 1
    world.project.save()
    world.github.push_commit("feature/script", {"x.txt": "x"}, "x")
    number = world.github.open_pull("feature/script", "staging", "<script>alert(1)</script>")

    release = cut(world)

    assert release.commit_count > 0
    assert release.pull_requests.count() > 0
    assert [migration["message"] for migration in release.migrations] == [
        "add integration settings",
        "index events.workspace_id",
    ]
    assert world.project.pull_requests.get(number=number).title == "<script>alert(1)</script>", (
        "kept as data"
    )
    with pytest.raises(Refused, match="not applied in staging yet"):
        promotion_actions.promote(release, actor=alice)
    with pytest.raises(NotPermitted):
        promotion_actions.promote(release, actor=world.person("carol"))
    refusals = AuditEvent.objects.filter(action="release.promoted", outcome="refused")
    assert sorted(refusals.values_list("actor_name", flat=True)) == ["alice", "carol"]

    make_ready(world, release)
    world.work(lambda: reread(release.reconciler).verdict_state == "success")

    told = world.sent("POST", f"/statuses/{release.candidate}")
    assert '"success"' in told[-1] and any('"pending"' in body for body in told[:-1])
    assert len(told) == len(set(told)), "the verdict is told to GitHub as it changes"

    promotion_actions.promote(release, actor=alice)
    world.work(lambda: reread(release).status == "verifying")
    end(world, release)
    migrated = AuditEvent.objects.filter(action__startswith="migration.")
    assert [one.data.get("release") for one in migrated] == 5 * [release.name]

    assert head(world, "main") == head(world, "staging") == release.merge_commit != before
    assert world.revisions("production") == world.revisions("staging") == sorted(release.heads)
    assert len(world.sent("PUT", "/merge")) == 1
    assert list(PromotionStep.objects.values_list("status", flat=True)) == ["done"] * 5
    done = set(AuditEvent.objects.filter(outcome="done").values_list("action", flat=True))
    assert {
        "release.cut",
        "release.promoted",
        "step.done",
        "promotion.ended",
        "release.done",
    } <= done


def test_what_moves_before_the_merge_stops_it_and_the_release_can_go_on(world):
    release, alice = prepare(world), world.person("alice")
    old, new = release.candidate, push(world, {"frontend/new.txt": "new"})
    world.work(lambda: reread(release).collected == new)

    item = release.items.get(gate="", phase="before")
    assert (item.is_ticked, item.lapsed_at is not None) == (False, True)
    assert (release.moved["from"], release.moved["to"], release.moved["lapsed"]) == (
        old,
        new,
        [item.text],
    )
    with pytest.raises(Refused):
        promotion_actions.promote(release, actor=alice)

    make_ready(world, release)
    promotion_actions.promote(release, actor=alice)
    late = world.github.push_commit("staging", {"frontend/late.txt": "late"}, "Too late")
    step = stopped_step(world, release)

    assert step.name == "merge"
    assert "moved from" in step.sentence or "is at" in step.sentence
    assert world.sent("PUT", "/merge") == [] or head(world, "main") != reread(release).merge_commit
    promotion_actions.abandon_promotion(release, actor=alice, reason="staging moved")
    world.work(lambda: reread(release).collected == head(world, "staging") == late)
    assert release.status == ReleaseStatus.OPEN

    world.github.set_check(late, "python-ci")
    make_ready(world, release)
    promotion_actions.promote(release, actor=alice)
    world.github.close_pull(release.pull_number)

    assert f"#{release.pull_number} was closed" in stopped_step(world, release).sentence


def test_bad_answers_and_a_merge_whose_answer_is_lost_cost_time_and_nothing_else(world):
    release = prepare(world)
    world.github_server.faults.append(Fault("drop", method="PUT", path="/merge"))
    for kind in ("status", "html", "truncated"):
        for server in (world.github_server, world.railway_server):
            server.faults.append(Fault(kind, times=4))

    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying", seconds=60)

    assert {
        fault.times
        for server in (world.github_server, world.railway_server)
        for fault in server.faults
    } == {0}
    assert len(world.sent("PUT", "/merge")) == 1
    assert head(world, "staging") == head(world, "main") == release.merge_commit


def test_what_goes_wrong_in_production_is_named_and_can_be_done_again_or_skipped(
    world, monkeypatch
):
    monkeypatch.setattr(steps_engine, "SMOKE_PATIENCE", timedelta(seconds=1))
    release, alice = prepare(world), world.person("alice")
    world.railway.fail_next("frontend", "production")
    world.railway.break_path("frontend", "production", "/", 500)
    promotion_actions.promote(release, actor=alice)

    step = stopped_step(world, release)
    assert step.name == "deploy"
    assert "frontend is not live" in step.sentence
    assert "backend" not in step.sentence.replace("backend live", "")

    promotion_actions.deploy_commit(release, actor=alice)
    step = stopped_step(world, release)
    assert step.name == "smoke" and "frontend /" in step.sentence

    with pytest.raises(Refused, match="Give a reason"):
        promotion_actions.skip_step(release, actor=alice, reason=" ")
    promotion_actions.skip_step(release, actor=alice, reason="known, fixed tomorrow")
    world.work(lambda: reread(release).status == "verifying")
    line = next(line for line in readiness(release).after if line.gate == "smoke_green")
    assert line.result.state == gates.ATTEST


def test_what_railway_never_deployed_is_found_and_a_staging_that_diverged_is_never_forced(world):
    release, alice = prepare(world), world.person("alice")
    world.railway.never_next("backend", "production")
    promotion_actions.promote(release, actor=alice)
    world.work(lambda: bool(reread(release).merge_commit))
    world.github.push_commit(
        "staging", {"frontend/index.html": "feature"}, "Already the next thing"
    )

    step = stopped_step(world, release)
    assert "In production, backend serves" in step.sentence

    promotion_actions.deploy_commit(release, actor=alice)
    step = stopped_step(world, release)
    assert step.name == "sync_staging"
    assert "cannot be fast-forwarded" in step.sentence
    assert not any('"force": true' in body for body in world.sent("PATCH", "/git/refs"))
    assert world.revisions("production") == sorted(release.heads)
    deployed = [
        request
        for request in world.railway_server.requests
        if "serviceInstanceDeployV2" in request.body
    ]
    assert len(deployed) == 1


def test_a_conflicting_pull_request_is_a_failing_gate(world):
    world.github.push_commit("main", {"frontend/index.html": "hotfix"}, "Hotfix")
    world.github.push_commit("staging", {"frontend/index.html": "feature"}, "Feature")
    release = cut(world)

    world.work(lambda: gates.GATES["promotion_open"](facts_of(release.pk)).state == gates.FAIL)

    assert "conflicts with main" in gates.GATES["promotion_open"](facts_of(release.pk)).sentence
