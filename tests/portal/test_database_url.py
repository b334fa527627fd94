"""What DATABASE_URL says of the connection reaches PostgreSQL, or is refused."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured

from portal.environ import database

ROOT = Path(__file__).resolve().parents[2]
BASE = "postgresql://portal:p%40ss@db.example.com:5433/portal"


def options(url: str) -> dict[str, object]:
    return database(url, "public")["OPTIONS"]


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_how_tls_is_used_is_kept(mode):
    got = options(
        f"{BASE}?sslmode={mode}&sslrootcert=%2Fetc%2Fca%20one.pem&channel_binding=require"
    )

    assert got["sslmode"] == mode and got["sslrootcert"] == "/etc/ca one.pem"
    assert got["channel_binding"] == "require"
    assert "search_path" in got["options"] and got["application_name"] == "release-portal"


def test_what_is_not_said_is_as_before():
    assert not {"sslmode", "sslrootcert", "channel_binding"} & set(options(BASE))
    assert database(BASE, "public")["PASSWORD"] == "p@ss"


def test_the_operator_may_say_how_long_to_wait():
    assert options(f"{BASE}?connect_timeout=3")["connect_timeout"] == "3"


@pytest.mark.parametrize(
    "query",
    ["options=-csearch_path%3Devil", "sslmod=require", "dbname=other", "host=%2Ftmp", "SSLMODE=x"],
)
def test_any_other_option_is_refused_by_name(query):
    with pytest.raises(ImproperlyConfigured, match=query.partition("=")[0]):
        options(f"{BASE}?{query}")


def test_a_server_without_tls_is_refused_when_the_address_demands_it():
    """The real client against the real server, which speaks no TLS."""
    from django.db import connection

    settings = connection.settings_dict
    address = {"host": settings["HOST"], "port": settings["PORT"], "dbname": "postgres"}
    kept = options(f"{BASE}?sslmode=require") | {"options": ""}
    with pytest.raises(psycopg.OperationalError, match="SSL"):
        psycopg.connect(**address, user=settings["USER"], password=settings["PASSWORD"], **kept)


def test_a_backup_demands_it_too(monkeypatch):
    from django.db import connection

    from portal.backup import archive

    demanding = options(f"{BASE}?sslmode=require")
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", demanding)
    with pytest.raises(archive.BackupError, match="SSL"):
        archive._run("pg_dump", ["--schema-only"])


def test_the_program_says_so_and_does_not_start():
    env = os.environ | {"DATABASE_URL": f"{BASE}?sslmod=require", "PORTAL_ENV_FILE": os.devnull}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode and "options sslmod, which the portal does not take" in done.stderr
