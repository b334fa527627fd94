"""Data of every version that was kept, the oldest first of all, comes up to this one, and works.

Versions are kept in the repository by `tests.deploy.keep_version`, so a clone without history has
them too.
"""

import gzip
import os
import subprocess
from uuid import uuid4

import psycopg
import pytest

from portal.server.postgres_wheel import binaries
from tests.deploy.keep_version import MIGRATION, ROOT, VERSIONS, digest, manage

# "An audit event is one text and its columns a view": since then no landed migration was changed.
OLDEST = "1a28df3"
KEPT = sorted(path.name.removesuffix(".sql.gz") for path in VERSIONS.glob("*.sql.gz"))
LOOK = """
from django.test import Client
from django.contrib.auth.models import User
from environments.models import Database, Project
from releases.models import ChecklistItem, Promotion, Release
assert (Release.objects.count(), Promotion.objects.count(), Project.objects.count()) == (1, 1, 1)
assert ChecklistItem.objects.count() >= 5, ChecklistItem.objects.count()
assert [one.alembic for one in Database.objects.all()] == ["backend/alembic.ini"]
client = Client(headers={"host": "localhost"})
client.force_login(
    User.objects.get(username="dave"), backend="django.contrib.auth.backends.ModelBackend")
release = f"/releases/{Release.objects.get().pk}/"
for address in ("/", "/releases/", release, "/environments/", "/audit/", "/status/"):
    assert client.get(address).status_code == 200, address
print("It works.")
"""


def kept(version: str) -> str:
    return gzip.decompress((VERSIONS / f"{version}.sql.gz").read_bytes()).decode()


@pytest.fixture
def empty_database():
    server, name = os.environ["DATABASE_URL"].rpartition("/")[0], f"upgrade_{uuid4().hex[:8]}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
        yield f"{server}/{name}"
        connection.execute(f"drop database {name} with (force)")


@pytest.mark.slow
@pytest.mark.parametrize("version", KEPT)
def test_the_data_of_a_kept_version_comes_up_to_this_one(version, empty_database, tmp_path):
    load = [binaries() / "psql", "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", empty_database]
    subprocess.run(load, input=kept(version), text=True, check=True, stdout=subprocess.DEVNULL)

    manage(ROOT, empty_database, tmp_path, "migrate", "--verbosity=0")

    seen = manage(ROOT, empty_database, tmp_path, "shell", "--verbosity=0", "-c", LOOK)
    assert "It works." in seen
    told = manage(ROOT, empty_database, tmp_path, "verify_audit", "--offline")
    assert "as it was written" in told


@pytest.mark.parametrize("version", KEPT)
def test_no_migration_of_a_kept_version_was_changed_since(version):
    told = [line.split()[2:] for line in kept(version).splitlines() if line.startswith(MIGRATION)]

    assert len(told) >= 4
    assert [path for path, was in told if digest(ROOT / path) != was] == []


def test_the_oldest_version_and_every_tagged_one_are_kept():
    command = ["git", "tag", "--list", "v*"]
    tags = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.split()

    assert {OLDEST, *tags} <= set(KEPT)
