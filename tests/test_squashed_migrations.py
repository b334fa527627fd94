"""An empty database gets the tables of the landed migrations, whichever way they are made.

The squashed migrations make them at once; a database of an earlier version gets the rest of the
landed ones, as before.
"""

import re
import subprocess

import pytest
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from portal.server.postgres_wheel import binaries
from tests.other_database import migrate_as_it_was, other_database

pytestmark = pytest.mark.slow
OURS = ("environments", "portal", "releases")
MIDDLE = [
    ("environments", "0017_renamed_repositories"),
    ("portal", "0007_trace_of_jobs"),
    ("releases", "0011_the_project_knows_its_repositorys_name"),
]
RUN = re.compile(r"^\\(un)?restrict .*", re.MULTILINE)  # differs in each dump
STATEMENT = re.compile(r"^--\n-- (?:Name|Data for Name): .*\n--\n", re.MULTILINE)


@pytest.fixture(scope="module")
def at_once(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), other_database("at_once"):
        yield MigrationExecutor(connections["at_once"])


@pytest.fixture(scope="module")
def from_the_middle(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), other_database("from_the_middle"):
        migrate_as_it_was("from_the_middle", MIDDLE)
        yield MigrationExecutor(connections["from_the_middle"])


@pytest.fixture(scope="module")
def plans(at_once, from_the_middle):
    """What each of the two databases ran of ours, in order."""
    ran = {}
    for executor in (at_once, from_the_middle):
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        executor.migrate(None, plan=plan)
        ran[executor.connection.alias] = [
            (one.app_label, one.name) for one, _ in plan if one.app_label in OURS
        ]
    return ran


def test_an_empty_database_runs_the_squashed_migrations_and_what_came_later(plans):
    replaced = {key for one in squashed().values() for key in one.replaces}

    assert set(squashed()) <= set(plans["at_once"]) and not replaced & set(plans["at_once"])


def test_a_database_in_the_middle_runs_the_rest_of_the_landed_migrations(plans):
    landed = {key for key in MigrationLoader(None).disk_migrations if key[0] in OURS}
    applied = {key for key in landed for app, name in MIDDLE if key[0] == app and key[1] <= name}

    assert set(plans["from_the_middle"]) == landed - applied - set(squashed())


def test_both_have_the_same_tables_functions_triggers_and_rights(plans):
    assert dumped("at_once", "--schema-only") == dumped("from_the_middle", "--schema-only")


def test_both_have_the_same_rows(plans):
    rows = ("--data-only", "--inserts", "--exclude-table-data=django_migrations")

    assert dumped("at_once", *rows) == dumped("from_the_middle", *rows)


def test_both_count_as_up_to_date_for_this_version_and_for_one_that_knows_landed_names_only(plans):
    both = [
        set(MigrationRecorder(connections[alias]).applied_migrations())
        for alias in ("at_once", "from_the_middle")
    ]

    assert both[0] == both[1] == set(MigrationLoader(None).disk_migrations)


def test_a_database_in_which_every_landed_migration_ran_has_nothing_left_to_run(plans):
    recorded = MigrationRecorder(connections["from_the_middle"])
    for app, name in squashed():
        recorded.record_unapplied(app, name)

    executor = MigrationExecutor(connections["from_the_middle"])
    left = executor.migration_plan(executor.loader.graph.leaf_nodes())
    executor.migrate(None, plan=left)

    assert left == [] and set(squashed()) <= set(recorded.applied_migrations())


def test_every_landed_migration_up_to_the_squashed_ones_is_replaced_by_one():
    landed = MigrationLoader(None).disk_migrations

    for (app, name), one in squashed().items():
        last = name.removeprefix("0001_squashed_")
        assert sorted(one.replaces) == sorted(
            key for key in landed if key[0] == app and key[1] <= last and key not in squashed()
        )


def squashed() -> dict:
    known = MigrationLoader(None).disk_migrations
    return {key: one for key, one in known.items() if one.replaces and key[0] in OURS}


def dumped(alias: str, *what: str) -> list[str]:
    """The statements that make the database, in no order of theirs."""
    known = connections[alias].settings_dict
    address = [f"--host={known['HOST']}", f"--port={known['PORT']}", f"--username={known['USER']}"]
    command = [binaries() / "pg_dump", *what, *address, known["NAME"]]
    env = {"PGPASSWORD": known["PASSWORD"]}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return sorted(one.strip() for one in STATEMENT.split(RUN.sub("", done.stdout)))
