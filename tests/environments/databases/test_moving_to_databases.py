"""What a project had before it had databases: all of it is there afterwards, and every row names
its database.
"""

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from tests.other_database import migrate_as_it_was, other_database

pytestmark = pytest.mark.slow
URL = "postgresql://app:p%40ss-word@db.example.org/app"
NOW = timezone.now()
OLD = [("environments", "0001_initial"), ("releases", "0001_initial")]
RUNS = {
    "runner": "command",
    "migration_command": "cd backend && alembic upgrade head",
    "install_command": "pip x",
    "migration_variables": "API_KEY",
    "version_table": "meta.versions",
}


@pytest.fixture(scope="module")
def moved(older):
    """The models after the migrations, which run once over the projects of all tests: three times
    would take a minute.
    """
    with_everything(older)
    a_project(older, "plain")
    kept = a_project(older, "kept")
    make(
        older,
        "environments.environment",
        project=kept,
        name="staging",
        railway_id="e",
        database_url=URL,
    )
    for slug, repository in (
        ("first", "acme/Shop"),
        ("second", "Acme/shop"),
        ("third", "acme/other"),
    ):
        a_project(older, slug, repository=repository)
    return up_to_date()


@pytest.fixture(scope="module")
def older(django_db_setup, django_db_blocker):
    """A database at the tables of before, as the alias "older": the models that were there."""
    with django_db_blocker.unblock(), other_database("older"):
        yield migrate_as_it_was("older", OLD).apps


def make(apps, name: str, /, **values):
    app, model = name.split(".")
    return apps.get_model(app, model).objects.using("older").create(**values)


def rows(apps, name: str):
    app, model = name.split(".")
    return apps.get_model(app, model).objects.using("older")


def up_to_date():
    executor = MigrationExecutor(connections["older"])
    leaves = [
        leaf
        for leaf in executor.loader.graph.leaf_nodes()
        if leaf[0] in ("environments", "releases")
    ]
    return executor.migrate(leaves).apps


def a_project(apps, slug: str, **values):
    known = {"name": slug, "slug": slug, "repository": f"acme/{slug}"}
    return make(apps, "environments.project", **(known | values))


def with_everything(older) -> None:
    """The project “inspector”, with a row of each kind that names a database afterwards."""
    project = a_project(
        older,
        "inspector",
        alembic="backend/alembic.ini",
        database_service="api",
        database_variable="PG_URL",
        **RUNS,
    )
    staging = make(
        older,
        "environments.environment",
        project=project,
        name="staging",
        kind="staging",
        railway_id="e",
        database_url=URL,
        revisions=["b2"],
        revisions_at=NOW,
        revisions_problem="slow",
    )
    run = make(older, "environments.migrationrun", environment=staging, commit="c", after=["b2"])
    make(older, "environments.rehearsal", environment=staging, commit="c")
    make(older, "environments.migrationplan", project=project, commit="c", base="b")
    make(
        older,
        "environments.stagedrevision",
        project=project,
        revision="b2",
        sha256="d" * 64,
        run=run,
        at=NOW,
    )
    make(
        older,
        "environments.schemastanding",
        environment=staging,
        branch="staging",
        commit="c",
        state="level",
        since=NOW,
        read_at=NOW,
    )
    release = make(
        older, "releases.release", project=project, name="1", candidate="c", base="b", heads=["b2"]
    )
    promotion = make(older, "releases.promotion", release=release, found=["a1"])
    for position, name in enumerate(("merge", "migrate")):
        make(older, "releases.promotionstep", promotion=promotion, position=position, name=name)


def test_everything_that_was_known_of_the_one_database_is_known_of_the_first(moved):
    staging = rows(moved, "environments.environment").get(project__slug="inspector")
    [database] = rows(moved, "environments.database").filter(project__slug="inspector")
    assert {name: getattr(database, name) for name in RUNS} == RUNS
    assert (database.name, database.alembic, database.service) == (
        "main",
        "backend/alembic.ini",
        "api",
    )
    assert (database.variable, database.public_service) == (
        "PG_URL",
        "",
    )  # the address stays where it was
    [place] = rows(moved, "environments.environmentdatabase").filter(environment_id=staging.pk)
    assert (place.url.reveal(), place.revisions, place.revisions_at) == (URL, ["b2"], NOW)
    assert (place.environment_id, place.database_id, place.revisions_problem) == (
        staging.pk,
        database.pk,
        "slow",
    )
    for name in ("migrationrun", "rehearsal", "migrationplan", "stagedrevision", "databasestatus"):
        assert rows(moved, f"environments.{name}").get().database_id == database.pk, name
    steps = rows(moved, "releases.promotionstep").order_by("position")
    assert list(steps.values_list("name", "database")) == [
        ("merge", None),
        ("migrate", database.pk),
    ]
    assert rows(moved, "releases.promotion").get().found == {str(database.pk): ["a1"]}


def test_a_project_without_migrations_gets_a_database_only_where_something_would_be_lost(moved):
    databases = rows(moved, "environments.database")
    [database] = databases.filter(project__slug__in=("plain", "kept"))
    assert (database.project.slug, database.alembic) == ("kept", "")
    [place] = rows(moved, "environments.environmentdatabase").filter(database_id=database.pk)
    assert place.url.reveal() == URL


def test_projects_that_share_a_repository_stay_and_no_further_one_can_be_made(moved):
    shared = rows(moved, "environments.project").filter(shares_repository=True)
    assert list(shared.values_list("slug", flat=True)) == ["second"]
    with (
        pytest.raises(IntegrityError, match="project_one_for_a_repository"),
        transaction.atomic(using="older"),
    ):
        a_project(moved, "fourth", repository="ACME/SHOP")
