"""Watch only: of every write of both clients, of git and of migrations nothing leaves. Nor does
one whose job is another worker's by the time its first byte would go out.
"""

import ast
import inspect
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from environments.branches import fast_forward
from environments.clients import github_of, railway_of, withhold
from environments.git_mirrors.clone import mirror_of
from environments.github import GitHub
from environments.models import Project
from environments.models.watch_only import WithheldWrite
from environments.railway import Railway
from portal.models.audit import AuditEvent
from portal.outbound import http
from portal.outbound.http import TooLate, WatchOnly
from portal.sandbox.server import Response, Server
from tests.factory import make_project

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[3]
SHA = "a" * 40

# Every method of the clients that writes, with what it takes.
GITHUB = {
    "open_pull": {"head": "staging", "base": "main", "title": "t", "body": "b"},
    "merge": {"number": 1, "sha": SHA, "title": "t"},
    "revert_pull": {"number": 1, "body": "b"},
    "fast_forward": {"branch": "staging", "sha": SHA},
    "create_branch": {"branch": "staging", "sha": SHA},
    "retarget": {"number": 1, "base": "main"},
    "keep_heads": {},
    "protect": {"branch": "main", "body": {"enforce_admins": True}},
    "set_status": {
        "sha": SHA,
        "context": "release-portal",
        "state": "success",
        "description": "d",
        "target_url": "",
    },
    "comment": {"number": 1, "body": "b"},
    "edit_comment": {"comment_id": 1, "body": "b"},
    "create_deployment": {
        "ref": SHA,
        "environment": "pr-1",
        "description": "d",
        "production": False,
    },
    "deployment_status": {"deployment_id": 1, "state": "success", "description": "d"},
    "add_hook": {"url": "https://p.example.com/", "secret": "hook-secret", "events": ["push"]},
    "change_hook": {
        "hook_id": 1,
        "url": "https://p.example.com/",
        "secret": "hook-secret",
        "events": ["push"],
    },
}
RAILWAY = {
    "add_rule": {"workspace": "w", "project": "p", "url": "https://p.example.com/", "events": []},
    "change_rule": {"rule_id": "r", "url": "https://p.example.com/", "events": []},
    "deploy_commit": {"environment": "e", "service": "s", "sha": SHA},
    "redeploy": {"deployment_id": "d"},
    "rollback": {"deployment_id": "d"},
    "set_trigger_branch": {"trigger_id": "t", "branch": "main"},
    "set_autodeploy": {"project": "p", "environment": "e", "service": "s", "enabled": True},
    "stage_pre_deploy": {"environment": "e", "service": "s", "command": ["x"]},
    "commit_staged": {"environment": "e", "message": "m"},
    "cancel": {"deployment_id": "d"},
    "create_environment": {"project": "p", "name": "pr-1", "source": "s"},
    "delete_environment": {"environment": "e"},
    "set_variables": {
        "project": "p",
        "environment": "e",
        "service": "s",
        "values": {"TOKEN": "variable-secret"},
    },
    "deploy_as_is": {"environment": "e", "service": "s"},
    "back_up_volume": {"volume": "v", "name": "n"},
}


@pytest.fixture
def vendor(settings):
    server = Server(lambda request: Response(200, {"node_id": "PR_1"})).start()
    settings.GITHUB_API_URL = settings.GITHUB_GIT_URL = server.url
    settings.RAILWAY_API_URL = f"{server.url}/graphql/v2"
    settings.GITHUB_TOKEN, settings.RAILWAY_API_TOKEN = "gh-token-of-a-test", "rw-token-of-a-test"
    yield server
    server.stop()


@pytest.fixture
def project(vendor):
    project = make_project()
    Project.objects.filter(pk=project.pk).update(watch_only=True)
    return project


def writing_methods(client: type) -> set[str]:
    """The public methods of a client that write, by what they call."""
    return {
        method.name
        for part in client.__mro__[:-1]
        for method in ast.walk(ast.parse(inspect.getsource(part)))
        if isinstance(method, ast.FunctionDef)
        and not method.name.startswith("_")
        and any(
            isinstance(node, ast.Attribute) and node.attr in ("write", "_write", "mutate")
            for node in ast.walk(method)
        )
    }


def test_the_tables_above_hold_every_write_of_both_clients():
    assert writing_methods(GitHub) == set(GITHUB)
    assert writing_methods(Railway) == set(RAILWAY)


