"""`git_remote_check` over real clones, a real sshd and a real HTTP server: one diagnosis, exact
commands, no secret.
"""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from django.core.management import call_command

from environments.git import remotes
from tests.environments.git.sshd import MISSING, SSHD, serving
from tests.environments.git.test_repository import commit, git

needs_sshd = pytest.mark.skipif(not SSHD, reason=MISSING)
SECRET = "ghp_thisisnotarealtoken"


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """A developer without configuration, keys and agent."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)


@pytest.fixture
def clone(tmp_path):
    where = tmp_path / "clone"
    where.mkdir()
    git(where, "init", "-q", "-b", "main")
    commit(where, "First", {"a.txt": "1\n"})
    return where


@pytest.fixture
def web():
    """A web server that answers every request of git with `web.status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(server.status)
            if server.status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status = 401
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def check(path, capsys):
    """Exit code and output of the command."""
    try:
        call_command("git_remote_check", path=str(path), seconds=10.0)
        code = 0
    except SystemExit as ended:
        code = ended.code
    return code, capsys.readouterr().out


def test_a_clone_that_can_push_is_well_and_nothing_is_changed(clone, tmp_path, capsys):
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    git(clone, "remote", "add", "origin", str(tmp_path / "origin.git"))

    code, message = check(clone, capsys)

    assert code == 0 and "origin: works" in message and "writing: works" in message
    assert git(tmp_path / "origin.git", "for-each-ref") == ""


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        (lambda clone: clone / "nowhere", "There is no directory"),
        (lambda clone: clone.parent, "is no git repository"),
        (lambda clone: clone, "has no remote"),
    ],
)
def test_what_is_no_clone_or_has_no_remote_is_said(clone, capsys, arrange, words):
    code, message = check(arrange(clone), capsys)

    assert code == 1 and words in message


def test_a_refused_password_leads_to_ssh_or_gh_and_the_token_is_never_shown(clone, web, capsys):
    git(
        clone,
        "remote",
        "add",
        "origin",
        f"http://dana:{SECRET}@127.0.0.1:{web.server_port}/acme/inspector.git",
    )

    code, message = check(clone, capsys)

    assert code == 1 and "holds a user name and a password or token (not shown)" in message
    assert "run  git remote set-url origin git@127.0.0.1:acme/inspector.git" in message
    assert "gh auth login" in message and "credential helper: none" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "does not let you write"), (404, "shows no repository acme/inspector")],
)
def test_a_forbidden_and_an_unknown_repository_are_two_things(clone, web, capsys, status, words):
    web.status = status
    git(clone, "remote", "add", "origin", f"http://127.0.0.1:{web.server_port}/acme/inspector.git")

    code, message = check(clone, capsys)

    assert code == 1 and words in message and "gh auth status" in message


def test_a_host_that_nobody_knows_and_one_that_is_down(clone, capsys):
    git(clone, "remote", "add", "unknown", "https://git.invalid/acme/inspector.git")
    git(clone, "remote", "add", "down", "http://127.0.0.1:1/acme/inspector.git")

    code, message = check(clone, capsys)

    assert code == 1 and "No host git.invalid is known" in message
    assert "cannot be reached over HTTPS" in message and "run  ssh -T git@127.0.0.1" in message


def test_a_helper_is_named_and_a_query_with_a_token_is_not_shown(clone, web, capsys):
    git(clone, "config", "credential.helper", f"/opt/helpers/git-credential-corp --token {SECRET}")
    git(
        clone,
        "remote",
        "add",
        "origin",
        f"http://127.0.0.1:{web.server_port}/a/b.git?access_token={SECRET}",
    )

    message = check(clone, capsys)[1]

    assert "credential helper: git-credential-corp" in message and SECRET not in message


@needs_sshd
def test_over_ssh_an_unknown_host_an_unknown_key_and_a_good_one_are_told_apart(
    clone, tmp_path, capsys, monkeypatch
):
    origin = clone
    with serving(tmp_path / "sshd", origin) as server:
        git(clone, "remote", "add", "origin", server.url)
        hosts = tmp_path / "hosts"
        options = f"ssh -F /dev/null -oUserKnownHostsFile={hosts} -oIdentitiesOnly=yes"
        monkeypatch.setenv("GIT_SSH_COMMAND", options)
        unknown = check(clone, capsys)
        hosts.write_text(f"[127.0.0.1]:{server.port} {server.host}")
        no_key = check(clone, capsys)
        monkeypatch.setenv("GIT_SSH_COMMAND", f"{options} -i {tmp_path / 'sshd' / 'client'}")
        look = remotes.look(clone, seconds=10)[0]

    assert unknown[0] == no_key[0] == 1
    assert f"run  ssh -T -p {server.port}" in unknown[1] and "is not known here" in unknown[1]
    assert "knows none of your SSH keys" in no_key[1] and "ssh agent: none is running" in no_key[1]
    assert any(fact.startswith("reading: works") for fact in look.facts)


@pytest.mark.slow
def test_it_needs_no_database_and_runs_from_any_directory(clone):
    manage = Path(__file__).resolve().parents[3] / "manage.py"
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}

    done = subprocess.run(
        [sys.executable, manage, "git_remote_check"],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1 and "This repository has no remote" in done.stdout, done.stderr
