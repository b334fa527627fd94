"""Reading a repository, over real repositories of git."""

import base64
import fcntl
import os
import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from environments.git.calls import GitError
from environments.git.repository import Mirror

AUTHOR = {
    "GIT_AUTHOR_NAME": "Alice Ä",
    "GIT_AUTHOR_EMAIL": "alice@example.org",
    "GIT_COMMITTER_NAME": "Alice",
    "GIT_COMMITTER_EMAIL": "alice@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=where,
        env=os.environ | AUTHOR,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def commit(where: Path, message: str, files: dict[str, str] | None = None) -> str:
    for name, text in (files or {}).items():
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).write_text(text)
    git(where, "add", "-A")
    git(where, "commit", "-q", "--allow-empty", "-m", message)
    return git(where, "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path):
    where = tmp_path / "origin"
    where.mkdir()
    git(where, "init", "-q", "-b", "main")
    commit(where, "First\n\nWith a body.", {"a/one.txt": "1\n", "b/two.txt": "2\n"})
    return where


@pytest.fixture
def mirror(origin, tmp_path):
    mirror = Mirror(tmp_path / "mirror", str(origin))
    mirror.fetch()
    return mirror


def test_a_fetch_follows_new_moved_and_deleted_branches(origin, mirror):
    old = git(origin, "rev-parse", "main")
    git(origin, "branch", "gone")
    mirror.fetch()
    git(origin, "branch", "-D", "gone")
    git(origin, "commit", "-q", "--amend", "-m", "Rewritten")
    git(origin, "tag", "v1")

    mirror.fetch()

    assert mirror.head("main") == git(origin, "rev-parse", "main") != old
    assert mirror.head("v1") == mirror.head("main")
    assert mirror.head("gone") is None
    assert mirror.has(old), "the audit needs commits that a branch no longer holds"


def test_a_branch_is_preferred_to_a_tag_of_its_name(origin, mirror):
    git(origin, "tag", "staging")
    git(origin, "checkout", "-q", "-b", "staging")
    newer = commit(origin, "Second")

    mirror.fetch()

    assert mirror.head("staging") == newer


def test_a_mirror_left_half_made_by_a_kill_is_completed(origin, tmp_path):
    path = tmp_path / "half"
    git(tmp_path, "init", "-q", "--bare", "half")
    (path / "HEAD").unlink()
    (path / "config.lock").touch()
    (path / "packed-refs.lock").touch()
    (path / "objects/pack/tmp_pack_x").write_bytes(b"half")

    Mirror(path, str(origin)).fetch()

    assert Mirror(path).head("main") == git(origin, "rev-parse", "main")
    assert not list(path.glob("objects/pack/tmp_*"))


def test_a_fetch_waits_for_another_and_says_so(mirror):
    with open(mirror.path / "portal-fetch") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        with pytest.raises(GitError, match="Another fetch") as raised:
            mirror.fetch(timeout=0.2)

    assert raised.value.kind == "busy"


def test_commits_are_read_newest_first_whatever_their_text(origin, mirror):
    base = git(origin, "rev-parse", "main")
    second = commit(origin, "Zweiter “Titel” \x1f|\x1e\n\nBody\n\nmore", {"a/x": "y"})
    third = commit(origin, "Third")
    mirror.fetch()

    found = mirror.commits(base, "main")

    assert [one.sha for one in found] == [third, second]
    assert found[1].title == "Zweiter “Titel” \x1f|\x1e"
    assert found[1].body == "Body\n\nmore"
    assert found[1].author == "Alice Ä"
    assert found[1].parents == (base,)
    assert found[1].authored_at.tzinfo is not None
    assert mirror.commits(base, base) == ()
    assert len(mirror.commits("", "main", limit=2)) == 2


def test_ancestry_and_equal_trees(origin, mirror):
    base = git(origin, "rev-parse", "main")
    same = commit(origin, "Nothing changed")
    git(origin, "checkout", "-q", "-b", "side", base)
    side = commit(origin, "Aside", {"c": "c"})
    mirror.fetch()

    assert mirror.is_ancestor(base, same) and not mirror.is_ancestor(same, base)
    assert mirror.merge_base(same, side) == base
    assert mirror.same_tree(base, same) and not mirror.same_tree(base, side)


def test_changed_files_tell_renames_and_keep_to_their_directories(origin, mirror):
    base = git(origin, "rev-parse", "main")
    git(origin, "mv", "a/one.txt", "a/uno.txt")
    commit(origin, "Change", {"a/new ä.txt": "n", "b/two.txt": "changed", "c/x": "x"})
    mirror.fetch()

    changes = mirror.changed_files(base, "main", under=["a", "b"])

    assert set(changes) == {
        ("A", "a/new ä.txt", ""),
        ("R", "a/uno.txt", "a/one.txt"),
        ("M", "b/two.txt", ""),
    }


def test_files_are_read_at_their_commit(origin, mirror):
    base = mirror.commit("main")
    commit(origin, "Change", {"a/one.txt": "later\n"})
    mirror.fetch()

    assert mirror.read_file(base, "a/one.txt") == b"1\n"
    assert mirror.read_file("main", "a/one.txt") == b"later\n"
    assert mirror.read_file("main", "a/none.txt") is None
    assert mirror.read_file("main", "a") is None
    [(path, sha)] = mirror.tree(base, ["a"])
    assert (path, mirror.read([sha, "0" * 40])) == ("a/one.txt", {sha: b"1\n"})
    assert mirror.read([sha], limit=1) == {}


def test_many_objects_come_in_order(origin, mirror):
    commit(origin, "Many", {f"many/{n:04}": f"{n}\n" * 50 for n in range(1500)})
    mirror.fetch()
    files = mirror.tree("main", ["many"])

    contents = mirror.read(sha for _, sha in files)

    assert [contents[sha].split()[0] for _, sha in files] == [str(n).encode() for n in range(1500)]


def test_a_checkout_is_exactly_the_commit_whatever_the_attributes_say(origin, mirror, tmp_path):
    attributes = "a/one.txt export-ignore\na/id.txt export-subst\n"
    commit(origin, "Attributes", {".gitattributes": attributes, "a/id.txt": "$Format:%H$\n"})
    mirror.fetch()

    mirror.checkout("main", ["a"], tmp_path / "out")

    assert (tmp_path / "out/a/id.txt").read_text() == "$Format:%H$\n"
    assert (tmp_path / "out/a/one.txt").read_text() == "1\n"
    assert not (tmp_path / "out/b").exists()


def test_a_checkout_refuses_links(origin, mirror, tmp_path):
    (origin / "a/link").symlink_to("/etc/passwd")
    commit(origin, "Link")
    mirror.fetch()

    with pytest.raises(GitError, match="a/link"):
        mirror.checkout("main", ["a"], tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "ref", ["--upload-pack=touch x", "-x", "", "a b", "a\nb", "a..b", "main:a", "x" * 300]
)
def test_it_refuses_references_that_are_no_references(mirror, ref):
    with pytest.raises(GitError) as raised:
        mirror.commit(ref)

    assert raised.value.kind == "reference"


def test_an_unknown_commit_is_named_as_such(mirror):
    with pytest.raises(GitError, match="not in the repository"):
        mirror.commits("", "1" * 40)

    with pytest.raises(GitError, match="not a branch"):
        mirror.commit("nowhere")

    assert not mirror.has("1" * 40)


def test_a_directory_without_a_repository_is_not_searched_upwards(origin):
    with pytest.raises(GitError, match="no git repository") as raised:
        Mirror(origin / "a").head("main")

    assert raised.value.kind == "missing"


def test_a_missing_repository_and_an_unreachable_host_are_told_apart(tmp_path):
    kinds = []
    for number, url in enumerate(
        [str(tmp_path / "none"), "http://127.0.0.1:9/x.git", "ext::sh -c touch% x"]
    ):
        with pytest.raises(GitError) as raised:
            Mirror(tmp_path / str(number), url).fetch(timeout=20)
        kinds.append(raised.value.kind)

    assert kinds == ["missing", "unreachable", "git"]


@pytest.fixture
def guarded():
    """An HTTP server which answers 401 and keeps the headers it was sent."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="GitHub"')
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://x:hunter2-in-url@127.0.0.1:{server.server_address[1]}/team/app.git", seen
    server.shutdown()
    server.server_close()


def test_a_refused_token_is_named_but_never_shown_or_stored(guarded, tmp_path):
    url, seen = guarded
    mirror = Mirror(tmp_path / "mirror", url, token="canary-token")

    with pytest.raises(GitError) as raised:
        mirror.fetch(timeout=20)

    assert raised.value.kind == "token"
    assert base64.b64encode(b"x-access-token:canary-token").decode() in seen[0]
    written = [
        path.read_text("utf-8", "replace") for path in mirror.path.rglob("*") if path.is_file()
    ]
    for text in [str(raised.value), repr(mirror), mirror.url, *written]:
        assert "canary" not in text and "hunter2" not in text


def test_a_token_with_a_line_break_is_refused_before_it_is_sent(guarded, tmp_path):
    url, seen = guarded

    with pytest.raises(GitError, match="line break"):
        Mirror(tmp_path / "mirror", url, token="canary\n").fetch()

    assert not seen


def test_a_fetch_that_hangs_is_ended_with_its_helpers(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"

        with pytest.raises(GitError) as raised:
            Mirror(tmp_path / "mirror", url).fetch(timeout=1)

    assert raised.value.kind == "timeout"
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert url not in running


def test_a_fetch_holds_its_lock_while_git_lives_though_its_parent_was_killed(mirror, origin):
    """The lock is git's own too: a second fetch cannot sweep away what the first still writes."""
    reader = os.open(mirror.path / "portal-fetch", os.O_RDWR)
    fcntl.flock(reader, fcntl.LOCK_EX)
    child = subprocess.Popen(["sleep", "30"], pass_fds=(reader,))
    os.close(reader)

    try:
        with pytest.raises(GitError, match="Another fetch"):
            mirror.fetch(timeout=0.2)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()

    mirror.fetch()


@pytest.fixture
def apart(origin, mirror):
    """Two branches with one commit each that the other lacks; the mirror knows both."""
    git(origin, "checkout", "-q", "-b", "staging")
    old = commit(origin, "Staging")
    git(origin, "checkout", "-q", "main")
    new = commit(origin, "Main")
    git(origin, "checkout", "-q", "--detach")
    mirror.fetch()
    return old, new


def test_a_push_with_a_lease_moves_the_branch_by_force(origin, mirror, apart):
    old, new = apart

    mirror.push_with_lease("staging", new, expected=old)

    assert git(origin, "rev-parse", "staging") == new


def test_a_push_with_a_lease_leaves_a_branch_that_moved(origin, mirror, apart):
    old, new = apart
    git(origin, "branch", "-f", "staging", "main~1")

    with pytest.raises(GitError, match=r"not at .* any more, so nothing was done") as told:
        mirror.push_with_lease("staging", new, expected=old)

    assert told.value.kind == "lease" and git(origin, "rev-parse", "staging") == git(
        origin, "rev-parse", "main~1"
    )


def test_a_push_that_the_rules_of_the_branch_refuse_says_so(origin, mirror, apart):
    old, new = apart
    hook = origin / ".git" / "hooks" / "update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(GitError, match="rules of staging refuse a forced push") as told:
        mirror.push_with_lease("staging", new, expected=old)

    assert told.value.kind == "protected" and git(origin, "rev-parse", "staging") == old


@pytest.mark.parametrize(("branch", "sha"), [("", "a" * 40), ("--all", "main"), ("a b", "a" * 40)])
def test_a_push_takes_no_name_for_an_option(mirror, branch, sha):
    with pytest.raises(GitError, match="full commit ids"):
        mirror.push_with_lease(branch, sha, expected="b" * 40)


def test_the_line_of_a_branch_leaves_out_what_merges_brought(origin, mirror):
    first = git(origin, "rev-parse", "main")
    git(origin, "checkout", "-q", "-b", "topic")
    inside = commit(origin, "Topic")
    git(origin, "checkout", "-q", "main")
    git(origin, "merge", "-q", "--no-ff", "-m", "Merge", "topic")
    mirror.fetch()
    merge = mirror.head("main")

    line = [one.sha for one in mirror.commits(first, "main", first_parent=True)]

    assert line == [merge] and inside in [one.sha for one in mirror.commits(first, "main")]
    assert mirror.first_parents("main", limit=10) == {first, merge}
