"""Two Alembic directories and two databases in one repository: one release, and each database
for itself.
"""

from contextlib import contextmanager

import psycopg
import pytest

from environments.models import MigrationPlan, MigrationRun, StagedRevision
from portal.ui.actions import Refused
from releases import gates
from releases.checklist import actions as checklist_actions
from releases.gates.context import facts_of
from releases.lifecycle import actions as lifecycle_actions
from releases.promotion import actions as promotion_actions
from releases.rollback import downgrade_actions
from tests.journeys.test_release import cut, end, make_ready, readiness, reread, stopped_step
from tests.journeys.test_rollback import assessed
from tests.journeys.world import quick_world

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
BILLING = "billing_production"


@pytest.fixture
def world(tmp_path, settings):
    with quick_world(tmp_path, settings, shape=["two-databases"]) as world:
        yield world


@contextmanager
def connected(world, key: str):
    with psycopg.connect(world.databases[key], autocommit=True) as connection:
        yield connection


def ended(world, runs) -> None:
    world.work(lambda: all(not reread(run).is_open for run in runs))


def test_each_database_has_its_plan_its_run_and_the_rule_that_staging_comes_first(world):
    signals, billing = world.project.databases.all()
    release = cut(world)
    assert [(migration["id"], migration["database"]) for migration in release.migrations] == [
        ("5e7a9c1d3f45", signals.pk),
        ("6f8b0d2e4a56", signals.pk),
        ("b2", billing.pk),
    ]
    assert release.heads_of == {str(signals.pk): ["6f8b0d2e4a56"], str(billing.pk): ["b2"]}
    world.work(lambda: MigrationPlan.objects.filter(status="succeeded").count() == 2)
    waits = gates.GATES["migrations_ready"](facts_of(release.pk)).sentence
    assert (
        waits == "signals: 2 migrations not applied in staging yet. "
        "billing: 1 migration not applied in staging yet."
    )

    lifecycle_actions.migrate_staging(release, actor=world.person("alice"))
    runs = list(MigrationRun.objects.order_by("pk"))
    ended(world, runs)

    assert [(run.database, run.status) for run in runs] == [
        (signals, "succeeded"),
        (billing, "succeeded"),
    ]
    assert runs[1].started_at >= runs[0].finished_at, "one after the other"
    with pytest.raises(Refused, match="Every database of staging is at the release's heads"):
        lifecycle_actions.migrate_staging(release, actor=world.person("alice"))
    # What staging's other database ran proves nothing for this one.
    StagedRevision.objects.filter(revision="b2").update(database=signals)
    assert (
        "billing: Staging's database is at the release's head, but"
        in gates.GATES["migrations_ready"](facts_of(release.pk)).sentence
    )
    StagedRevision.objects.filter(revision="b2").update(database=billing)
    for item in release.items.filter(phase="before", gate=""):
        checklist_actions.tick(item, actor=world.person("alice"), note="read")
    world.work(lambda: readiness(release).ready)
    promotion_actions.promote(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")

    steps = release.promotions.get().steps.order_by("position")
    assert [str(step) for step in steps] == [
        "Merge",
        "Deploy",
        "Migrate signals",
        "Migrate billing",
        "Smoke",
        "Sync staging",
    ]
    assert steps[3].sentence == "1 revision applied; production's database billing is at b2."
    assert steps[2].migration_run.log != steps[3].migration_run.log
    assert (world.revisions("production"), world.revisions(BILLING)) == (["6f8b0d2e4a56"], ["b2"])
    end(world, release)


def test_a_failure_in_the_second_leaves_the_first_and_they_go_back_in_the_opposite_order(world):
    release = make_ready(world, cut(world))
    with connected(world, BILLING) as connection:
        connection.execute("alter table invoices add column paid_at text")
    promotion_actions.promote(release, actor=world.person("alice"))

    step = stopped_step(world, release)

    assert str(step) == "Migrate billing" and "already exists" in step.sentence
    assert step.world == "Production's database billing is at b1; 0 of 1 revisions were applied."
    first = step.promotion.steps.get(name="migrate", called="signals")
    assert (
        first.sentence == "2 revisions applied; production's database signals is at 6f8b0d2e4a56."
    )
    with connected(world, BILLING) as connection:
        connection.execute("alter table invoices drop column paid_at")
    promotion_actions.retry_step(release, actor=world.person("alice"))
    world.work(lambda: reread(release).status == "verifying")
    assert first.migration_run == reread(first).migration_run, "it ran once"

    assessment = assessed(world, release)
    assert assessment.revisions == ["signals: 6f8b0d2e4a56", "billing: b2"]
    assert (assessment.downgrade["file"]["id"], assessment.downgrade["database"]) == (
        "b2",
        "billing",
    )
    taken_back(world, release, "billing")
    assert world.revisions(BILLING) == ["b1"]
    assert assessed(world, release).downgrade["file"]["id"] == "6f8b0d2e4a56"
    failing = gates.GATES["production_at_head"](facts_of(release.pk))
    assert failing.state == gates.FAIL and failing.sentence.startswith(
        "billing: Production's database is at b1"
    )
    assert world.revisions("production") == ["6f8b0d2e4a56"]


def taken_back(world, release, name: str) -> None:
    alice, bob = world.person("alice"), world.person("bob")
    rehearsal = downgrade_actions.rehearse_downgrade(release, actor=alice)
    world.work(lambda: not reread(rehearsal).is_open, seconds=90)
    assert rehearsal.status == "succeeded" and rehearsal.database.name == name, rehearsal.sentence
    wish = downgrade_actions.request_downgrade(
        release, actor=alice, typed=name, reason="It breaks the invoices"
    )
    run = downgrade_actions.approve_downgrade(release, actor=bob, content=wish.content)
    world.work(lambda: not reread(run).is_open)
    assert (run.status, run.database.name) == ("succeeded", name), run.sentence
