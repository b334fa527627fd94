"""What ran in staging is what runs in production, whatever a revision reads or pretends."""

import psycopg
import pytest

from portal.sandbox.sample import migration
from releases import gates
from releases.gates.context import facts_of
from releases.lifecycle import actions as lifecycle_actions
from releases.promotion import actions as promotion_actions
from tests.journeys.test_release import cut, make_ready, push, reread, stopped_step

pytestmark = pytest.mark.slow
ID = "7a9c1e3f5b67"
DOWN = 'op.execute("select 1")'


def revision(*lines: str) -> dict[str, str]:
    """A revision file on top of the sample's, with this body."""
    return migration(ID, "6f8b0d2e4a56", "one more", "\n    ".join(lines), DOWN)


def brought(world, files: dict[str, str]):
    """A release that brings `files` and whose staging has run them."""
    release = cut(world)
    commit = push(world, files)
    world.work(lambda: reread(release).collected == commit)
    run = lifecycle_actions.migrate_staging(release, actor=world.person("alice"))
    world.work(lambda: not reread(run).is_open)
    assert run.status == "succeeded", run.sentence
    return release


def test_a_file_that_a_revision_reads_is_part_of_what_staging_ran(world):
    read = 'op.execute((__import__("pathlib").Path(__file__).parent / "data.sql").read_text())'
    files = revision(read)
    beside = {f"{next(iter(files)).rpartition('/')[0]}/data.sql": "create table extra (id int)"}
    release = brought(world, files | beside)
    ready = gates.GATES["migrations_ready"](facts_of(release.pk))

    commit = push(world, dict.fromkeys(beside, "create table extra (id bigint)"))
    world.work(lambda: reread(release).collected == commit)
    edited = gates.GATES["migrations_ready"](facts_of(release.pk))

    assert ready.passed, ready
    assert edited.state == gates.FAIL and "the file or one that it imports" in edited.sentence


def test_a_revision_that_shows_one_statement_and_runs_another_waits_for_an_approver(world):
    files = revision(
        'loud = "" if op.get_context().as_sql else "loud"',
        'op.execute(f"create table quiet{loud} (id int)")',
    )

    release = brought(world, files)
    world.work(lambda: gates.GATES["migration_risks"](facts_of(release.pk)).state == gates.ATTEST)
    risk = facts_of(release.pk).databases[0].planned.risks[0]

    assert (risk.code, risk.revision) == ("unplanned-sql", ID)
    assert risk.sql == "create table quietloud (id int)"


def test_a_revision_that_knows_production_runs_nothing_there_that_staging_did_not_run(world):
    files = revision(
        'op.execute("create table kept (id int)")',
        "context = op.get_context()",
        'if not context.as_sql and "production" in context.connection.engine.url.database:',
        '    op.execute("drop table events")',
    )
    release = make_ready(world, brought(world, files))

    promotion_actions.promote(release, actor=world.person("alice"))
    step = stopped_step(world, release)

    assert step.name == "migrate" and "staging did not run this statement" in step.sentence
    assert "drop table events" in step.sentence
    with psycopg.connect(world.databases["production"]) as connection:
        there = connection.execute(
            "select to_regclass('events')::text, to_regclass('kept')::text"
        ).fetchall()
    assert there == [("events", None)]
