"""What a repository's migrations need to run, found by reading it."""

import pytest

from releases.demo.address import assignments, driver
from releases.demo.found import Found, find
from tests.cases.builder import files
from tests.environments.schema.history.histories import repository
from tests.faults import foreign_styles as styles


def found(tmp_path, main, staging, alembic) -> Found:
    mirror = repository(tmp_path / "git", main, staging)
    return find(mirror, "c0", "main", alembic)


@pytest.mark.parametrize(
    ("main", "under", "alembic"),
    [
        (styles.LANGFLOW, "src/shop/alembic", "src/alembic.ini"),
        (styles.WAREHOUSE, "shop/migrations", "shop/migrations"),
        (styles.REALWORLD, "app/db/migrations", "alembic.ini"),
        (styles.DIALECTS, "shop/migrations", "alembic.ini"),
    ],
    ids=["advisory-lock", "timeouts", "settings", "another-dialect"],
)
def test_the_portals_runner_is_enough_where_only_the_address_comes_from_the_project(
    tmp_path, main, under, alembic
):
    staging = files(styles.B, under=f"{under}/versions")

    assert found(tmp_path, main, staging, alembic).why == ""


def test_settings_of_parts_get_the_parts_of_the_address(tmp_path):
    staging = files(styles.SQLMODEL, under="backend/app/alembic/versions")

    it = found(tmp_path, styles.FASTAPI_TEMPLATE, staging, "backend/alembic.ini")

    assert it.why == "its migrations import “sqlmodel”"
    assert it.install == "cd backend && pip install -r requirements.txt"
    assert 'export POSTGRES_SERVER="$PGHOST"' in it.command
    assert 'export POSTGRES_DB="$PGDATABASE"' in it.command
    assert it.command.endswith("&& cd backend && alembic upgrade head")
    assert 'export DATABASE_URL="postgresql+psycopg://${DATABASE_URL#*://}"' in it.command


def test_a_script_directory_below_the_ini_is_run_from_where_it_is_seen(tmp_path):
    main = styles.MEALIE | {"shop/alembic.ini": styles.MEALIE["alembic.ini"]}
    del main["alembic.ini"]
    staging = files(styles.GUID, under="shop/alembic/versions")

    it = found(tmp_path, main, staging, "shop/alembic.ini")

    assert it.command.endswith("&& alembic -c shop/alembic.ini upgrade head")
    assert (it.why, it.install) == ("its migrations import “shop”", "pip install .")


def test_flask_migrate_is_run_by_flask(tmp_path):
    staging = files(styles.GUID, under="api/migrations/versions")

    it = found(tmp_path, styles.DIFY, staging, "api/migrations")

    assert it.command.endswith("&& cd api && flask db upgrade")
    assert 'export DB_DATABASE="$PGDATABASE"' in it.command and "FLASK_APP" not in it.command


def test_an_application_in_a_package_is_named_to_flask(tmp_path):
    main = styles.DIFY | {"api/shop/__init__.py": styles.DIFY["api/app.py"], "api/app.py": None}
    staging = files(styles.GUID, under="api/migrations/versions")

    it = found(tmp_path, {k: v for k, v in main.items() if v}, staging, "api/migrations")

    assert 'export FLASK_APP="shop"' in it.command


def test_an_example_of_an_environment_gives_what_the_address_does_not(tmp_path):
    example = "DB_HOST=localhost\nDATABASE_URL=postgresql://x\nSECRET_KEY=abc\nEMPTY=\n"
    staging = files(styles.GUID, under="api/migrations/versions")

    it = found(tmp_path, styles.DIFY | {"api/.env.example": example}, staging, "api/migrations")

    assert it.variables == {"SECRET_KEY": "abc"}


def test_an_asynchronous_engine_gets_an_asynchronous_driver(tmp_path):
    staging = files(styles.UTILS, under="server/migrations/versions")

    it = found(tmp_path, styles.POLAR, staging, "server/alembic.ini")

    assert it.command.startswith(
        'export DATABASE_URL="postgresql+asyncpg://${DATABASE_URL#*://}" && cd server'
    )


def test_arguments_of_the_command_line_are_named(tmp_path):
    staging = files(styles.B, under="backend/alembic/versions")

    it = found(tmp_path, styles.TENANTS, staging, "backend/alembic.ini")

    assert it.why.startswith("its env.py reads -x arguments") and it.install == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("url = os.environ['DATABASE_URL']", {}),
        ("os.getenv('pg_dsn')", {"PG_DSN": "$DATABASE_URL", "pg_dsn": "$DATABASE_URL"}),
        ("SQLALCHEMY_DATABASE_URI", {"SQLALCHEMY_DATABASE_URI": "$DATABASE_URL"}),
        ("DB_HOST, DB_PASS", {"DB_HOST": "$PGHOST", "DB_PASS": "$PGPASSWORD"}),
        (
            "env_prefix='SHOP_'\nDB_NAME: str",
            {"DB_NAME": "$PGDATABASE", "SHOP_DB_NAME": "$PGDATABASE"},
        ),
        ("REDIS_HOST, SMTP_PORT, PGHOST, user, password", {}),
    ],
)
def test_the_variables_of_an_address_are_read_from_the_code(text, expected):
    assert assignments([text]) == expected


@pytest.mark.parametrize(
    ("env_py", "packages", "expected"),
    [
        ("create_async_engine(url)", "asyncpg==0.30\npsycopg2", "asyncpg"),
        ("create_engine(url)", "asyncpg\npsycopg2-binary==2.9", ""),
        ("create_engine(url)", "psycopg[binary]>=3", "psycopg"),
        ("create_engine(url)", 'name = "psycopg-binary"\nname = "psycopg"', "psycopg"),
        ("create_engine(url)", "flask", ""),
    ],
)
def test_the_driver_is_the_one_that_is_installed(env_py, packages, expected):
    assert driver(env_py, [packages]) == expected
