"""The portal's role is no superuser, and what an older portal made as one becomes its own."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from portal.database_role import role_fault
from portal.server.embedded_owner import ROLE, owned
from portal.server.embedded_postgres import start

pytestmark = pytest.mark.slow

MANAGE = [sys.executable, str(Path(__file__).parents[3] / "manage.py")]


@pytest.fixture(scope="module")
def server(tmp_path_factory, migrated_data_in):
    """A server whose database was migrated by its superuser, as an older portal did."""
    directory = tmp_path_factory.mktemp("owner") / "postgres"
    migrated_data_in(directory)
    server = start(directory, fsync=False)
    yield server
    server.stop()


def manage(server, url: str, *arguments: str) -> str:
    env = os.environ | {"DATABASE_URL": url, "PORTAL_VAR_DIR": str(server.directory.parent)}
    done = subprocess.run(
        [*MANAGE, *arguments], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_what_an_older_portal_made_as_the_superuser_is_handed_over_and_goes_on(server):
    manage(server, server.url, "createsuperuser", "--noinput", "--username", "gina", "--email", "")
    with psycopg.connect(server.url, autocommit=True) as old:
        old.execute('CREATE DATABASE "Inspector staging"')
    other = urlsplit(server.url)._replace(path="/Inspector%20staging").geturl()
    with psycopg.connect(other) as old:
        old.execute(
            "CREATE TYPE mood AS ENUM ('good'); CREATE SCHEMA more; CREATE TABLE more.t (id serial,"
            " m mood)"
        )

    ours = owned(server)

    with psycopg.connect(ours.url) as now:
        assert now.execute("SELECT current_user").fetchone() == (ROLE,)
        assert role_fault(now) == "" and now.execute(
            "SELECT username FROM auth_user"
        ).fetchall() == [("gina",)]
    with psycopg.connect(urlsplit(ours.url)._replace(path="/Inspector%20staging").geturl()) as now:
        now.execute(
            "ALTER TABLE more.t ADD x int; ALTER TYPE mood RENAME TO moods; DROP SCHEMA more"
            " CASCADE"
        )
    manage(server, ours.url, "migrate", "--verbosity", "0")
    assert "Every event is as it was written" in manage(server, ours.url, "verify_audit")
    assert owned(server).url == ours.url  # again: nothing to do


def test_it_may_make_databases_and_is_no_superuser(server):
    with psycopg.connect(owned(server).url, autocommit=True) as now:
        now.execute("CREATE DATABASE sandbox_target")
        now.execute("DROP DATABASE sandbox_target WITH (FORCE)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            now.execute("CREATE ROLE another SUPERUSER")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            now.execute("COPY (SELECT 1) TO PROGRAM 'true'")


def test_a_superuser_is_named(server):
    with psycopg.connect(server.url) as old:
        assert "is a superuser" in role_fault(old)


@pytest.mark.parametrize("command", ["web", "worker"])
def test_the_portal_does_not_start_as_a_superuser(server, command):
    asked = {
        "DATABASE_URL": server.url,
        "PORTAL_VAR_DIR": str(server.directory.parent),
        "PORT": "0",
    }
    env = {
        name: value for name, value in os.environ.items() if name != "ALLOW_SUPERUSER_DATABASE"
    } | asked

    done = subprocess.run(
        [*MANAGE, command], env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1 and "is a superuser" in done.stderr
    assert "ALLOW_SUPERUSER_DATABASE=1" in done.stderr and "Traceback" not in done.stderr
