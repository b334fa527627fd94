"""A release through the actions and jobs, against the stand-ins, a real repository and real databases."""

import subprocess

import pytest

from portal.actions import NotPermitted, Refused
from portal.models import AuditEvent
from portal.sandbox.server import Fault
from releases import actions, gates
from releases.facts import facts_of
from releases.models import PromotionStep, Release, ReleaseStatus

pytestmark = pytest.mark.slow


def cut(world) -> Release:
    """Alice cuts a release, and the worker collects it."""
    world.work(lambda: world.project.branches.exclude(head="").count() == 2)
    world.work(lambda: world.project.environments.filter(kind__in=["staging", "production"]).count() == 2)
    release = actions.cut(world.project, actor=world.person("alice"))
    world.work(lambda: reread(release).collected == release.candidate and release.pull_number is not None)
    return release


def prepare(world) -> Release:
    """Cut, staging migrated, everything ticked: ready to be promoted."""
    release = cut(world)
    alice = world.person("alice")
    run = actions.migrate_staging(release, actor=alice)
    world.work(lambda: not reread(run).is_open)
    assert run.status == "succeeded", run.sentence
    for item in release.items.filter(phase="before", gate=""):
        actions.tick(item, actor=alice, note="read")
    world.work(lambda: standing(release).ready)
    return release


def promote(world, *, until="verifying") -> Release:
    release = prepare(world)
    actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == until)
    return release


def stopped_step(world, release) -> PromotionStep:
    """Works until a step failed, and returns it."""
    world.work(lambda: PromotionStep.objects.filter(promotion__release=release, status="failed").exists())
    world.work(lambda: release.promotions.filter(status__in=["failed", "needs_person"]).exists())
    return PromotionStep.objects.get(promotion__release=release, status="failed")


def reread(row):
    row.refresh_from_db()
    return row


def standing(release):
    return gates.stand(facts_of(release.pk))


def head(world, branch: str) -> str:
    """A branch, as git itself knows it."""
    command = ["git", "-C", str(world.repository), "rev-parse", branch]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_release_goes_from_staging_to_production(world):
    before = head(world, "main")
    release = promote(world)
    alice = world.person("alice")

    for item in release.items.filter(phase="after", gate=""):
        actions.tick(item, actor=alice, note="looked at")
    world.work(lambda: reread(release).status == ReleaseStatus.DONE)

    assert head(world, "main") == head(world, "staging") == release.merge_commit != before
    assert world.revisions("production") == world.revisions("staging") == sorted(release.heads)
    assert len(release.migrations) == 2
    assert len(world.sent("PUT", "/merge")) == 1
    assert list(PromotionStep.objects.values_list("status", flat=True)) == ["done"] * 5
    done = set(AuditEvent.objects.filter(outcome="done").values_list("action", flat=True))
    assert {"release.cut", "release.promoted", "step.done", "promotion.ended", "release.done"} <= done


def test_what_gathered_on_staging_is_collected(world):
    release = cut(world)

    assert release.commit_count > 0
    assert release.pull_requests.count() > 0
    assert [one["message"] for one in release.migrations] == [
        "add integration settings",
        "index events.workspace_id",
    ] or len(release.migrations) == 2


def test_production_is_refused_before_staging_ran_the_migrations(world):
    release = cut(world)

    with pytest.raises(Refused, match="wait to be applied in staging"):
        actions.promote(release, actor=world.person("alice"))

    refusal = AuditEvent.objects.filter(action="release.promoted", outcome="refused").get()
    assert refusal.actor_name == "alice"


def test_an_auditor_may_not_promote_and_the_attempt_is_kept(world):
    release = cut(world)

    with pytest.raises(NotPermitted):
        actions.promote(release, actor=world.person("carol"))

    assert AuditEvent.objects.filter(outcome="refused", actor_name="carol").exists()


def test_the_verdict_is_told_to_github_as_it_changes(world):
    release = prepare(world)
    world.work(lambda: reread(release.upkeep).verdict_state == "success")

    bodies = world.sent("POST", f"/statuses/{release.candidate}")

    assert '"success"' in bodies[-1]
    assert any('"pending"' in body for body in bodies[:-1])
    assert len(bodies) == len(set(bodies))


def test_ticks_lapse_visibly_when_the_candidate_moves(world):
    release = prepare(world)
    old = release.candidate

    new = world.github.push_commit("staging", {"frontend/new.txt": "new"}, "One more thing")
    world.work(lambda: reread(release).collected == new)

    item = release.items.get(gate="", phase="before")
    assert (item.is_ticked, item.lapsed_at is not None) == (False, True)
    assert (release.moved["from"], release.moved["to"], release.moved["lapsed"]) == (old, new, [item.text])
    with pytest.raises(Refused):
        actions.promote(release, actor=world.person("alice"))


