"""The sandbox starts only where it is asked for, and never in a database that was anything else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from portal.models.installation import Installation
from portal.modes import CONFIGURED, CREDENTIALS, WrongMode, asks_for_sandbox, settle
from tests.factory import make_project

ROOT = Path(__file__).resolve().parents[2]
READY = {
    "repository": "acme/inspector",
    "project": "p",
    "alembic": "",
    "staging": "staging",
    "production": "main",
}


def test_nothing_configured_asks_for_the_sandbox_and_anything_configured_does_not():
    assert asks_for_sandbox({})
    assert asks_for_sandbox(
        {"PORTAL_URL": "http://127.0.0.1:9", "SYNC_SECONDS": "1", "GITHUB_TOKEN": " "}
    )
    assert not any(asks_for_sandbox({name: "x"}) for name in CONFIGURED)


def test_a_token_that_is_missing_beside_a_database_is_no_sandbox():
    assert not asks_for_sandbox({"DATABASE_URL": "postgresql://production/portal"})
    assert not asks_for_sandbox({"DATABASE_URL": "postgresql://production/portal", "SANDBOX": "0"})


@pytest.mark.parametrize("name", [*CREDENTIALS, "DATABASE_URL"])
def test_a_sandbox_over_real_credentials_is_refused(name):
    with pytest.raises(WrongMode, match=name):
        asks_for_sandbox({"SANDBOX": "1", name: "x"})


@pytest.mark.django_db
@pytest.mark.parametrize("first", [True, False])
def test_what_the_first_start_settled_stays(first):
    settle(sandbox=first)
    settle(sandbox=first)

    with pytest.raises(WrongMode):
        settle(sandbox=not first)

    assert Installation.objects.get().sandbox == first


def seed() -> None:
    call_command("seed_sandbox", ready=json.dumps(READY), no_webhooks=True)


@pytest.mark.django_db
def test_no_people_are_made_where_the_sandbox_was_not_asked_for(settings, tmp_path):
    settings.VAR_DIR = tmp_path

    with pytest.raises(CommandError, match="SANDBOX is not set"):
        seed()

    assert not User.objects.exists() and not Installation.objects.exists()


@pytest.mark.django_db
def test_a_database_with_a_real_project_or_person_is_never_seeded(settings, tmp_path):
    settings.VAR_DIR, settings.SANDBOX = tmp_path, True
    project = make_project("billing", repository="firm/billing")
    with pytest.raises(CommandError, match="not the sandbox's"):
        seed()
    project.delete()
    person = User.objects.create_superuser("erin")
    with pytest.raises(CommandError, match="not the sandbox's"):
        seed()
    person.delete()
    settle(sandbox=False)
    with pytest.raises(CommandError, match="real portal"):
        seed()

    assert not User.objects.exists()


@pytest.mark.django_db
def test_an_older_sandbox_goes_on_as_one(settings, tmp_path):
    settings.VAR_DIR, settings.SANDBOX = tmp_path, True
    User.objects.create_superuser("dave")
    make_project(repository="acme/inspector", railway_project_id="p")

    seed()

    assert Installation.objects.get().sandbox


def start(var: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if name not in CONFIGURED}
    clean |= {"PORTAL_VAR_DIR": str(var), "PORTAL_ENV_FILE": os.devnull} | env
    command = [sys.executable, "manage.py", "run", "--port", "0"]
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60)


def test_a_real_portal_whose_settings_vanished_does_not_start_as_a_sandbox(tmp_path):
    (tmp_path / "real").touch()

    done = start(tmp_path)

    assert done.returncode == 1 and "its settings are gone" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real"]


def test_a_sandbox_with_a_named_database_does_not_start(tmp_path):
    done = start(tmp_path, SANDBOX="1", DATABASE_URL="postgresql://127.0.0.1:1/portal")

    assert done.returncode == 1 and "SANDBOX is set beside DATABASE_URL" in done.stderr
