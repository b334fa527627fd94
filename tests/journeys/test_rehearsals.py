"""Rehearsals in the life of a release: they begin by themselves, hold it back, find what was
done by hand.
"""

import psycopg
import pytest
from django.utils import timezone

from environments.models import Direction, Finding, Rehearsal, passed_rehearsal
from environments.rehearsals import actions as on_environments
from portal.sandbox.sample import migration
from releases import gates
from releases.gates.context import facts_of
from tests.journeys.test_release import cut, reread
from tests.journeys.world import quick_world

pytestmark = pytest.mark.slow
BROKEN = migration(
    "7a9c1e3f5b67", "6f8b0d2e4a56", "broken", 'op.drop_column("events", "nowhere")', "pass"
)


@pytest.fixture
def world(tmp_path, settings, db):
    with quick_world(tmp_path, settings, rehearse=True) as world:
        yield world


def of(world, kind: str, commit: str) -> Rehearsal | None:
    ended = Rehearsal.objects.filter(
        environment__kind=kind, commit=commit, finished_at__isnull=False
    )
    return ended.order_by("-pk").first()


def test_a_release_is_rehearsed_by_itself_and_what_was_changed_by_hand_is_found(world):
    with psycopg.connect(world.databases["production"], autocommit=True) as production:
        production.execute("create index ix_by_hand on events (id)")
    release = cut(world)

    world.work(lambda: gates.GATES["rehearsed"](facts_of(release.pk)).passed, seconds=90)

    row = of(world, "production", release.candidate)
    assert [file["id"] for file in row.files] == [one["id"] for one in release.migrations]
    assert row.left == [] and row.statements and row.warnings == []
    finding = Finding.objects.get(kind="schema", closed_at=None)
    assert (
        finding.sentence == "production has an index ix_by_hand that no migration creates."
        and finding.attestable
    )
    assert world.revisions("production") != release.heads
    known = {
        "environment": row.environment,
        "database": row.database,
        "commit": release.candidate,
        "now": row.finished_at,
    }
    assert passed_rehearsal(**known, start=row.start, files=row.files) == row
    assert passed_rehearsal(**known, start=["elsewhere"], files=row.files) is None
    assert (
        passed_rehearsal(**known, start=row.start, files=row.files, direction=Direction.DOWNGRADE)
        is None
    )

    broken = world.github.push_commit("staging", BROKEN, "Break it")
    world.work(lambda: of(world, "production", broken) is not None, seconds=90)

    failed = gates.GATES["rehearsed"](facts_of(release.pk))
    assert failed.state == gates.FAIL and "7a9c1e3f5b67" in failed.sentence
    assert "DROP COLUMN nowhere" in of(world, "production", broken).failed_statement


def test_a_cancelled_rehearsal_stays_cancelled_until_somebody_asks_anew(world, settings):
    settings.REHEARSE = False
    release = cut(world)
    alice, production = world.person("alice"), world.project.environments.get(kind="production")
    asked = on_environments.start_rehearsal(
        production, database=world.project.databases.get(), actor=alice, commit=release.candidate
    )

    on_environments.cancel_rehearsal(asked, actor=alice)
    settings.REHEARSE = True
    world.work(lambda: not reread(asked).is_open)
    staging = Rehearsal.objects.filter(environment__kind="staging")
    world.work(staging.exists)
    staging.update(status="cancelled", finished_at=timezone.now())  # it is not what this is about

    assert (
        asked.status == "cancelled"
        and Rehearsal.objects.filter(environment=production).count() == 1
    )
    assert gates.GATES["rehearsed"](facts_of(release.pk)).state == gates.PENDING
    back = on_environments.start_rehearsal(
        production,
        database=world.project.databases.get(),
        actor=alice,
        commit=release.candidate,
        direction=Direction.DOWNGRADE,
    )
    world.work(lambda: not reread(back).is_open, seconds=90)
    assert back.status == "succeeded" and len(back.files) == 1, back.sentence
