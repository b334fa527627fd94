"""The way back through actions, jobs and stand-ins: each verdict of the assessment, rollbacks, and
downgrades.
"""

from datetime import timedelta

import psycopg
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.databases.actions import queue_downgrade
from environments.models import Finding, MigrationRun, Rehearsal, VariableChange
from environments.schema.downgrade.compatibility import DOWNGRADE_FIRST, FORWARD, PENDING, SAFE
from portal.models.audit import AuditEvent
from portal.sandbox.sample import migration
from portal.sandbox.server import Fault
from portal.ui.actions import NotPermitted, Refused
from releases import gates
from releases.approvals import actions as approvals_actions
from releases.gates.context import facts_of
from releases.models import Rollback, RollbackAssessment, RollbackStep
from releases.models.releases import Release, ReleaseStatus
from releases.promotion import actions as promotion_actions
from releases.rollback import actions as back
from releases.rollback import downgrade_actions
from releases.steps import engine as steps_engine
from tests.journeys.test_bad_days import look_now
from tests.journeys.test_release import cut, head, make_ready, prepare, push, reread, stopped_step
from tests.journeys.test_risk import planned

pytestmark = pytest.mark.slow
ADD = 'op.add_column("events", sa.Column("severity", sa.Text))'
DROP = migration(
    "7a9c1e3f5b67", "6f8b0d2e4a56", "drop severity", 'op.drop_column("events", "severity")', ADD
)
RENAME = 'op.alter_column("events", "{}", new_column_name="{}")'
RENAMED = migration(
    "7a9c1e3f5b67",
    "6f8b0d2e4a56",
    "rename severity",
    f'{RENAME.format("severity", "level")}\n    op.create_table("levels", sa.Column("id",'
    " sa.Integer))",
    f'op.drop_table("levels")\n    {RENAME.format("level", "severity")}',
)


def ship(world, files: dict[str, str] | None = None) -> Release:
    """A release in production, with `files` in it, its risks accepted and its way back known."""
    commit = push(world, files) if files else ""
    release = cut(world)
    if files:
        planned(world, release, commit)
        file = reread(release).migrations[-1]
        approvals_actions.accept_risk(
            release,
            actor=world.person("bob"),
            revision=file["id"],
            sha256=file["sha256"],
            reason="known",
        )
    make_ready(world, release)
    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == ReleaseStatus.VERIFYING)
    assessed(world, release)
    return release


def assessed(world, release: Release) -> RollbackAssessment:
    """Return the assessment of how things are now."""
    since = timezone.now()
    look_now(release.assessment)
    world.work(lambda: (reread(release.assessment).computed_at or since) > since)
    return release.assessment


def ask(world, release: Release) -> Rollback:
    return back.request_rollback(release, actor=world.person("alice"), reason="Checkout is broken")


def sign(world, job: Rollback) -> None:
    back.approve_rollback(
        job.release, actor=world.person("bob"), content=reread(job).content, comment="seen"
    )


def asked_of_railway(world) -> list[str]:
    return [
        request.body
        for request in world.railway_server.requests
        if "deploymentRollback" in request.body
    ]


def served(world, kind: str = "production") -> set[str]:
    """The commits that Railway has live there."""
    found = (world.railway.live_commit(service, kind) for service in ("backend", "frontend"))
    return set(found)


