"""What GitHub and Railway refuse a running portal, for `tests.faults.unwell`: an expired token and
an exhausted quota of each, on the stand-ins, until the health page, the board and an e-mail say it,
and until all is well again by itself.

The project is idle and Railway's webhooks arrive, so that nothing but the watch asks soon.
"""

import socketserver
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Server
from tests.faults.unwell_portal import LIMIT_SECONDS, Portal, Row, seconds_until
from tests.stand_in import github_with_the_sample

RENEWED_SECONDS = 75.0  # after which the hour's requests are allowed anew
CONNECT = """
from django.contrib.auth.models import User
from django.test import Client
from releases.models import Channel
from releases.notifications import actions
from releases.project_settings import connect
project = connect.connect(
    name="inspector", repository="acme/inspector", railway_project_id={project!r}
)
user = User.objects.create_superuser("zoe", "zoe@example.com", "a-long-password")
actions.add_channel(None, actor=user, name="mine", transport="email", address="zoe@example.com",
    kinds=["health"], personal=True)
client = Client()
client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
print("session", client.cookies["sessionid"].value)
"""


class Mailbox(socketserver.ThreadingTCPServer):
    """An SMTP server that takes every e-mail and keeps its text in `letters`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.letters: list[str] = []
        super().__init__(("127.0.0.1", 0), _Smtp)
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self._say("354 go on")
                self._take()
            self._say("250 ok" if verb != b"QUIT" else "221 bye")

    def _take(self) -> None:
        lines = iter(self.rfile.readline, b".\r\n")
        # Long lines are folded in quoted-printable, and what is said is looked for in one.
        text = b"".join(lines).replace(b"=\r\n", b"").replace(b"\r\n", b" ")
        self.server.letters.append(text.decode())  # type: ignore[attr-defined]

    def _say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())


@dataclass
class Outside:
    """A portal with a project, and the world that it asks."""

    portal: Portal
    github: GitHubStandIn
    railway: RailwayStandIn
    mailbox: Mailbox
    session: str = field(default="")

    def board(self) -> str:
        """The board as a signed-in person sees it; "" while it is not served."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.portal.port}/", headers={"Cookie": f"sessionid={self.session}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.read().decode()
        except OSError:
            return ""


@contextmanager
def connected(directory: Path) -> Iterator[Outside]:
    """The portal at work for one project, which was read once and where webhooks arrive."""
    github = github_with_the_sample(directory / "github")
    railway = RailwayStandIn(
        directory / "railway", repository=github.git.path, repository_name="acme/inspector"
    )
    for name in ("staging", "production"):
        railway.add_environment(name)
    servers, mailbox = [Server(github).start(), Server(railway).start()], Mailbox()
    github.url = servers[0].url
    settings = {
        "GITHUB_API_URL": servers[0].url,
        "GITHUB_GIT_URL": servers[0].url,
        "GITHUB_TOKEN": "sandbox-github-token",
        "RAILWAY_API_URL": f"{servers[1].url}/graphql/v2",
        "RAILWAY_API_TOKEN": "sandbox-railway-token",
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": str(mailbox.server_address[1]),
    }
    portal = Portal(directory, settings=settings)
    outside = Outside(portal, github, railway, mailbox)
    try:
        _connect(outside)
        yield outside
    finally:
        portal.end()
        mailbox.shutdown()
        for server in servers:
            server.stop()
        github.hooks.stop()
        railway.stop()


def _connect(outside: Outside) -> None:
    portal = outside.portal
    code = CONNECT.format(project=outside.railway.project_id)
    portal.manage("shell", "-c", code, files=portal.directory / "web-files").wait()
    said = (portal.directory / "shell.log").read_text()
    if "session " not in said:
        raise SystemExit(said[-2000:])
    outside.session = said.rpartition("session ")[2].split()[0]
    assert seconds_until(lambda: portal.states().get("credentials") in ("ok", "warning")) < 90
    # As if Railway's webhooks had announced what changed: it is then read every five minutes.
    with psycopg.connect(portal.server.url) as connection:
        connection.execute("UPDATE environments_railwaysync SET heard_at = now(), wake_at = now()")
    assert seconds_until(lambda: "The portal:" not in outside.board(), 90) < 90
    time.sleep(5)


def refuse_everything(outside: Outside) -> Iterator[Row]:
    """Each refusal: seconds until `/health/ready` and the board said it, until trail and e-mail
    did, and until all was well again.
    """
    yield _expired_on_github(outside)
    yield _expired_on_railway(outside)
    yield _exhausted_on_github(outside)
    yield _exhausted_on_railway(outside)


def _expired_on_github(outside: Outside) -> Row:
    outside.github.expiries["sandbox-github-token"] = datetime.now(UTC) - timedelta(seconds=1)
    mend = outside.github.expiries.clear
    return _refused(outside, "GitHub's token expired", "credentials", "GitHub refuses it", mend)


def _expired_on_railway(outside: Outside) -> Row:
    world = outside.railway.world
    with world.changing():
        tokens, world.data["tokens"] = world.data["tokens"], type(world.data["tokens"])()

    def mend() -> None:
        with world.changing():
            world.data["tokens"] = tokens

    return _refused(outside, "Railway's token expired", "credentials", "Railway refuses it", mend)


def _exhausted_on_github(outside: Outside) -> Row:
    renewed = datetime.now(UTC) + timedelta(seconds=RENEWED_SECONDS)
    for rate in outside.github.rate.values():
        rate.used, rate.reset = rate.limit, renewed
    words = "requests to GitHub (graphql) are left"
    return _refused(outside, "GitHub's quota exhausted", "github_quota", words, _until(renewed))


def _exhausted_on_railway(outside: Outside) -> Row:
    renewed = datetime.now(UTC) + timedelta(seconds=RENEWED_SECONDS)
    with outside.railway.world.changing():
        budget = outside.railway.world.data["budget"]
        budget["remaining"], budget["resets_at"] = 0, renewed.timestamp()
    words = "Railway refuses requests until"
    return _refused(outside, "Railway's quota exhausted", "railway_quota", words, _until(renewed))


def _until(moment: datetime) -> Callable[[], None]:
    def wait() -> None:
        time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))

    return wait


def _refused(outside: Outside, name: str, check: str, words: str, mend: Callable[[], None]) -> Row:
    portal, started = outside.portal, time.monotonic()
    recovered = portal.events("health.recovered", check)
    before = len(outside.mailbox.letters)
    seconds_until(lambda: portal.states().get(check) == "failing", LIMIT_SECONDS)
    seconds_until(lambda: words in outside.board(), LIMIT_SECONDS)
    shown = time.monotonic() - started
    seconds_until(
        lambda: any(words in letter for letter in outside.mailbox.letters[before:]), LIMIT_SECONDS
    )
    told = time.monotonic() - started
    mend()
    well = seconds_until(lambda: portal.events("health.recovered", check) > recovered)
    gone = seconds_until(lambda: words not in outside.board(), LIMIT_SECONDS)
    return name, shown, told, well + gone
