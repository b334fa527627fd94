"""`make demo` as the README says it, on a small repository, in a checkout below a directory that
only its owner enters, such as /root: where the tests run as root, PostgreSQL and the child that
executes migrations are other users there.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from portal.sandbox.sample import migration

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
CODE = ("portal", "environments", "releases", "templates", "manage.py", "Makefile")
ENV_PY = """\
from alembic import context
from sqlalchemy import engine_from_config, pool

engine = engine_from_config(
    context.config.get_section(context.config.config_ini_section), poolclass=pool.NullPool
)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.fixture
def checkout(tmp_path):
    """The portal as a person checked it out below a directory of mode 0700, with this .venv."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    place = private / "portal"
    place.mkdir()
    for name in CODE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, place / name)
    (place / ".venv").symlink_to(ROOT / ".venv")
    return place


def small_repository(directory):
    """A repository with an application of one file and two revisions, one of them on staging."""

    def git(*arguments):
        identity = ["-c", "user.name=dev", "-c", "user.email=dev@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=directory, check=True)

    versions = directory / "migrations" / "versions"
    versions.mkdir(parents=True)
    (directory / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    (directory / "migrations" / "env.py").write_text(ENV_PY)
    (directory / "app.py").write_text("print('one')\n")
    for number, branch, before in (
        ("1a2b3c4d5e6f", "main", None),
        ("2b3c4d5e6f7a", "staging", "1"),
    ):
        if branch == "main":
            git("init", "--quiet", "--initial-branch=main")
        else:
            git("checkout", "--quiet", "-b", branch)
        up = f'op.execute("create table of_{branch} (id int)")'
        down = f'op.execute("drop table of_{branch}")'
        files = migration(number, "1a2b3c4d5e6f" if before else None, branch, up, down)
        for text in files.values():
            (versions / f"{number}_{branch}.py").write_text(text)
        git("add", ".")
        git("commit", "--quiet", "-m", f"For {branch}")
    return directory


def test_a_release_is_shipped_from_a_checkout_below_a_private_directory(checkout, tmp_path):
    repository = tmp_path / "theirs"
    repository.mkdir()
    small_repository(repository)
    # What make test was told does not reach this make, nor does the test's own database.
    ours = (
        "MAKE",
        "MFLAGS",
        "DATABASE_URL",
        "PORTAL_",
        "GITHUB_",
        "RAILWAY_",
        "DJANGO_",
        "SANDBOX",
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"PORTAL_ENV_FILE": os.devnull}

    done = subprocess.run(
        # -o: the packages are installed; this is not about that.
        ["make", "-o", ".venv/requirements.lock", "demo", f"ARGS=--repository {repository} --json"],
        cwd=checkout,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["ok"] and report["audit"]["verified"]
    assert report["migrations"] == ["2b3c4d5e6f7a"]
    assert report["revisions"]["production"]["after"] == ["2b3c4d5e6f7a"]
    assert report["branches"]["main"]["before"] != report["branches"]["main"]["after"]