def test_both_services_go_back_once_by_a_second_person_though_an_answer_is_lost(world):
    before = head(world, "main")
    release = ship(world)
    world.railway.set_variable("production", "backend", "LIMIT", "5")
    look_now(world.project.variable_sync)
    world.work(lambda: VariableChange.objects.filter(name="LIMIT").exists())
    assessed(world, release)
    world.railway_server.faults.append(Fault("drop", body="deploymentRollback"))
    assessment, merged = release.assessment, head(world, "main")
    assert (assessment.verdict, [service["state"] for service in assessment.services]) == (
        SAFE,
        ["ready", "ready"],
    )
    assert {target["commit"] for target in assessment.targets} == {before}
    assert assessment.services[0]["variables"] == [["LIMIT", "added"]]

    alice, bob = world.person("alice"), world.person("bob")
    with pytest.raises(NotPermitted):
        back.request_rollback(release, actor=bob, reason="x")
    job = ask(world, release)
    world.work(lambda: "approval" in reread(job).sentence)
    assert asked_of_railway(world) == []
    with pytest.raises(Refused, match="already running"):
        ask(world, release)
    alice.groups.add(*bob.groups.all())
    with pytest.raises(Refused, match="second person"):
        back.approve_rollback(release, actor=world.person("alice"), content=job.content)
    with pytest.raises(Refused, match="changed since"):
        back.approve_rollback(release, actor=bob, content="0" * 64)
    first = job.target("frontend")["deployment"]
    world.railway.deploy("frontend", "production", before, live=True)
    world.railway.deploy("frontend", "production", merged, live=True)
    world.railway.forget_images("frontend", "production", only=first)
    sign(world, job)
    world.work(lambda: AuditEvent.objects.filter(action="rollback.moved").exists())
    assert reread(job).target("frontend")["deployment"] != first
    assert job.is_open and asked_of_railway(world) == []
    assert [approval.content == job.content for approval in job.approvals.all()] == [False], (
        "it lapses with the deployments"
    )

    sign(world, job)
    world.work(lambda: not reread(job).is_open)

    assert job.status == "succeeded", job.sentence
    assert served(world) == {before}
    assert len(asked_of_railway(world)) == 2
    assert head(world, "main") == head(world, "staging") == merged
    assert list(job.steps.values_list("name", "service", "status")) == [
        ("approve", "", "done"),
        ("restore", "backend", "done"),
        ("restore", "frontend", "done"),
        ("live", "", "done"),
        ("smoke", "", "done"),
    ]
    assert reread(release).status == ReleaseStatus.ROLLED_BACK
    facts = facts_of(release.pk)
    assert [gates.GATES[name](facts).state for name in ("production_live", "smoke_green")] == [
        gates.FAIL
    ] * 2
    told = {
        "rollback.requested",
        "rollback.approved",
        "step.restoring",
        "rollback.ended",
        "release.rolled_back",
    }
    assert told <= set(AuditEvent.objects.values_list("action", flat=True))
    look_now(world.project.railway_sync)
    world.work(lambda: Finding.objects.filter(kind="rolled_back", closed_at=None).count() == 2)
    assert not Finding.objects.filter(kind="behind", closed_at=None).exists()
    world.work(
        lambda: (
            reread(release.reconciler).verdict_sentence
            == f"Release {release.name} was rolled back."
        )
    )
    world.work(lambda: not reread(assessment).is_open)


def test_a_stopped_promotion_is_taken_back_and_a_restore_that_is_not_seen_is_left_to_a_person(
    world, monkeypatch
):
    monkeypatch.setattr(steps_engine, "SMOKE_PATIENCE", timedelta(seconds=1))
    release, alice = prepare(world), world.person("alice")
    world.railway.break_path("frontend", "production", "/", 500)
    promotion_actions.promote(release, actor=alice)
    assert stopped_step(world, release).name == "smoke"
    world.railway.break_path("frontend", "production", "/", None)
    assessed(world, release)
    job = ask(world, release)
    with pytest.raises(Refused, match="rollback of this release is running"):
        promotion_actions.retry_step(release, actor=alice)
    world.railway_server.faults.append(Fault("refuse", body="deploymentRollback"))
    sign(world, job)
    world.work(lambda: not reread(job).is_open)

    step = RollbackStep.objects.get(rollback=job, status="failed")
    assert (step.service, job.status) == ("backend", "needs_person")
    assert (
        "shows no deployment" in step.sentence and "a retry sends the request again" in step.world
    )
    assert AuditEvent.objects.filter(action="step.restoring").count() == 1

    world.railway_server.faults.append(
        Fault("graphql", body="deploymentRollback", message="Not Authorized")
    )
    back.retry_rollback(release, actor=alice)
    world.work(lambda: not reread(job).is_open)
    assert (job.status, "Not Authorized" in job.sentence) == ("failed", True)
    with pytest.raises(Refused, match="Give a reason"):
        back.skip_rollback(release, actor=alice, reason=" ")
    back.skip_rollback(release, actor=alice, reason="its new code is fine")
    world.work(lambda: not reread(job).is_open)

    assert job.status == "succeeded" and "Not restored: backend" in job.sentence
    assert reread(release).status == ReleaseStatus.ROLLED_BACK
    assert release.promotions.get().status == "cancelled"
    assert len(served(world)) == 2
    assert AuditEvent.objects.filter(action="step.restoring").count() == 3


