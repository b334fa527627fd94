"""The GitHub token goes to GitHub's host and to nobody else, whatever a project's address says."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from environments.git.addresses import fault_of, origin
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.git_mirrors.clone import git_address, mirror_of
from environments.models import Project
from tests.factory import make_project

TOKEN = "canary-token-of-github"
SENT = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


class Listening:
    """A web server that keeps what it was sent; it asks for a password, or leads to `leads_to`."""

    def __init__(self, leads_to: str = "") -> None:
        self.seen: list[str] = []
        listening = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                listening.seen.append(f"{self.path} {self.headers} {body!r}")
                self.send_response(302 if leads_to else 401)
                if leads_to:
                    self.send_header("Location", f"{leads_to}{self.path}")
                else:
                    self.send_header("WWW-Authenticate", 'Basic realm="Please"')
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def got_the_token(self) -> bool:
        return any(TOKEN in one or SENT in one for one in self.seen)


@pytest.fixture
def evil():
    server = Listening()
    yield server
    server.stop()


@pytest.fixture
def project(db, settings, tmp_path):
    settings.VAR_DIR, settings.GITHUB_TOKEN = tmp_path, TOKEN
    return make_project()


def fetch(project: Project, address: str) -> str:
    """What came of reading `address`, which a project names, past every form."""
    Project.objects.filter(pk=project.pk).update(git_url=address)
    project.refresh_from_db()
    with pytest.raises(GitError) as raised:
        mirror_of(project).fetch(timeout=20)
    return raised.value.kind


def test_a_foreign_host_is_read_without_the_token(project, evil, settings):
    settings.GITHUB_GIT_URL = "https://github.com"

    kind = fetch(project, f"{evil.url}/acme/inspector.git")

    assert evil.seen and kind == "token"
    assert not evil.got_the_token


def test_the_configured_host_gets_it(project, evil, settings):
    settings.GITHUB_GIT_URL = evil.url

    fetch(project, "")

    assert evil.got_the_token


def test_a_redirect_is_not_followed(project, evil, settings):
    moved = Listening(leads_to=evil.url)
    settings.GITHUB_GIT_URL = moved.url

    kind = fetch(project, "")
    moved.stop()

    assert moved.got_the_token and kind == "moved"
    assert not evil.seen


def test_another_port_of_the_same_machine_is_another_host(project, evil, settings):
    settings.GITHUB_GIT_URL = "http://127.0.0.1:1"

    fetch(project, f"{evil.url}/acme/inspector.git")

    assert evil.seen and not evil.got_the_token


def test_the_host_behind_an_at_sign_is_the_host(project, evil, settings, tmp_path):
    settings.GITHUB_GIT_URL = "https://github.com"
    address = evil.url.replace("http://", "http://github.com:x@")

    mirror = Mirror(tmp_path / "m", address, token=TOKEN, token_for="https://github.com")
    with pytest.raises(GitError):
        mirror.fetch(timeout=20)

    assert evil.seen and not evil.got_the_token
    assert fetch(project, address) == "address"


@pytest.mark.parametrize(
    "address",
    [
        "/etc",
        "file:///etc",
        "../other.git",
        "ext::sh -c id",
        "ext::id",
        "--upload-pack=id",
        "-u",
        "ftp://h/x",
        "http://github.com/acme/inspector.git",
        "https://",
        "https://user:word@github.com/a/b.git",
        "fd::3",
        "ssh://-oProxyCommand=id/x",
        "-oProxyCommand=id:x",
        "https://h/\nx",
        "https://h:99999/x",
        "git://h/x",
        "https://[::1/x",
    ],
)
def test_an_address_of_another_kind_is_never_given_to_git(project, address):
    assert fault_of(address)
    assert fetch(project, address) == "address"


@pytest.mark.parametrize(
    "address",
    [
        "https://github.example.com/acme/x.git",
        "ssh://git@git.example.org:2222/acme/x.git",
        "git@github.com:acme/x.git",
        "http://127.0.0.1:8080/acme/x.git",
        "http://[::1]:80/x.git",
    ],
)
def test_honest_addresses_are_taken(project, address):
    Project.objects.filter(pk=project.pk).update(git_url=address)
    project.refresh_from_db()

    assert fault_of(address) == "" and git_address(project, over_ssh=False) == address


def test_no_token_travels_in_clear_text():
    assert origin("http://github.com/a") == ""
    assert origin("https://github.com/a/b.git") == "https://github.com/"
    assert origin("http://x@127.0.0.1:8/a") == "http://127.0.0.1:8/"
