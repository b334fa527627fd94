"""Production's plan beside what staging ran, and the plan of each environment."""

from dataclasses import replace

import pytest

from environments.databases import pending
from environments.models import EnvironmentDatabase, MigrationPlan, StagedRevision
from environments.schema.history.reader import read
from environments.schema.plan.render import Rendered, Statement, Step
from releases import gates
from releases.gates.context import facts_of
from releases.gates.sql_diff import Staged, compare, summary
from releases.pages import migrations as pages_migrations
from tests.environments.schema.history.histories import repository, source
from tests.environments.schema.run.test_runner import tree
from tests.factory import REVISIONS, make_people, make_plan_row, make_project, make_release
from tests.reading import squeezed
from tests.releases.gates.facts import NOW, REVISION, a_plan, good_facts

SQL = Rendered((Statement("ALTER TABLE events ADD COLUMN at DATE DEFAULT '2026-11-22'"),))
LATER = Rendered((Statement("ALTER TABLE events ADD COLUMN at DATE DEFAULT '2026-11-23'"),))
STEP = Step("r1", "versions/r1.py", "a" * 64, "m", upgrade=SQL)
KEY = ("r1", "a" * 64)
ASKS = Rendered(SQL.statements, "connection", "Line 9 reads an answer.")


@pytest.mark.parametrize(
    ("step", "staged", "state", "words"),
    [
        (
            STEP,
            {KEY: Staged(NOW, rendered=SQL, executed=(("k", "x"),))},
            "pass",
            "same SQL as staging",
        ),
        (
            STEP,
            {KEY: Staged(NOW, rendered=SQL, renderer="x")},
            "pass",
            "Staging's statements were not recorded",
        ),
        (
            STEP,
            {KEY: Staged(NOW, rendered=LATER, renderer="x")},
            "attest",
            "depends on the clock, on random values",
        ),
        (
            STEP,
            {KEY: Staged(NOW, rendered=LATER, renderer="Alembic 1.19")},
            "attest",
            "Alembic 1.19 wrote its SQL when",
        ),
        (STEP, {KEY: Staged(NOW)}, "wait", "in staging was not recorded"),
        (
            STEP,
            {KEY: Staged(NOW, rendered=ASKS, renderer="x")},
            "attest",
            "rendered to its end now: Line 9 reads",
        ),
        (
            replace(STEP, upgrade=ASKS),
            {KEY: Staged(NOW, rendered=ASKS)},
            "wait",
            "Line 9 reads an answer.",
        ),
        (
            STEP,
            {("r1", "b" * 64): Staged(NOW, rendered=SQL)},
            "attest",
            "edited after staging ran it",
        ),
        (STEP, {}, "wait", "Staging has not run it yet"),
    ],
)
def test_a_difference_to_what_staging_ran_is_explained(step, staged, state, words):
    [found] = compare([step], staged, "x")

    assert (found.state, words in found.sentence) == (state, True), found
    assert summary([found])[0] == state


def test_the_lines_that_differ_are_shown():
    [found] = compare([STEP], {KEY: Staged(NOW, rendered=LATER)}, "x")

    assert found.lines == (
        "-ALTER TABLE events ADD COLUMN at DATE DEFAULT '2026-11-23';",
        "+ALTER TABLE events ADD COLUMN at DATE DEFAULT '2026-11-22';",
    )


@pytest.mark.parametrize(
    ("starts", "state"),
    [
        ({"production": {"start": ["elsewhere"], "revisions": []}}, gates.PENDING),
        ({}, gates.PENDING),
        ({"production": {"start": ["now"], "revisions": [REVISION["id"]]}}, gates.PASS),
    ],
)
def test_a_plan_for_another_start_than_productions_does_not_count(starts, state):
    facts = good_facts(planned=a_plan(starts=starts))
    facts.databases[0].places["production"].revisions = ["now"]

    result = gates.GATES["migration_risks"](facts)

    assert result.state == state, result.sentence


@pytest.mark.django_db
def test_each_environment_gets_its_own_list_from_where_its_database_is(tmp_path):
    project = make_project(alembic="alembic.ini")
    history = read(
        repository(tmp_path / "git", tree(source("a1"), source("b2", "a1"), source("c3", "b2"))),
        "main",
        "alembic.ini",
    )
    for kind, at in (("staging", ["c3"]), ("production", ["a1"])):
        EnvironmentDatabase.objects.filter(environment__kind=kind).update(revisions=at)

    starts = pending.read(project.databases.get(), history)
    EnvironmentDatabase.objects.filter(environment__kind="staging").update(revisions=["lost"])
    lost = pending.read(project.databases.get(), history)

    assert starts["staging"] == {"start": ["c3"], "revisions": [], "problem": ""}
    assert starts["production"]["revisions"] == ["b2", "c3"]
    assert "“lost” is in no file" in lost["staging"]["problem"]


@pytest.mark.django_db
def test_what_staging_ran_keeps_the_planned_sql_and_the_page_says_production_runs_the_same():
    project = make_project()
    people = make_people()
    release = make_release(project, by=people["alice"], ready=True)
    plan = MigrationPlan.objects.get()

    pending.keep_rendered(plan)

    kept = StagedRevision.objects.filter(revision__in=[revision["id"] for revision in REVISIONS])
    assert all(
        row.rendered["statements"][0]["sql"] == "select 1" and row.renderer == plan.renderer
        for row in kept
    )
    facts = facts_of(release.pk)
    assert pages_migrations.context(facts)["migration_panels"][0].same_sql == (
        "pass",
        "Production will run the same SQL as staging: 2 revisions.",
    )
    assert [route.sentence for route in pages_migrations.routes(facts.databases[0])] == [
        "staging is at 4d1a2b3c4d5e: nothing is left to run.",
        "production: 2a8f45e9b1c0 → 4d1a2b3c4d5e, 2 revisions: 3c9d56f82e10, 4d1a2b3c4d5e.",
    ]
    other = Rendered((Statement("select 2"),))
    steps = [
        Step(revision["id"], revision["path"], revision["sha256"], "", False, other, other)
        for revision in REVISIONS
    ]
    from environments.schema.plan.render import steps_as_json

    make_plan_row(release, steps=steps_as_json(steps))
    assert (
        pages_migrations.context(facts_of(release.pk))["migration_panels"][0].same_sql[0]
        == "attest"
    )


@pytest.mark.django_db
def test_production_behind_its_branch_shows_what_runs_beside_the_releases_own(client):
    project = make_project()
    people = make_people()
    release = make_release(project, by=people["alice"])
    older = Step("0e0e0e0e0e0e", "versions/0e.py", "e" * 64, "older", upgrade=SQL, downgrade=SQL)
    plan = MigrationPlan.objects.get()
    from environments.schema.plan.render import steps_as_json

    plan.steps = [*steps_as_json([older]), *plan.steps]
    plan.starts["production"]["revisions"] = [
        "0e0e0e0e0e0e",
        *plan.starts["production"]["revisions"],
    ]
    plan.save()
    client.force_login(people["alice"])

    page = squeezed(client.get(f"/releases/{release.pk}/"))

    assert "production&#x27;s database still lacks it" in page and "0e0e0e0e0e0e" in page
    assert '<span class="sql-w">ALTER</span>' in page and "&#x27;2026-11-22&#x27;" in page
