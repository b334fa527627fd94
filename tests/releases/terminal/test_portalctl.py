"""portalctl against the portal over a socket; and what a token opens and does not."""

import json
import os
import subprocess
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.db import connections
from django.test import Client
from django.utils import timezone

from environments.models import Repair
from portal.accounts import tokens
from portal.models.audit import AuditEvent
from portal.models.tokens import AccessToken
from portal.ui.actions import NotProven, Refused
from releases.models.task_logs import TaskLog
from releases.promotion import actions as promotion
from tests.factory import make_people, make_project, make_release

SCRIPT = Path(__file__).parents[3] / "portal/static/portal/portalctl.py"


over_a_socket = pytest.mark.slow


@pytest.fixture
def people(transactional_db):
    return make_people()


@pytest.fixture
def ctl(live_server, tmp_path):
    """Run portalctl as a person's shell does, without the portal's environment."""

    def run(*arguments, token="", cwd=tmp_path, url=live_server.url, given=""):
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PORTAL_URL": url}
        env |= {"PORTAL_TOKEN": token} if token else {}
        command = [sys.executable, "-I", str(SCRIPT), *arguments]
        return subprocess.run(
            command, env=env, cwd=cwd, input=given, capture_output=True, text=True, timeout=60
        )

    yield run
    connections.close_all()


def sync_ends(result, status, sentence):
    """Stand in for a worker: the job ends while the client waits."""

    def end():
        for _ in range(200):
            if Repair.objects.filter(status="queued").update(
                status=status, result=result, sentence=sentence
            ):
                break
            threading.Event().wait(0.05)
        connections.close_all()

    thread = threading.Thread(target=end)
    thread.start()
    return thread


@over_a_socket
def test_whoami_names_person_roles_and_projects(people, ctl):
    make_project()
    token = tokens.make(people["alice"], "laptop")

    told = ctl("whoami", token=token)
    as_json = json.loads(ctl("whoami", "--json", token=token).stdout)

    assert told.stdout == "alice: Release managers\n  inspector\n", told.stderr
    assert as_json["user"] == "alice" and as_json["portal"]
    assert AccessToken.objects.get().used_at


@pytest.mark.parametrize(
    ("result", "status", "code"),
    [("equal", "succeeded", 0), ("not_ready", "failed", 3), ("diverged", "failed", 4)],
)
@over_a_socket
def test_sync_staging_waits_and_says_how_it_ended(people, ctl, result, status, code):
    make_project()
    token = tokens.make(people["alice"], "laptop")
    thread = sync_ends(result, status, f"It is {result}.")

    told = ctl("sync-staging", token=token)

    thread.join()
    assert (told.returncode, (told.stdout or told.stderr).strip()) == (code, f"It is {result}.")
    event = AuditEvent.objects.get(action="staging.sync_requested")
    assert (event.actor_name, event.outcome) == ("alice", "done")


@over_a_socket
def test_whoever_may_not_sync_is_refused_and_that_is_an_event(people, ctl):
    make_project()

    told = ctl("sync-staging", token=tokens.make(people["carol"], "laptop"))

    assert told.returncode == 1 and "not allowed" in told.stderr
    assert not Repair.objects.exists()
    assert AuditEvent.objects.get(action="staging.sync_requested").outcome == "refused"


@over_a_socket
def test_a_task_log_is_shown_changed_and_saved(people, ctl, tmp_path):
    release = make_release(make_project(), by=people["alice"])
    token = tokens.make(people["alice"], "laptop")
    empty = ctl("task-log", "show", token=token)
    file = tmp_path / "log.md"
    file.write_text(empty.stdout.replace("## Goal\n", "## Goal\n\nShip it – näher.\n"))

    saved = ctl("task-log", "save", str(file), token=token)
    late = ctl("task-log", "save", "--version", "0", token=token, given="## Notes\n\nLate.\n")
    part = ctl("task-log", "save", token=token, given="## Notes\n\nSeen.\n")
    wrong = ctl("task-log", "save", token=token, given="no heading")

    assert saved.returncode == 0 and "version 1" in saved.stdout, saved.stderr
    assert late.returncode == 1 and "saved this log while you were writing" in late.stderr
    assert part.returncode == 0 and wrong.returncode == 1 and "headings" in wrong.stderr
    log = TaskLog.objects.get(release=release)
    assert (log.goal, log.notes, log.version) == ("Ship it – näher.", "Seen.", 2)


@over_a_socket
def test_a_task_log_starts_without_the_portal_and_git_ignores_it(ctl, tmp_path):
    repository = tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", repository], check=True)

    told = ctl("task-log", "start", "Move the Bucket!", cwd=repository, url="")
    outside = ctl("task-log", "start", "x", cwd=tmp_path, url="")

    path = Path(told.stdout.strip())
    assert path.name.endswith("-move-the-bucket.md") and "## Commands run" in path.read_text()
    status = ["git", "-C", repository, "status", "--porcelain"]
    assert subprocess.run(status, capture_output=True, check=True).stdout == b""
    assert outside.returncode == 1 and "git repository" in outside.stderr