def test_a_database_goes_back_by_two_people_after_a_rehearsal_and_then_the_images_may(world):
    release = ship(world, RENAMED)
    alice, bob = world.person("alice"), world.person("bob")
    with psycopg.connect(world.databases["production"], autocommit=True) as connection:
        connection.execute("insert into levels values (1), (2), (3)")
    assessment = assessed(world, release)
    assert assessment.verdict == DOWNGRADE_FIRST
    assert [(one["table"], one["rows"]) for one in assessment.downgrade["losses"]] == [
        ("levels", 3)
    ]
    with pytest.raises(Refused, match="Downgrade the database first"):
        ask(world, release)
    name = world.databases["production"].rsplit("/", 1)[1]
    wish = {"actor": alice, "typed": name, "reason": "the rename breaks the old code"}

    with pytest.raises(Refused, match="not passed a rehearsal"):
        downgrade_actions.request_downgrade(release, **wish)
    rehearsal = downgrade_actions.rehearse_downgrade(release, actor=alice)
    world.work(lambda: not reread(rehearsal).is_open, seconds=90)
    Rehearsal.objects.filter(pk=rehearsal.pk).update(
        files=[rehearsal.files[0] | {"sha256": "0" * 64}]
    )
    with pytest.raises(Refused, match="not passed a rehearsal"):
        downgrade_actions.request_downgrade(release, **wish)
    Rehearsal.objects.filter(pk=rehearsal.pk).update(files=rehearsal.files)
    with pytest.raises(Refused, match="Type the name"):
        downgrade_actions.request_downgrade(release, **wish | {"typed": "production"})
    staged = MigrationRun.objects.filter(environment__kind="staging")
    newest = staged.order_by("-created_at")[:1].get()
    staged.filter(pk=newest.pk).update(status="needs_person")
    with pytest.raises(Refused, match="successful downgrade of staging"):
        downgrade_actions.request_downgrade(release, **wish)
    staged.filter(pk=newest.pk).update(status="succeeded")
    asked = downgrade_actions.request_downgrade(release, **wish)
    alice.groups.add(*bob.groups.all())
    with pytest.raises(Refused, match="second person"):
        downgrade_actions.approve_downgrade(
            release, actor=world.person("alice"), content=asked.content
        )
    with pytest.raises(Refused, match="downgrade has changed"):
        downgrade_actions.approve_downgrade(release, actor=bob, content="0" * 64)
    assert world.revisions("production") == ["7a9c1e3f5b67"]

    run = downgrade_actions.approve_downgrade(release, actor=bob, content=asked.content)
    world.work(lambda: not reread(run).is_open)

    assert (run.status, run.direction, run.before, run.after) == (
        "succeeded",
        "downgrade",
        ["7a9c1e3f5b67"],
        ["6f8b0d2e4a56"],
    ), run.sentence
    assert (run.requested_by, run.approved_by) == (alice, bob)
    assert [one[0] for one in run.applied] == [
        "7a9c1e3f5b67"
    ] and "Finished 7a9c1e3f5b67" in run.log
    assert world.revisions("production") == ["6f8b0d2e4a56"]
    assert gates.GATES["production_at_head"](facts_of(release.pk)).state == gates.FAIL
    world.work(
        lambda: reread(release.assessment).verdict == SAFE
    )  # without being asked: the run has ended
    job = ask(world, release)
    world.railway.forget_images("frontend", "production")
    sign(world, job)
    world.work(lambda: not reread(job).is_open)
    assert job.status == "failed" and "roll forward only" in job.sentence
    assert asked_of_railway(world) == []
    with pytest.raises(Refused, match="Without approval"):
        back.skip_rollback(release, actor=world.person("alice"), reason="now")
    back.abandon_rollback(release, actor=world.person("alice"), reason="corrected by a new release")
    assert reread(job).status == "cancelled" and reread(release).status == ReleaseStatus.VERIFYING
    production = run.environment
    both = {"requested_by": alice, "approved_by": bob, "now": timezone.now()}
    far = queue_downgrade(
        production, run.database, commit=run.commit, target="4d6f8b0c2e34", file=asked.file, **both
    )
    world.work(lambda: not reread(far).is_open)
    assert far.status == "failed" and "differs from the approved downgrade" in far.sentence
    assert world.revisions("production") == ["6f8b0d2e4a56"]
    with pytest.raises(IntegrityError), transaction.atomic():
        MigrationRun.objects.create(
            environment=production,
            database=run.database,
            commit=run.commit,
            direction="downgrade",
            requested_by=alice,
            approved_by=alice,
        )


