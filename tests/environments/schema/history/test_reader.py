"""Histories read from git: agreement with Alembic, what lies between commits, and everything
that is refused.
"""

import hashlib
import json
import os
import subprocess

import pytest
from django.core.management import CommandError, call_command

from environments.schema.history.reader import HistoryError, compare, locate, read
from tests.bench.revisions import long_history
from tests.environments.schema.history.histories import disagreement, repository, source

INI = "[alembic]\nscript_location = %(here)s/db\n"


def tree(**files: str) -> dict[str, str]:
    """A commit with these revision files (name → text) in db/versions."""
    return {"alembic.ini": INI, "db/env.py": ""} | {
        f"db/versions/{name}.py": text for name, text in files.items()
    }


@pytest.mark.parametrize("seed", range(30))
def test_a_random_history_is_read_as_alembic_reads_it(seed, tmp_path):
    assert disagreement(seed, tmp_path) == ""


def test_a_revision_file_is_never_executed(tmp_path):
    mark = tmp_path / "mark"
    text = source("a") + f"\nopen({str(mark)!r}, 'w').close()\n"
    mirror = repository(tmp_path / "git", tree(), tree(a=text))

    history = read(mirror, "main", "alembic.ini")
    change = compare(mirror, "c0", "c1", "alembic.ini")

    assert history.heads == ("a",) and [one.id for one in change.new] == ["a"]
    assert not mark.exists()


def test_a_long_history_is_read_whole_and_only_the_new_is_new(tmp_path):
    mirror, files = long_history(tmp_path / "git", 300)

    history = read(mirror, "main", "alembic.ini")
    change = compare(mirror, "c0", "c1", "alembic.ini", whole=False)

    assert len(history.revisions) == 303 and history.heads == (f"{302:012x}",)
    assert [one.id for one in change.new] == [f"{n:012x}" for n in (300, 301, 302)]
    path = f"migrations/versions/{300:012x}_change.py"
    assert change.new[0].sha256 == hashlib.sha256(files[path].encode()).hexdigest()
    assert (
        change.new[0].path == path
        and change.new[0].has_downgrade
        and change.new[0].message == f"Change {300:012x}"
    )
    assert change.heads_before is None


def test_a_range_tells_new_changed_deleted_and_does_not_mistake_a_move(tmp_path):
    before = tree(a=source("a"), b=source("b", "a"), moved=source("m", "b"), gone=source("z", "m"))
    after = {
        "db/versions/b.py": source("b", "a", body="op.execute('edited')"),
        "db/versions/moved.py": None,
        "db/versions/elsewhere.py": source("m", "b"),
        "db/versions/gone.py": None,
        "db/versions/new2.py": source("n2", "n1"),
        "db/versions/new1.py": source("n1", "m"),
    }
    mirror = repository(tmp_path / "git", before, after)

    change = compare(mirror, "c0", "c1", "alembic.ini")

    assert [one.id for one in change.new] == ["n1", "n2"]
    assert [one.id for one in change.changed] == ["b"]
    assert [one.id for one in change.deleted] == ["z"]
    assert (change.heads_before, change.problems) == (("z",), ())
    assert read(mirror, "c1", "alembic.ini").heads == ("n2",)


def test_the_first_revisions_and_a_moved_directory_are_compared_by_id(tmp_path):
    mirror = repository(
        tmp_path / "git",
        {"README": "none yet"},
        tree(a=source("a")),
        {
            "db/versions/a.py": None,
            "alembic.ini": INI.replace("/db", "/new"),
            "new/env.py": "",
            "new/versions/a.py": source("a"),
            "new/versions/b.py": source("b", "a"),
        },
    )

    assert [one.id for one in compare(mirror, "c0", "c1", "alembic.ini").new] == ["a"]
    assert [one.id for one in compare(mirror, "", "c2", "alembic.ini").new] == ["a", "b"]
    moved = compare(mirror, "c1", "c2", "alembic.ini")
    assert ([one.id for one in moved.new], moved.changed, moved.deleted) == (["b"], (), ())


