"""The wheel has everything that a checkout has, and one version."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from portal.version import VERSION

ROOT = Path(__file__).resolve().parents[2]


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION
    assert project["license"] == "MIT" and (ROOT / "LICENSE").exists()


@pytest.mark.slow
def test_a_wheel_migrates_an_empty_database_and_shows_its_pages(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    tracked = subprocess.run(
        ["git", "ls-files", "portal", "environments", "releases"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert [
        one
        for one in tracked
        if not (tmp_path / "installed" / one).exists() and (ROOT / one).exists()
    ] == []

    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    }
    env |= {
        "PYTHONPATH": str(tmp_path / "installed"),
        "SECRET_KEY": "k" * 50,
        "PORTAL_ENV_FILE": os.devnull,
    }
    env.pop("PORTAL_VAR_DIR", None)
    look = (
        "from django.test import Client; page = Client(headers={'host':"
        " 'localhost'}).get('/setup/');import portal; print(page.status_code, 'Release"
        " portal' in page.text, portal.__file__)"
    )
    (tmp_path / "here").mkdir()
    for arguments in (["migrate", "--verbosity=0"], ["shell", "--verbosity=0", "-c", look]):
        command = [sys.executable, "-m", "portal", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path / "here", env=env, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()[-1]  # before it the code of the first administrator
    assert said.startswith("200 True") and str(tmp_path / "installed") in said
    assert (tmp_path / "here/var/postgres").is_dir()  # its files lie where it is started
