"""Checking a hostile commit out stays inside the directory, and ends in one sentence."""

import os
import time

import pytest

from environments.git.calls import GitError
from tests.environments.git.hostile_trees import FILE, LINK, MODULE, TREE, Trees, attacks


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    return Trees.make(tmp_path_factory.mktemp("hostile") / "r.git")


@pytest.fixture(scope="module")
def commits(trees):
    return attacks(trees)


def outside(directory):
    return sorted(os.listdir(directory.parent.parent)), sorted(os.listdir(directory.parent))


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.slow
def test_nothing_is_written_outside_and_each_ends_in_a_sentence(trees, commits, tmp_path, whole):
    mirror = trees.mirror()
    for number, (attack, commit) in enumerate(commits.items()):
        into = tmp_path / "in" / str(number)
        into.mkdir(parents=True)
        (tmp_path / "witness").write_text("untouched")
        before, began = outside(into), time.monotonic()

        with pytest.raises(GitError) as refused:
            mirror.checkout_all(commit, into) if whole else mirror.checkout(commit, [""], into)

        assert str(refused.value).endswith((".", "commits.")) and "\n" not in str(refused.value), (
            attack
        )
        assert outside(into) == before and (tmp_path / "witness").read_text() == "untouched", attack
        assert not any(path.is_symlink() for path in into.rglob("*")), attack
        assert time.monotonic() - began < 60, attack


def test_an_honest_commit_is_written_whole_with_its_links_and_without_submodules(trees, tmp_path):
    blob = trees.put("blob", b"text")
    directory = trees.tree(
        (FILE, b"one", blob), ("100755", b"run", blob), (LINK, b"up", trees.put("blob", b"../two"))
    )
    commit = trees.commit(
        trees.tree(
            (FILE, b".gitattributes", trees.put("blob", b"* filter=evil export-ignore\n")),
            (TREE, b"d", directory),
            (MODULE, b"sub", "2" * 40),
            (FILE, b"two", blob),
            (FILE, "ä\u202e".encode(), blob),
        )
    )

    trees.mirror().checkout_all(commit, tmp_path)

    assert (tmp_path / "d" / "up").read_text() == "text" and os.access(
        tmp_path / "d" / "run", os.X_OK
    )
    assert not (tmp_path / "sub").exists() and (tmp_path / "ä\u202e").exists()
    assert not os.access(tmp_path / "d" / "one", os.X_OK)


def test_the_sentence_shows_a_name_as_what_it_is(trees, tmp_path):
    commit = trees.commit(trees.tree((LINK, "evil\u202e".encode(), trees.put("blob", b"/etc"))))

    with pytest.raises(GitError, match="evil⟨U\\+202E⟩"):
        trees.mirror().checkout_all(commit, tmp_path)
