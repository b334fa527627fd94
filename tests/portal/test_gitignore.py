"""Patterns as in a .gitignore, held against git itself."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.gitignore import is_exception, takes_in

NAMES = st.sampled_from(["a", "b", "ab", "src", "x.md", "y.js", "[z]", "c c", ".env"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PARTS = st.sampled_from(
    ["*", "**", "a", "b", "a*", "?b", "*.md", "src", "[ab]", "[!a]", "[z]", "c c", r"\[z\]"]
)
PATTERNS = st.builds(
    lambda back, root, parts, end: f"{back}{root}{'/'.join(parts)}{end}",
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(PARTS, min_size=1, max_size=3),
    st.sampled_from(["", "/", "/**"]),
)


@pytest.fixture(scope="module")
def git(tmp_path_factory):
    """Asks git which of `paths` the patterns take in."""
    where = tmp_path_factory.mktemp("git")
    subprocess.run(["git", "init", "--quiet", where], check=True)

    def ask(patterns, paths):
        (where / ".git" / "info" / "exclude").write_text("\n".join(patterns) + "\n")
        no_more = ["-c", "core.excludesFile=/dev/null"]
        command = ["git", "-C", where, *no_more, "check-ignore", "-z", "--stdin", "--no-index"]
        done = subprocess.run(command, input="\0".join(paths), capture_output=True, text=True)
        return set(filter(None, done.stdout.split("\0")))

    return ask


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PATTERNS, min_size=1, max_size=4),
    st.lists(PATHS, min_size=1, max_size=12, unique=True),
)
def test_they_take_in_what_git_ignores(git, patterns, paths):
    assert {path for path in paths if takes_in(patterns, path)} == git(patterns, paths), patterns


@pytest.mark.parametrize(
    ("patterns", "path", "taken"),
    [
        (["/backend/**"], "backend/app/main.py", True),
        (["/backend/**"], "frontend/backend/main.py", False),
        (["backend/"], "backend/main.py", True),
        (["*.py"], "backend/main.py", True),
        (["frontend/**", "!*.md"], "frontend/README.md", False),
        (["frontend/**", "!*.md"], "frontend/index.html", True),
        (["# a comment", ""], "frontend/index.html", False),
        (["src/**/*.ts"], "src/index.ts", True),
    ],
)
def test_what_people_write_means_what_they_mean(patterns, path, taken):
    assert takes_in(patterns, path) is taken


def test_an_exception_is_told_from_a_pattern():
    assert [is_exception(one) for one in ("!*.md", "*.md", r"\!x", "")] == [
        True,
        False,
        False,
        False,
    ]
