"""The sample product, and repositories that are not ours."""

import io
import os
import subprocess
import sys
import tarfile

import psycopg
import pytest

from portal.sandbox import sample
from portal.sandbox.github import GitHubStandIn, Refused
from portal.sandbox.github.git import Git
from portal.sandbox.github.git_objects import GitError

from .conftest import TOKEN
from .test_protocol import git


def test_the_sample_is_the_same_every_time(built, tmp_path):
    again = sample.build(tmp_path)

    assert again.branches == built.branches
    assert again.merged == built.merged


def test_staging_is_ahead_of_main_by_two_migrations(built):
    changes = Git(built.path).changes(built.branches["main"], built.branches["staging"])

    new = sorted(change.path for change in changes if "/versions/" in change.path)
    assert [path.split("/")[-1].split("_", 1)[1] for path in new] == [
        "add_integration_settings.py",
        "index_events_workspace_id.py",
    ]


@pytest.fixture
def database():
    name = f"sample_{os.getpid()}"
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield url.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_its_migrations_really_run_up_and_down(built, tmp_path, database):
    packed = Git(built.path).run("archive", "staging").stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(tmp_path, filter="data")

    def alembic(*words):
        command = [sys.executable, "-m", "alembic", *words]
        env = os.environ | {"DATABASE_URL": database}
        done = subprocess.run(
            command, cwd=tmp_path / "backend", env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    alembic("upgrade", "head")
    with psycopg.connect(database) as connection:
        up = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        indexes = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE tablename = 'events'"
        ).fetchall()
    alembic("downgrade", "base")
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()

    assert up == [("6f8b0d2e4a56",)]
    assert ("events_workspace_id",) in indexes
    assert tables == [("alembic_version",)]


def test_it_serves_green_checks_merged_and_open_pull_requests_and_a_protected_main(world):
    repo = world.repo()

    states = {p.number: "merged" if p.merged_at else p.state for p in repo.get_pulls(state="all")}

    assert states == dict.fromkeys(range(124, 129), "merged") | {129: "open", 130: "open"}
    assert [c.conclusion for c in repo.get_commit("staging").get_check_runs()] == ["success"]
    assert repo.get_branch("main").protected
    assert repo.get_commit(world.sample.merged[0].commit).get_pulls()[0].number == 124


@pytest.fixture
def foreign(tmp_path):
    """Somebody's ordinary checkout, with branches of other names."""
    path = tmp_path / "foreign"
    path.mkdir()
    git("init", "--quiet", "-b", "trunk", cwd=path)
    for n in range(3):
        (path / "file ü.txt").write_text(f"{n}\n")
        git("add", ".", cwd=path)
        git("commit", "--quiet", "-m", f"Change {n}", cwd=path)
    return path


def test_any_repository_is_copied_by_any_revision(foreign, tmp_path):
    hub = GitHubStandIn(tmp_path / "hub", owner="o", name="n")

    hub.import_repository(foreign, {"main": "HEAD~2", "staging": "trunk"})
    sample.demo_state(hub)

    heads = hub.heads()
    assert hub.git.ahead_behind(heads["main"], heads["staging"]) == (2, 0)
    assert [change.path for change in hub.git.changes(heads["main"], heads["staging"])] == [
        "file ü.txt"
    ]
    assert hub.state["checks"][0]["head_sha"] == heads["staging"]


def test_a_shallow_clone_is_copied_as_far_as_it_goes(foreign, tmp_path):
    git("clone", "--quiet", "--depth=2", f"file://{foreign}", str(tmp_path / "shallow"))
    hub = GitHubStandIn(tmp_path / "hub", owner="o", name="n")

    hub.import_repository(tmp_path / "shallow", {"main": "HEAD~1", "staging": "HEAD"})

    assert len(hub.git.commits("staging")) == 2


def test_a_revision_that_is_not_there_is_refused_in_gits_words(foreign, tmp_path):
    hub = GitHubStandIn(tmp_path / "hub", owner="o", name="n")

    with pytest.raises(GitError, match="Needed a single revision"):
        hub.import_repository(foreign, {"main": "no-such-branch"})


def test_story_methods_refuse_what_the_api_refuses(world):
    with pytest.raises(Refused, match="not mergeable"):
        world.hub.close_pull(129)
        world.hub.merge_pull(129)


def test_links_lead_to_pages_that_escape_what_people_wrote(world):
    world.hub.push_commit("feature/x", {"x": "1\n"}, "X")
    number = world.hub.open_pull("feature/x", "staging", "<script>alert(1)</script>")
    link = world.repo().get_pull(number).html_url

    answer = world.http.get(link, headers={"Authorization": f"token {TOKEN}"})

    assert answer.headers["content-type"].startswith("text/html")
    assert "<script>" not in answer.text


def test_an_archive_is_reached_by_its_redirect(world):
    answer = world.http.get(world.path("/tarball/staging"), follow_redirects=True)

    with tarfile.open(fileobj=io.BytesIO(answer.content)) as packed:
        assert any(name.endswith("backend/alembic.ini") for name in packed.getnames())