INDEX = (
    'with op.get_context().autocommit_block():\n        op.create_index("one_name", "workspaces",'
    ' ["name"], unique=True, postgresql_concurrently=True)'
)
HALF = migration(
    "7a9c1e3f5b67",
    "6f8b0d2e4a56",
    "note",
    'op.add_column("events", sa.Column("note", sa.Text))',
    'op.drop_column("events", "note")',
) | migration("8b0d2e4a5678", "7a9c1e3f5b67", "one name", INDEX, 'op.drop_index("one_name")')


def test_after_half_a_migration_and_a_failed_deploy_exactly_that_is_told(world):
    commit = push(world, HALF)
    release, alice = cut(world), world.person("alice")
    planned(world, release, commit)
    make_ready(world, release)
    before = head(world, "main")
    with psycopg.connect(world.databases["production"], autocommit=True) as connection:
        connection.execute("insert into workspaces (name) values ('twin'), ('twin')")
    world.railway.fail_next("frontend", "production")
    promotion_actions.promote(release, actor=alice)
    assert stopped_step(world, release).name == "deploy"
    world.work(
        lambda: (
            (reread(release.assessment).computed_at or release.cut_at)
            > release.promotions.get().finished_at
        )
    )

    states = {service["service"]: service["state"] for service in release.assessment.services}
    assert (release.assessment.verdict, states) == (SAFE, {"backend": "ready", "frontend": "same"})
    assert release.assessment.steps[:2] == [
        "Roll back backend to its earlier deployment.",
        "frontend can stay as it is.",
    ]
    assert "The database has no revision of this release." in release.assessment.reasons

    promotion_actions.skip_step(release, actor=alice, reason="the frontend comes later")
    assert stopped_step(world, release).name == "migrate"
    since = MigrationRun.objects.get(environment__kind="production").finished_at
    # A service may still be moving in the first look after the run.
    world.work(
        lambda: (
            reread(release.assessment).computed_at > since and release.assessment.verdict != PENDING
        )
    )

    assert (
        "7a9c1e3f5b67" in release.assessment.in_effect
        and "8b0d2e4a5678" not in release.assessment.in_effect
    )
    assert any("8b0d2e4a5678 failed half-way" in reason for reason in release.assessment.reasons)
    assert (
        "In the database: DROP INDEX CONCURRENTLY IF EXISTS one_name;" in release.assessment.steps
    )
    assert not any("no revision of this release" in reason for reason in release.assessment.reasons)
    assert {target["commit"] for target in release.assessment.targets} == {before}


def test_what_was_dropped_does_not_come_back_and_commands_at_the_start_are_seen(world):
    release = ship(world, DROP)
    assessment = release.assessment
    assert assessment.verdict == FORWARD
    assert any("does not restore what it removes" in reason for reason in assessment.reasons)
    with psycopg.connect(world.databases["production"], autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '6f8b0d2e4a56'")

    world.railway.set_command(
        "backend", "production", start="gunicorn app:app", pre_deploy="alembic upgrade head"
    )
    look_now(world.project.railway_sync)
    world.work(lambda: world.project.services.filter(instances__at_start="pre_deploy").exists())

    assessment = assessed(world, release)
    assert assessment.verdict == DOWNGRADE_FIRST
    assert "Can't locate revision" in " ".join(assessment.reasons)
    assert assessment.services[0]["at_start"] == "its pre-deploy command runs Alembic"
