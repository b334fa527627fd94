"""What is found of a process run by hand, in a real repository, and that nothing of it is run."""

import subprocess

import pytest

from environments.git.repository import Mirror
from environments.runbook.read import leftovers

MARK = "ran.txt"
SYNC = """#!/bin/sh
touch ran.txt
git fetch origin
git checkout staging
git merge --ff-only origin/main
git push origin main:staging
"""
FILES = {
    ".github/workflows/preview_env.yml": "on: pull_request\njobs: {}\n",
    ".github/workflows/release.yml": "steps:\n  - run: railway up --service backend\n",
    ".github/workflows/migrate.yaml": "steps:\n  - run: cd backend && alembic upgrade head\n",
    "scripts/sync_staging_to_main.sh": SYNC,
    "scripts/new_task_log.sh": "touch ran.txt; mkdir -p .task_logs\n",
    "Makefile": "migrate:\n\tcd backend && alembic -c a.ini -x p=1 upgrade head\n",
    "backend/Dockerfile": 'CMD ["alembic", "upgrade", "head"]\n',
    "backend/app/main.py": "from alembic import command\ncommand.upgrade(config, 'head')\n",
    "docs/release.md": "Then run `alembic upgrade head`, and `railway whoami`.\n",
    "README.md": "Rebase first: git rebase origin/main\n",
    "backend/tests/test_db.py": "command.upgrade(config, 'head')\n",
    "node_modules/x/README.md": "alembic upgrade head\n",
    ".gitignore": ".task_logs/\n",
    "backend/alembic/versions/1.py": '"""Before alembic upgrade."""\nrevision = "1"\n',
    "odd name:ü.sh": "alembic upgrade head\n",
}


@pytest.fixture
def repository(tmp_path):
    def made(files):
        git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.com"]
        subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        subprocess.run([*git, "add", "--force", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "--message", "x"], check=True)
        mirror = Mirror(tmp_path)
        return mirror, mirror.commit("HEAD")

    return made


def found(mirror, commit, staging="staging", main="main"):
    return {(one.kind, one.path): one for one in leftovers(mirror, commit, staging, main)}


def test_everything_a_runbook_names_is_found_with_file_and_line(repository, tmp_path):
    got = found(*repository(FILES))

    assert {key: (one.place, one.line) for key, one in got.items()} == {
        ("previews", ".github/workflows/preview_env.yml"): ("workflow", 0),
        ("sync", "scripts/sync_staging_to_main.sh"): ("script", 6),
        ("task_log", "scripts/new_task_log.sh"): ("script", 1),
        ("migrate", ".github/workflows/migrate.yaml"): ("workflow", 2),
        ("migrate", "Makefile"): ("script", 2),
        ("migrate", "backend/Dockerfile"): ("startup", 1),
        ("migrate", "backend/app/main.py"): ("code", 2),
        ("migrate", "docs/release.md"): ("document", 1),
        ("migrate", "odd name:ü.sh"): ("script", 1),
        ("deploy", ".github/workflows/release.yml"): ("workflow", 2),
        ("token", "docs/release.md"): ("document", 1),
    }
    assert not (tmp_path / MARK).exists(), "A script of the repository was run."


@pytest.mark.parametrize("staging", ["stage.next", "release/next", "a+b"])
def test_branches_may_have_any_name(repository, staging):
    script = {"ops/level.sh": f"git push origin trunk:{staging}\n"}

    got = found(*repository(script), staging=staging, main="trunk")

    assert list(got) == [("sync", "ops/level.sh")]


def test_a_branch_whose_name_only_begins_alike_is_another(repository):
    got = found(*repository({"x.sh": "git push origin main:staging-two\n"}))
    assert got == {}


def test_a_repository_without_leftovers_has_none(repository):
    assert found(*repository({"backend/app.py": "print('hello')\n"})) == {}


def test_no_more_is_kept_than_a_page_can_show(repository):
    many = {f"docs/{number}.md": "alembic upgrade head\n" for number in range(260)}
    assert len(found(*repository(many))) == 200