def test_a_push_in_mid_promotion_stops_the_merge_and_the_release_can_go_on(world):
    release = prepare(world)
    actions.promote(release, actor=world.person("alice"))
    world.github.push_commit("staging", {"frontend/late.txt": "late"}, "Too late")

    step = stopped_step(world, release)

    assert step.name == "merge"
    assert "moved from" in step.sentence or "is at" in step.sentence
    assert world.sent("PUT", "/merge") == [] or head(world, "main") != reread(release).merge_commit
    actions.abandon_promotion(release, actor=world.person("alice"), reason="staging moved")
    world.work(lambda: reread(release).collected == head(world, "staging"))
    assert release.status == ReleaseStatus.OPEN


def test_a_pull_request_closed_in_mid_promotion_stops_it(world):
    release = prepare(world)
    actions.promote(release, actor=world.person("alice"))
    world.github.close_pull(release.pull_number)

    step = stopped_step(world, release)

    assert f"#{release.pull_number} was closed" in step.sentence


def test_a_merge_whose_answer_is_lost_is_not_repeated(world):
    release = prepare(world)
    world.github_server.faults.append(Fault("drop", method="PUT", path="/merge"))

    actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")

    assert len(world.sent("PUT", "/merge")) == 1


@pytest.mark.parametrize("kind", ["status", "html", "truncated"])
def test_bad_answers_cost_time_and_nothing_else(world, kind):
    release = prepare(world)
    for server in (world.github_server, world.railway_server):
        server.faults.append(Fault(kind, times=4))

    actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying", seconds=60)

    assert len(world.sent("PUT", "/merge")) <= 2
    assert head(world, "staging") == head(world, "main") == release.merge_commit


def test_a_service_that_fails_to_deploy_is_named_and_can_be_deployed_again(world):
    release = prepare(world)
    world.railway.fail_next("frontend", "production")
    actions.promote(release, actor=world.person("alice"))

    step = stopped_step(world, release)

    assert step.name == "deploy"
    assert "frontend is not live" in step.sentence
    assert "backend" not in step.sentence.replace("backend live", "")
    actions.deploy_commit(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")


def test_a_push_that_railway_never_deployed_is_found(world):
    release = prepare(world)
    world.railway.never_next("backend", "production")
    actions.promote(release, actor=world.person("alice"))

    step = stopped_step(world, release)

    assert "In production, backend serves" in step.sentence
    actions.deploy_commit(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")
    deployed = [one for one in world.railway_server.requests if "serviceInstanceDeployV2" in one.body]
    assert len(deployed) == 1


def test_a_smoke_test_that_fails_stops_and_can_be_skipped_only_with_a_reason(world, monkeypatch):
    from datetime import timedelta

    from releases import steps

    monkeypatch.setattr(steps, "SMOKE_PATIENCE", timedelta(seconds=1))
    release = prepare(world)
    world.railway.break_path("frontend", "production", "/", 500)
    actions.promote(release, actor=world.person("alice"))

    step = stopped_step(world, release)

    assert "frontend /" in step.sentence
    with pytest.raises(Refused, match="Say why"):
        actions.skip_step(release, actor=world.person("alice"), reason=" ")
    actions.skip_step(release, actor=world.person("alice"), reason="known, fixed tomorrow")
    world.work(lambda: reread(release).status == "verifying")
    line = next(line for line in standing(release).after if line.gate == "smoke_green")
    assert line.result.state == gates.ATTEST


def test_a_diverged_staging_is_never_forced(world):
    release = prepare(world)
    actions.promote(release, actor=world.person("alice"))
    world.work(lambda: bool(reread(release).merge_commit))
    world.github.push_commit("staging", {"frontend/next.txt": "next"}, "Already the next thing")

    step = stopped_step(world, release)

    assert step.name == "sync_staging"
    assert "cannot be fast-forwarded" in step.sentence
    assert not any('"force": true' in body for body in world.sent("PATCH", "/git/refs"))


def test_a_conflicting_pull_request_is_a_failing_gate(world):
    world.github.push_commit("main", {"frontend/index.html": "hotfix"}, "Hotfix")
    world.github.push_commit("staging", {"frontend/index.html": "feature"}, "Feature")
    release = cut(world)

    world.work(lambda: gates.promotion_open(facts_of(release.pk)).state == gates.FAIL)

    assert "conflicts with main" in gates.promotion_open(facts_of(release.pk)).sentence


def test_everything_from_outside_is_kept_as_data(world):
    world.github.push_commit("feature/script", {"x.txt": "x"}, "x")
    number = world.github.open_pull("feature/script", "staging", "<script>alert(1)</script>")

    world.work(lambda: world.project.pull_requests.filter(number=number).exists())

    assert world.project.pull_requests.get(number=number).title == "<script>alert(1)</script>"
