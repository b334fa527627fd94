"""No secret that a migration meets is kept or shown, whoever runs it: rows, evidence, pages,
logs.
"""

import logging
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client

from environments.databases import actions as environment_actions
from environments.models import MigrationRun
from tests.journeys.test_release import cut
from tests.journeys.test_runners import finish, use
from tests.reading import squeezed

pytestmark = pytest.mark.slow
NAMED, UNNAMED = "canary-named-4711", "canary-other-4712"
TELLS = (
    "env; echo $DATABASE_URL >&2; echo \"[SQL: select '$API_KEY' from nowhere]\"; "
    'echo "sqlalchemy.exc.ProgrammingError: (psycopg.Error) no $API_KEY at $DATABASE_URL"; exit 9'
)


def test_no_canary_reaches_a_row_a_page_or_the_workers_log(world, caplog):
    caplog.set_level(logging.DEBUG)
    for name, value in (("API_KEY", NAMED), ("OTHER_TOKEN", UNNAMED)):
        world.railway.set_variable("staging", "backend", name, value)
    release, alice = cut(world), world.person("alice")
    staging = world.project.environments.get(kind="staging")

    for settings in (
        {"runner": "command", "migration_command": TELLS, "migration_variables": "API_KEY"},
        {"runner": "railway", "migration_command": TELLS},
        {"runner": "verify"},
        {"runner": "portal"},
    ):
        use(world, **settings)
        staging.refresh_from_db()
        run = environment_actions.start_migration(
            staging, database=world.project.databases.get(), actor=alice, commit=release.candidate
        )
        finish(world, run)
        assert run.status == ("succeeded" if settings["runner"] == "portal" else "failed"), (
            run.sentence
        )
        staging = world.project.environments.select_related("project").get(kind="staging")

    told = MigrationRun.objects.filter(runner__in=["command", "railway"])
    assert all(
        "API_KEY=•••" in run.log and run.failed_statement == "select '•••' from nowhere"
        for run in told
    )
    pages = [f"/releases/{release.pk}/", "/migrations/", "/audit/", "/environments/", "/variables/"]
    shown = "".join(
        _page(world, address) for address in pages + [f"/migrations/{run.pk}/" for run in told]
    )
    password = urlsplit(world.databases["staging"]).password
    for canary in (NAMED, UNNAMED, password):
        assert canary not in shown and canary not in caplog.text
        assert _tables_with(canary) == []


def _page(world, address: str) -> str:
    client = Client()
    client.force_login(world.person("dave"))
    return squeezed(client.get(address))


def _tables_with(canary: str) -> list[str]:
    """Every table of the portal one of whose rows holds `canary` in any column."""
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        found = []
        for name in names:
            cursor.execute(
                f'select exists (select from "{name}" t where position(%s in t::text) > 0)',  # noqa: S608
                [canary],
            )
            if cursor.fetchone()[0]:
                found.append(name)
    return found