def test_new_files_are_parsed_whole_so_a_syntax_error_below_the_header_is_found(tmp_path):
    mirror = repository(
        tmp_path / "git",
        tree(a=source("a")),
        {"db/versions/b.py": source("b", "a", body="x = = 1")},
    )

    change = compare(mirror, "c0", "c1", "alembic.ini")

    assert [problem.kind for problem in change.problems] == ["unreadable"]
    assert "db/versions/b.py is not valid Python on line" in change.problems[0].sentence


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        (
            {"a": source("a"), "b": source("b", "a"), "c": source("c", "a")},
            "heads",
            'alembic merge -m "merge heads" b c',
        ),
        (
            {"a": source("a"), "b": source("b", "zzz")},
            "missing",
            "db/versions/b.py builds upon revision “zzz”",
        ),
        ({"a": source("a"), "b": source("b", "a", deps="zzz")}, "missing", "correct `depends_on`"),
        ({"a": source("abcd1234"), "b": source("b", "abcd")}, "missing", "“abcd”"),
        (
            {"a": source("a"), "b": source("a")},
            "duplicate",
            "db/versions/a.py and db/versions/b.py both declare",
        ),
        (
            {"a": source("a", "b"), "b": source("b", "a")},
            "cycle",
            "db/versions/a.py, db/versions/b.py",
        ),
        ({"a": source("a", "a")}, "cycle", "db/versions/a.py"),
        ({"a": source("a").replace("'a'", "make()")}, "computed", "computes `revision` on line"),
        ({"a": source("a-b")}, "illegal", "a-b"),
        ({"a": source("a", labels="x"), "b": source("b", labels="x")}, "label", "“x”"),
        ({"helpers": "nothing = 1"}, "unreadable", "has no `revision`"),
        ({"a": "x = '" + "a" * 1_000_001 + "'"}, "unreadable", "larger than 1 MB"),
        ({"a": "revision = '\udcff'"}, "unreadable", "not"),
    ],
)
def test_what_must_not_run_is_a_problem_with_its_files_and_what_mends_it(
    tmp_path, files, kind, words
):
    mirror = repository(tmp_path / "git", tree(**files))

    [problem, *_] = read(mirror, "main", "alembic.ini").problems

    assert problem.kind == kind
    assert words in problem.sentence
    assert all(path in problem.sentence for path in problem.paths)


def test_heads_of_labelled_branches_are_meant_and_no_problem(tmp_path):
    mirror = repository(
        tmp_path / "git",
        tree(a=source("a", labels="shop"), b=source("b", labels="stock"), c=source("c", "b")),
    )

    history = read(mirror, "main", "alembic.ini")

    assert history.problems == () and history.heads == ("a", "c")


def test_a_link_in_place_of_a_revision_is_not_followed(tmp_path):
    mirror = repository(tmp_path / "git", tree(a=source("a")))
    blob = mirror.tree("main", ["db/versions"])[0][1]
    tree_text = f"120000 blob {blob}\tx.py\n"

    def git(*arguments: str, data: str = "") -> str:
        return subprocess.run(
            ["git", f"--git-dir={mirror.path}", *arguments],
            input=data,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ
            | {
                "GIT_AUTHOR_NAME": "a",
                "GIT_AUTHOR_EMAIL": "a",
                "GIT_COMMITTER_NAME": "a",
                "GIT_COMMITTER_EMAIL": "a",
            },
        ).stdout.strip()

    versions = git("mktree", data=tree_text)
    top = git("mktree", data=f"040000 tree {versions}\tversions\n")
    commit = git("commit-tree", "-m", "link", top)

    [problem] = read(mirror, commit, "versions/..").problems

    assert problem.kind == "unreadable" and "symbolic link" in problem.sentence


