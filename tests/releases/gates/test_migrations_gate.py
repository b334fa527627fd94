"""“Are there migrations in this release?”, from git to the gate: what is new, and which command
fixes what is wrong.
"""

import re
import subprocess

import pytest
from django.contrib.auth import get_user_model

from environments.models import Project
from portal.ui.actions import Refused
from releases import gates
from releases.approvals import actions as approvals_actions
from releases.gates import edits
from releases.gates.context import facts_of
from releases.lifecycle import collect as lifecycle_collect
from releases.models.releases import Release
from tests.environments.schema.history.histories import repository, source
from tests.factory import make_people, make_project, make_release
from tests.reading import squeezed

pytestmark = pytest.mark.django_db
INI = "[alembic]\nscript_location = %(here)s/db\n"
SEVERAL = (
    INI + "version_locations = %(here)s/db/versions:%(here)s/shop/versions\npath_separator = :\n"
)


def files(ini: str = INI, **revisions: str) -> dict[str, str]:
    return {"alembic.ini": ini, "db/env.py": ""} | {
        f"db/versions/{id}.py": text for id, text in revisions.items()
    }


SHIPPED = files(a1=source("a1"), b2=source("b2", "a1"))


@pytest.fixture
def collected(tmp_path, settings):
    """`collected(before, after)`: a release from the first commit's files to those of the
    second.
    """
    settings.VAR_DIR, settings.GITHUB_TOKEN = tmp_path, "a-token"

    def collect(before: dict, after: dict, alembic: str = "alembic.ini") -> Release:
        project = make_project(alembic=alembic)
        (tmp_path / "mirrors").mkdir()
        mirror = repository(tmp_path / "mirrors" / f"{project.pk}.git", before, after)
        release = make_release(
            Project.objects.get(pk=project.pk),
            by=make_people()["alice"],
            candidate=mirror.commit("c1"),
            base=mirror.commit("c0"),
            collected="",
            migrations=[],
        )
        mirror.fetch = lambda **_: None  # it is the repository itself
        lifecycle_collect.collect(release, mirror, now=release.cut_at)
        return release

    return collect


def gate(release: Release) -> gates.Result:
    return gates.GATES["migrations_ready"](facts_of(release.pk))


def run(tmp_path, release: Release, command: str) -> str:
    """What the named command brings back, in a work tree of the candidate."""
    [git] = (tmp_path / "mirrors").glob("*.git")
    tree = tmp_path / "tree"
    subprocess.run(["git", "clone", "-q", str(git), str(tree)], check=True)
    subprocess.run(command, shell=True, cwd=tree, check=True)  # noqa: S602 - what the sentence told
    return subprocess.run(
        ["git", "diff", "--cached", "--name-only"], cwd=tree, capture_output=True, text=True
    ).stdout


def test_two_heads_fail_with_both_files_and_the_command_that_joins_them(collected):
    release = collected(
        SHIPPED, {"db/versions/c3.py": source("c3", "b2"), "db/versions/d4.py": source("d4", "b2")}
    )

    result = gate(release)

    assert result.state == gates.FAIL
    assert "db/versions/c3.py" in result.sentence and "db/versions/d4.py" in result.sentence
    assert '`alembic merge -m "merge heads" c3 d4`' in result.sentence


def test_a_rewritten_revision_waits_for_a_second_person_or_for_the_command_that_puts_it_back(
    collected, tmp_path
):
    edited = {"db/versions/b2.py": source("b2", "a1", body="op.execute('other')")}
    release = collected(SHIPPED, edited | {"db/versions/c3.py": source("c3", "b2")})
    fresh = Release.objects.get(pk=release.pk)
    [edit] = fresh.edits

    asked = gates.GATES["migration_risks"](facts_of(release.pk))
    word = {
        "revision": "b2",
        "sha256": edit["sha256"],
        "reason": "the old one never ran anywhere else",
    }
    with pytest.raises(Refused):
        approvals_actions.accept_risk(fresh, actor=fresh.cut_by, **word, candidate=fresh.candidate)
    bob = get_user_model().objects.get(username="bob")
    approvals_actions.accept_risk(fresh, actor=bob, **word, candidate=fresh.candidate)
    after = edits.unaccepted(facts_of(release.pk).release)

    assert asked.state == gates.ATTEST and "now runs other SQL (upgrade)" in asked.sentence
    assert (
        run(tmp_path, release, re.search("`(git .*?)`", asked.sentence)[1]) == "db/versions/b2.py\n"
    )
    assert after == []
    with pytest.raises(
        Refused, match=r"analyzed|has no open risk"
    ):  # a doubled click finds nothing left to accept
        approvals_actions.accept_risk(fresh, actor=bob, **word, candidate=fresh.candidate)