@pytest.mark.parametrize("spoiled", ["rpt_wrong", "", "ghp_something"])
@over_a_socket
def test_a_wrong_token_is_said_in_one_sentence(people, ctl, spoiled):
    told = ctl("whoami", token=spoiled)
    assert told.returncode == 1 and len(told.stderr.splitlines()) == 1
    assert "token" in told.stderr.lower() or "login" in told.stderr


@over_a_socket
def test_the_token_is_sent_only_where_it_was_given_and_never_in_the_clear(ctl):
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{server.server_port}/stolen")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        moved = ctl("whoami", token="rpt_x", url=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    clear = ctl("whoami", token="rpt_x", url="http://portal.example.com")

    assert moved.returncode == 1 and [path for path, _ in asked] == ["/terminal/whoami/"]
    assert clear.returncode == 1 and "not https" in clear.stderr


@pytest.mark.django_db
class TestTokens:
    def ask(self, token, path="/terminal/whoami/", **options):
        return Client().get(path, headers={"Authorization": f"Bearer {token}"}, **options)

    def test_a_session_opens_nothing_here_so_no_other_site_can_use_it(self):
        client = Client(enforce_csrf_checks=True)
        client.force_login(make_people()["alice"])
        make_project()
        assert client.get("/terminal/whoami/").status_code == 401
        assert client.post("/terminal/sync-staging/").status_code == 401
        assert not Repair.objects.exists()

    def test_a_token_opens_no_page_and_no_other_button(self):
        people = make_people()
        release = make_release(make_project(), by=people["alice"])
        token = tokens.make(people["alice"], "x")
        for path in ("/", f"/releases/{release.pk}/", "/admin/", "/account/access-tokens/"):
            assert self.ask(token, path).status_code == 302

    def test_it_ends_with_time_password_roles_and_account(self):
        people = make_people()
        now = timezone.now()
        old = tokens.make(people["alice"], "x", now=now - tokens.VALID - timedelta(seconds=1))
        assert self.ask(old).status_code == 401
        for spoil in (
            lambda user: (user.set_password("another long one"), user.save()),
            lambda user: user.groups.add(Group.objects.get(name="Auditors")),
            lambda user: (setattr(user, "is_active", False), user.save()),
        ):
            token = tokens.make(people["alice"], "x")
            assert self.ask(token).status_code == 200
            spoil(people["alice"])
            assert self.ask(token).status_code == 401

    def test_only_its_digest_is_kept_and_nobody_sees_it_in_the_trail(self):
        token = tokens.make(make_people()["alice"], "laptop")
        row = AccessToken.objects.get()
        assert token not in str(vars(row)) and row.digest == tokens.digest(token)
        event = AuditEvent.objects.get(action="person.token_made")
        assert token not in str(vars(event)) and "laptop" in event.sentence

    def test_ten_are_enough_and_each_person_removes_only_their_own(self):
        people = make_people()
        for number in range(tokens.MOST):
            tokens.make(people["alice"], str(number))
        with pytest.raises(Refused, match="Remove one first"):
            tokens.make(people["alice"], "one more")
        with pytest.raises(Refused, match="gone already"):
            tokens.remove(people["bob"], AccessToken.objects.first().pk)
        tokens.remove(people["alice"], AccessToken.objects.first().pk)
        assert AccessToken.objects.count() == tokens.MOST - 1

    def test_its_owner_has_proven_nothing_so_dangerous_actions_stay_shut(self):
        people = make_people()
        release = make_release(make_project(second_factor=True), by=people["alice"], ready=True)
        user = tokens.owner(f"Bearer {tokens.make(people['alice'], 'x')}")
        with pytest.raises(NotProven):
            promotion.promote(release, actor=user)

    def test_the_page_shows_a_new_token_once_and_asks_who_you_are_first(self):
        people = make_people()
        client = Client()
        client.force_login(people["alice"])
        address = "/account/access-tokens/"

        shown = client.post(address, {"name": "laptop"})
        again = client.get(address)
        session = client.session
        session["proved_at"] = 0
        session.save()
        held = client.post(address, {"name": "other"})
        nameless = client.post(address, {"name": ""})
        gone = client.post(address, {"remove": AccessToken.objects.get().pk})

        assert tokens.BEGINS in shown.content.decode()
        assert tokens.BEGINS not in again.content.decode() and b"Remove laptop" in again.content
        assert held.status_code == 302 and "/sign-in/again/" in held.url
        assert b"Name the access token" in nameless.content
        assert b"Remove laptop" not in gone.content and not AccessToken.objects.exists()