def test_questions_that_have_no_answer_are_refused(tmp_path):
    mirror = repository(tmp_path / "git", tree(a=source("a"), b=source("b", "a")))
    history = read(mirror, "main", "alembic.ini")

    with pytest.raises(HistoryError, match="“zzz”"):
        history.between(("zzz",), ("b",))
    assert [one.id for one in history.between(("a",), ("b",))] == ["b"]
    assert [one.id for one in history.back(("b",), "base")] == ["b", "a"]
    assert history.ancestors(["b"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("files", "alembic", "directories"),
    [
        ({"alembic.ini": INI}, "alembic.ini", ("db/versions",)),
        ({"alembic.ini": INI}, ".", ("db/versions",)),
        ({"alembic.ini": INI}, "db", ("db/versions",)),
        (
            {"back/alembic.ini": "[alembic]\nscript_location = ../db\n"},
            "back/alembic.ini",
            ("db/versions",),
        ),
        ({"back/alembic.ini": "[alembic]\nscript_location = db\n"}, "back", ("db/versions",)),
        (
            {"alembic.ini": "[alembic]\nwhere = db\nscript_location = %(where)s\n"},
            "alembic.ini",
            ("db/versions",),
        ),
        (
            {"alembic.ini": "[alembic]\nscript_location = our.app:db\n", "our/app/db/env.py": ""},
            "alembic.ini",
            ("our/app/db/versions",),
        ),
        (
            {"alembic.ini": INI + "version_locations = %(here)s/a b, c\n"},
            "alembic.ini",
            ("a", "b", "c"),
        ),
        (
            {"alembic.ini": INI + "version_locations = %(here)s/a b;c\npath_separator = ;\n"},
            "alembic.ini",
            ("a b", "c"),
        ),
        (
            {"alembic.ini": INI + "version_locations = a\n  b\npath_separator = newline\n"},
            "alembic.ini",
            ("a", "b"),
        ),
        (
            {"alembic.ini": INI + "version_locations = a:b\nversion_path_separator = os\n"},
            "alembic.ini",
            ("a", "b"),
        ),
        (
            {
                "x/pyproject.toml": (
                    '[tool.alembic]\nscript_location = "%(here)s/db"\nversion_locations ='
                    ' ["%(here)s/v", "w"]\n'
                ),
                "x/db/env.py": "",
            },
            "x/pyproject.toml",
            ("x/v", "x/w"),
        ),
        (
            {
                "alembic.ini": "[alembic]\nsqlalchemy.url = x%%y\n",
                "pyproject.toml": '[tool.alembic]\nscript_location = "db"\n',
            },
            "alembic.ini",
            ("db/versions",),
        ),
        ({}, "", ()),
    ],
)
def test_the_directories_are_found_as_alembic_finds_them(tmp_path, files, alembic, directories):
    mirror = repository(tmp_path / "git", {"db/env.py": "", "db/versions/x": ""} | files)

    location = locate(mirror, "main", alembic)

    assert (location.directories, location.problem) == (directories, "")


@pytest.mark.parametrize(
    ("ini", "alembic", "words"),
    [
        (INI, "nowhere.ini", "There is no “nowhere.ini”"),
        ("[alembic]\n", "alembic.ini", "no `script_location`"),
        ("[other]\nx = 1\n", "alembic.ini", "no `script_location`"),
        ("script_location = db\n", "alembic.ini", "cannot be read as an ini file"),
        (
            "[alembic]\nscript_location = %(nope)s/db\n",
            "alembic.ini",
            "cannot be read as an ini file",
        ),
        (
            "[alembic]\nscript_location = gone\n",
            "alembic.ini",
            "“gone”, which is not in the repository",
        ),
        ("[alembic]\nscript_location = /etc\n", "alembic.ini", "outside the repository"),
        (
            "[alembic]\nscript_location = %(here)s/../../x\n",
            "alembic.ini",
            "outside the repository",
        ),
        (
            INI + "version_locations = a b\npath_separator = comma\n",
            "alembic.ini",
            "path_separator",
        ),
        (INI, "../elsewhere", "outside the repository"),
        (INI, "/etc/alembic.ini", "outside the repository"),
        (INI, "docs", "holds neither"),
    ],
)
def test_a_configuration_that_cannot_be_followed_is_one_clear_sentence(
    tmp_path, ini, alembic, words
):
    mirror = repository(tmp_path / "git", {"alembic.ini": ini, "db/env.py": "", "docs/x": ""})

    [problem] = read(mirror, "main", alembic).problems

    assert problem.kind == "location"
    assert words in problem.sentence and problem.sentence.endswith(".")


def test_the_command_prints_one_json_object(tmp_path, capsys):
    mirror = repository(
        tmp_path / "git", tree(a=source("a")), {"db/versions/b.py": source("b", "a", labels="x")}
    )

    call_command(
        "revisions", "main", repository=mirror.path, alembic="alembic.ini", since="c0", json=True
    )

    found = json.loads(capsys.readouterr().out)
    assert (found["heads"], found["bases"], found["new"], found["changed"], found["deleted"]) == (
        ["b"],
        ["a"],
        ["b"],
        [],
        [],
    )
    assert [one["id"] for one in found["revisions"]] == ["a", "b"]
    assert found["revisions"][1]["parents"] == ["a"] and len(found["revisions"][1]["sha256"]) == 64


def test_the_command_fails_where_a_gate_would(tmp_path, capsys):
    mirror = repository(tmp_path / "git", tree(a=source("a"), b=source("b"), c=source("c", "a")))

    with pytest.raises(CommandError):
        call_command("revisions", "main", repository=mirror.path, alembic="alembic.ini")

    assert "alembic merge" in capsys.readouterr().out
    with pytest.raises(CommandError, match="not a branch"):
        call_command("revisions", "nowhere", repository=mirror.path, alembic="alembic.ini")


def test_the_command_reads_several_version_locations(tmp_path, capsys):
    ini = (
        INI
        + "version_locations = %(here)s/db/versions:%(here)s/shop/versions\npath_separator = :\n"
    )
    shop = {"shop/versions/s1.py": source("s1", labels="shop", deps="core")}
    mirror = repository(
        tmp_path / "git", tree(a=source("a", labels="core")) | {"alembic.ini": ini} | shop
    )

    call_command("revisions", "main", repository=mirror.path, alembic="alembic.ini", json=True)

    found = json.loads(capsys.readouterr().out)
    assert found["directories"] == ["db/versions", "shop/versions"] and found["problems"] == []
    assert (found["heads"], found["bases"]) == (["a", "s1"], ["a", "s1"])
    assert {one["id"]: one["depends_on"] for one in found["revisions"]} == {"a": [], "s1": ["core"]}


@pytest.mark.parametrize("command", ["revisions", "plan"])
def test_a_path_that_finds_nothing_is_a_failure_that_says_where_it_looked(command, tmp_path):
    mirror = repository(
        tmp_path / "git", {"alembic.ini": INI, "db/env.py": "", "db/versions/README": ""}
    )

    with pytest.raises(
        CommandError, match="Looked in “db/versions”, which holds README"
    ) as refused:
        call_command(command, "main", repository=mirror.path, alembic="alembic.ini")

    assert refused.value.returncode == 2
