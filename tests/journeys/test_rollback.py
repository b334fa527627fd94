"""The way back through actions, jobs and stand-ins: each verdict of the adviser, rollbacks, and downgrades."""

import psycopg
import pytest
from django.utils import timezone

from environments.models import Finding, MigrationPlan, MigrationRun
from environments.schema.way_back import DOWNGRADE_FIRST, FORWARD, SAFE
from portal.actions import NotPermitted, Refused
from portal.models import AuditEvent
from portal.sandbox.sample import migration
from portal.sandbox.server import Fault
from releases import actions, gates
from releases import rollback_actions as back
from releases.facts import facts_of
from releases.models import Advice, Release, ReleaseStatus, Rollback, RollbackStep
from releases.models.rollback import downgrade_content
from tests.journeys.test_bad_days import look_now
from tests.journeys.test_release import head, prepare, reread, standing
from tests.journeys.test_risk import planned

pytestmark = pytest.mark.slow
ADD = 'op.add_column("events", sa.Column("severity", sa.Text))'
DROP = migration("7a9c1e3f5b67", "6f8b0d2e4a56", "drop severity", 'op.drop_column("events", "severity")', ADD)
RENAME = 'op.alter_column("events", "{}", new_column_name="{}")'
RENAMED = migration(
    "7a9c1e3f5b67", "6f8b0d2e4a56", "rename severity",
    RENAME.format("severity", "level"), RENAME.format("level", "severity"),
)  # fmt: skip


def ship(world, files: dict[str, str] | None = None) -> Release:
    """A release in production, with its risks accepted and its way back known."""
    release = prepare(world)
    if files:
        world_with(world, release, files)
    actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == ReleaseStatus.VERIFYING)
    advised(world, release)
    return release


def world_with(world, release: Release, files: dict[str, str]) -> None:
    """Lets staging hold `files` as well, and the release be ready with them."""
    alice, bob = world.person("alice"), world.person("bob")
    planned(world, release, world.github.push_commit("staging", files, "A migration that could hurt"))
    file = reread(release).migrations[-1]
    actions.accept_risk(release, actor=bob, revision=file["id"], sha256=file["sha256"], reason="known")
    run = actions.migrate_staging(release, actor=alice)
    world.work(lambda: not reread(run).is_open)
    for item in release.items.filter(phase="before", gate=""):
        actions.tick(item, actor=alice, note="read")
    world.work(lambda: standing(release).ready)


def advised(world, release: Release) -> Advice:
    """The adviser's word on how things are now."""
    since = timezone.now()
    look_now(release.advice)
    world.work(lambda: (reread(release.advice).computed_at or since) > since)
    return release.advice


def ask(world, release: Release) -> Rollback:
    return back.request_rollback(release, actor=world.person("alice"), reason="Checkout is broken")


def sign(world, job: Rollback) -> None:
    back.approve_rollback(job.release, actor=world.person("bob"), content=reread(job).content, comment="seen")


def asked_of_railway(world) -> list[str]:
    return [one.body for one in world.railway_server.requests if "deploymentRollback" in one.body]


def served(world, kind: str = "production") -> set[str]:
    """The commits that Railway has live there."""
    found = (world.railway.live_commit(service, kind) for service in ("backend", "frontend"))
    return set(found)


def test_both_services_go_back_together_and_the_branch_stays(world):
    before = head(world, "main")
    release = ship(world)
    advice, merged = release.advice, head(world, "main")
    assert (advice.verdict, [one["state"] for one in advice.services]) == (SAFE, ["ready", "ready"])
    assert {one["commit"] for one in advice.targets} == {before}

    job = ask(world, release)
    world.work(lambda: "approval" in reread(job).sentence)
    assert asked_of_railway(world) == []
    sign(world, job)
    world.work(lambda: not reread(job).is_open)

    assert job.status == "succeeded", job.sentence
    assert served(world) == {before}
    assert len(asked_of_railway(world)) == 2
    assert head(world, "main") == head(world, "staging") == merged
    assert list(job.steps.values_list("name", "service", "status")) == [
        ("approve", "", "done"), ("restore", "backend", "done"), ("restore", "frontend", "done"),
        ("live", "", "done"), ("smoke", "", "done"),
    ]  # fmt: skip
    assert reread(release).status == ReleaseStatus.ROLLED_BACK
    facts = facts_of(release.pk)
    assert [gate(facts).state for gate in (gates.production_live, gates.smoke_green)] == [gates.FAIL] * 2
    told = {"rollback.requested", "rollback.approved", "step.restoring", "rollback.ended", "release.rolled_back"}
    assert told <= set(AuditEvent.objects.values_list("action", flat=True))
    look_now(world.project.railway_sync)
    world.work(lambda: Finding.objects.filter(kind="rolled_back", closed_at=None).count() == 2)
    assert not Finding.objects.filter(kind="behind", closed_at=None).exists()
    world.work(lambda: reread(release.upkeep).verdict_sentence == f"Release {release.name} was rolled back.")
    world.work(lambda: not reread(advice).is_open)


def test_a_restore_whose_answer_is_lost_is_not_asked_for_twice(world):
    release = ship(world)
    world.railway_server.faults.append(Fault("drop", body="deploymentRollback"))

    job = ask(world, release)
    sign(world, job)
    world.work(lambda: not reread(job).is_open)

    assert job.status == "succeeded", job.sentence
    assert len(asked_of_railway(world)) == 2


def test_a_service_that_cannot_be_restored_stops_and_is_skipped_only_with_a_reason(world):
    release = ship(world)
    alice = world.person("alice")
    job = ask(world, release)
    world.railway_server.faults.append(Fault("graphql", body="deploymentRollback", message="Not Authorized"))
    sign(world, job)
    world.work(lambda: not reread(job).is_open)

    step = RollbackStep.objects.get(rollback=job, status="failed")
    assert (step.service, job.status) == ("backend", "failed")
    assert "Not Authorized" in step.sentence
    with pytest.raises(Refused, match="Say why"):
        back.skip_rollback(release, actor=alice, reason=" ")
    back.skip_rollback(release, actor=alice, reason="its new code is fine")
    world.work(lambda: not reread(job).is_open)

    assert job.status == "succeeded" and "Not restored: backend" in job.sentence
    assert len(served(world)) == 2
    assert len(asked_of_railway(world)) == 2


def test_an_image_that_goes_while_people_decide_is_never_replaced_by_another(world):
    release = ship(world)
    job = ask(world, release)
    sign(world, job)
    world.railway.forget_images("frontend", "production")
    world.work(lambda: not reread(job).is_open)

    assert job.status == "failed"
    assert "moved" in job.sentence or "no longer restore" in job.sentence
    assert asked_of_railway(world) == []
    back.abandon_rollback(release, actor=world.person("alice"), reason="fix forward")
    assert reread(job).status == "cancelled" and reread(release).status == ReleaseStatus.VERIFYING


def test_nobody_signs_a_rollback_alone_or_for_other_deployments(world):
    release = ship(world)
    alice, bob = world.person("alice"), world.person("bob")
    with pytest.raises(NotPermitted):
        back.request_rollback(release, actor=bob, reason="x")
    job = ask(world, release)
    alice.user_permissions.add(*bob.groups.get().permissions.all())

    with pytest.raises(Refused, match="second person"):
        back.approve_rollback(release, actor=world.person("alice"), content=job.content)
    with pytest.raises(Refused, match="changed since"):
        back.approve_rollback(release, actor=bob, content="0" * 64)

    with pytest.raises(Refused, match="under way already"):
        ask(world, release)
    assert job.approvals.count() == 0 and asked_of_railway(world) == []
