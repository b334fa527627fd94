"""Data of the oldest version whose migrations are still the same comes up to this one, and
works.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# "An audit event is one text and its columns a view": since then no landed migration was changed.
OLDEST = "1a28df3"
FILL = """
from tests.factory import make_people, make_project, make_promotion, make_release
people = make_people()
project = make_project("inspector")
release = make_release(project, by=people["alice"], ready=True)
make_promotion(release, by=people["alice"], at="deploy", failed=True)
"""
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


def manage(code, var, *arguments):
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    }
    env |= {"PORTAL_VAR_DIR": str(var), "PORTAL_ENV_FILE": os.devnull, "SECRET_KEY": "k" * 50}
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=code, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
def test_data_of_the_oldest_version_comes_up_to_this_one(tmp_path):
    old, var = tmp_path / "old", tmp_path / "var"
    old.mkdir()
    packed = subprocess.run(["git", "archive", OLDEST], cwd=ROOT, capture_output=True)
    if packed.returncode:
        pytest.skip("this clone does not reach back to the oldest version")
    subprocess.run(["tar", "-x", "-C", old], input=packed.stdout, check=True)
    manage(old, var, "migrate", "--verbosity=0")
    manage(old, var, "shell", "-c", FILL)

    manage(ROOT, var, "migrate", "--verbosity=0")

    assert "It works." in manage(ROOT, var, "shell", "--verbosity=0", "-c", LOOK)
    assert "as it was written" in manage(ROOT, var, "verify_audit", "--offline")


def test_no_migration_of_the_oldest_version_was_changed_since():
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", OLDEST], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("this clone does not reach back to the oldest version")
    migrations = [path for path in listed.stdout.splitlines() if "/migrations/0" in path]
    changed = subprocess.run(
        ["git", "diff", "--name-only", OLDEST, "--", *migrations],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert len(migrations) >= 4 and changed.stdout == ""