@pytest.mark.parametrize("name", GITHUB)
def test_no_write_of_the_github_client_is_sent(vendor, project, name):
    with pytest.raises(WatchOnly, match=r"Watch only: the portal would now .+; nothing was sent"):
        getattr(github_of(project), name)(**GITHUB[name])
    assert {request.method for request in vendor.requests} <= {"GET"}
    assert "hook-secret" not in str(WithheldWrite.objects.get(project=project).content)


@pytest.mark.parametrize("name", RAILWAY)
def test_no_write_of_the_railway_client_is_sent(vendor, project, name):
    with pytest.raises(WatchOnly):
        getattr(railway_of(project), name)(**RAILWAY[name])
    assert vendor.requests == []
    kept = str(WithheldWrite.objects.get(project=project).content)
    assert "variable-secret" not in kept


@pytest.fixture
def lease_that_ends():
    """A job that is held when a write asks for it, and not a moment longer."""
    token = http.guard.set(lambda: 0.0)
    yield
    http.guard.reset(token)


@pytest.mark.parametrize(
    ("of", "name", "arguments"),
    [(github_of, *one) for one in GITHUB.items()] + [(railway_of, *one) for one in RAILWAY.items()],
)
def test_no_write_begins_once_its_lease_is_over(vendor, lease_that_ends, of, name, arguments):
    with pytest.raises(TooLate):
        getattr(of(make_project()), name)(**arguments)
    assert {request.method for request in vendor.requests} <= {"GET"}


def test_no_forced_push_begins_once_its_lease_is_over(vendor):
    def over() -> float:
        raise TooLate

    project = make_project()
    mirror_of(project).path.mkdir(parents=True, exist_ok=True)
    token = http.guard.set(over)
    try:
        with pytest.raises(TooLate):
            fast_forward.reset(project, SHA, "b" * 40)
    finally:
        http.guard.reset(token)
    assert vendor.requests == []


def test_no_forced_push_is_sent(vendor, project):
    with pytest.raises(WatchOnly, match="by force"):
        fast_forward.reset(project, SHA, "b" * 40)
    assert vendor.requests == []


def test_the_same_write_is_one_row_and_one_event_however_often_it_is_held_back(project):
    now = timezone.now()
    for seconds in range(3):
        with pytest.raises(WatchOnly):
            withhold(project, "GitHub", "merge", {"n": 1}, now=now + timedelta(seconds=seconds))
    with pytest.raises(WatchOnly):
        withhold(project, "GitHub", "merge", {"n": 2}, now=now)

    first = WithheldWrite.objects.get(content={"n": 1})
    assert (first.count, first.last_at - first.first_at) == (3, timedelta(seconds=2))
    assert AuditEvent.objects.filter(action="outward.withheld").count() == 2


def test_the_switch_is_read_anew_before_each_write(project):
    github = github_of(project)
    with pytest.raises(WatchOnly):
        github.keep_heads()
    Project.objects.filter(pk=project.pk).update(watch_only=False)
    withhold(project, "GitHub", "merge", {})


def sources() -> list[Path]:
    return [
        path
        for top in ("portal", "environments", "releases")
        for path in (ROOT / top).rglob("*.py")
        if "portal/sandbox" not in str(path)
    ]


def test_clients_are_made_in_one_place():
    """The page Connections asks by itself what a token is, and never writes."""
    allowed = {
        "environments/clients/of_project.py": {"GitHub", "Railway"},
        "environments/connections/check_railway.py": {"Railway"},
        "releases/setup/credentials.py": {"Railway"},  # tries a pasted token by reading
        "environments/setup/choices.py": {"GitHub", "Railway"},
    }
    made = {}
    for path in sources():
        names = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("GitHub", "Railway")
        }
        if names - allowed.get(str(path.relative_to(ROOT)), set()):
            made[str(path.relative_to(ROOT))] = names
    assert made == {}


def test_nothing_else_writes_outside():
    """The token of an App's installation is a read, and messages to people are the portal's own."""
    writing = {
        str(path.relative_to(ROOT))
        for path in sources()
        if re.search(r'http\.send\(|"push",\s*"--', path.read_text())
    }
    assert writing == {
        "environments/git_mirrors/audit_anchors.py",  # asks `watch_only` itself
        "environments/git/remotes.py",  # a dry run in a developer's clone
        "environments/git/repository.py",  # push_with_lease, above
        "environments/github/apps.py",  # a new App, which a person made on GitHub
        "environments/github/transport.py",
        "environments/railway/transport.py",
        "environments/smoke/probe.py",  # reads
        "portal/outbound/credentials.py",  # the installation's token
        "releases/notifications/transports.py",
        "releases/practice/days.py",  # the sandbox's own stand-ins
    }