@pytest.mark.parametrize(
    ("edited", "kind"),
    [
        (source("b2", "a1", form=0).replace("Change b2", "What it does"), "form"),
        (source("b2", "a1", body="assert sa"), "same"),
    ],
)
def test_an_edit_that_runs_the_same_is_information(collected, edited, kind):
    release = collected(SHIPPED, {"db/versions/b2.py": edited})

    assert [edit["kind"] for edit in Release.objects.get(pk=release.pk).edits] == [kind]
    assert (
        gate(release).state
        == gates.GATES["migration_risks"](facts_of(release.pk)).state
        == gates.PASS
    )


def test_a_missing_parent_fails_with_both_files_and_the_command_that_brings_it_back(
    collected, tmp_path
):
    release = collected(
        SHIPPED, {"db/versions/b2.py": None, "db/versions/c3.py": source("c3", "b2")}
    )

    result = gate(release)

    assert result.state == gates.FAIL
    assert (
        "db/versions/c3.py builds upon revision “b2”" in result.sentence
        and "It was db/versions/b2.py" in result.sentence
    )
    assert (
        run(tmp_path, release, re.search("`(git .*?)`", result.sentence)[1])
        == "db/versions/b2.py\n"
    )


def test_a_new_file_that_is_no_python_below_its_header_fails(collected):
    release = collected(SHIPPED, {"db/versions/c3.py": source("c3", "b2", body="x = = 1")})

    assert gate(release).state == gates.FAIL and "not valid Python" in gate(release).sentence


def test_merges_labels_and_dependencies_over_several_directories_are_told(collected):
    before = files(SEVERAL, a1=source("a1", labels="core")) | {
        "shop/versions/s1.py": source("s1", labels="shop")
    }
    after = {
        "db/versions/b2.py": source("b2", "a1"),
        "db/versions/c3.py": source("c3", "a1"),
        "db/versions/m4.py": source("m4", ("b2", "c3")),
        "shop/versions/s2.py": source("s2", "s1", deps="m4"),
    }
    release = collected(before, after)
    release.refresh_from_db()

    found = {migration["id"]: migration for migration in release.migrations}

    assert release.migrations_problem == "" and set(found) == {"b2", "c3", "m4", "s2"}
    assert found["m4"]["joins"] == ["b2", "c3"] and found["s2"]["depends_on"] == ["m4"]
    assert release.heads == [
        "s2"
    ]  # what the version table holds in the end: s2 stands for what it depends on
    assert [migration["id"] for migration in release.migrations].index("m4") < [
        migration["id"] for migration in release.migrations
    ].index("s2")


def test_revisions_of_another_directory_are_named_and_not_taken_for_none(collected, client):
    other = {
        "billing/migrations/versions/x1.py": source("x1"),
        "tests/versions/helper.py": "nothing = 1\n",
    }
    release = collected(SHIPPED, other)
    release.refresh_from_db()
    client.force_login(make_people()["alice"])

    page = squeezed(client.get(f"/releases/{release.pk}/"))

    assert release.migrations == [] and release.uncovered == ["billing/migrations/versions/x1.py"]
    assert "another Alembic directory" in page and "billing/migrations/versions/x1.py" in page


def test_a_project_without_an_alembic_path_is_told_of_revisions_all_the_same(collected):
    release = collected({"README": "x"}, SHIPPED, alembic="")
    release.refresh_from_db()

    assert release.uncovered == ["db/versions/a1.py", "db/versions/b2.py"]
