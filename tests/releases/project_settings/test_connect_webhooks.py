"""Registering the portal's webhooks at the stand-ins, over the socket."""

from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction

from portal.models.audit import AuditEvent
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.railway import RailwayStandIn
from portal.sandbox.server import Fault, Server
from releases.project_settings import connect
from tests.faults.denied_audit import disk_full

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(tmp_path, settings):
    """Both stand-ins, empty, and a portal at an address where nobody listens: pings are lost."""
    github = GitHubStandIn(tmp_path / "github", owner="acme", name="inspector")
    railway = RailwayStandIn(
        tmp_path / "railway",
        repository=tmp_path / "github" / "repository.git",
        repository_name="acme/inspector",
    )
    github_server, railway_server = Server(github).start(), Server(railway).start()
    settings.GITHUB_API_URL, settings.RAILWAY_API_URL = (
        github_server.url,
        f"{railway_server.url}/graphql/v2",
    )
    settings.GITHUB_TOKEN, settings.RAILWAY_API_TOKEN = (
        "sandbox-github-token",
        "sandbox-railway-token",
    )
    settings.GITHUB_WEBHOOK_SECRET, settings.RAILWAY_WEBHOOK_SECRET = (
        "github-secret",
        "railway-secret",
    )
    settings.PORTAL_URL = "http://127.0.0.1:9"
    project = connect.connect(
        name="inspector", repository="acme/inspector", railway_project_id=railway.project_id
    )
    yield SimpleNamespace(github=github, railway=railway, server=github_server, project=project)
    github.hooks.stop()
    github_server.stop()
    railway_server.stop()
    railway.stop()


def posted(world) -> int:
    return sum(
        request.method == "POST" and request.path.endswith("/hooks")
        for request in world.server.requests
    )


def rules(world) -> list[dict]:
    return world.railway.world.rows("rules")


def test_webhooks_are_registered_once_however_often_it_is_asked_for(world):
    first, again = connect.connect_webhooks(world.project), connect.connect_webhooks(world.project)

    assert [one.changed for one in (*first, *again)] == [True, True, False, False]
    assert len(world.github.state["hooks"]) == len(rules(world)) == 1
    assert posted(world) == 1
    assert AuditEvent.objects.filter(action="webhooks.connected").count() == 2


def test_no_webhook_is_registered_without_its_event(world):
    with disk_full(), pytest.raises(DatabaseError), transaction.atomic():
        connect.connect_webhooks(world.project)

    assert (world.github.state["hooks"], list(rules(world))) == ([], [])


def test_a_new_secret_replaces_the_old_one_and_adds_no_second_webhook(world, settings):
    connect.connect_webhooks(world.project)
    settings.GITHUB_WEBHOOK_SECRET, settings.RAILWAY_WEBHOOK_SECRET = (
        "github-newer",
        "railway-newer",
    )

    done = connect.connect_webhooks(world.project, renew=True)

    [hook], [rule] = world.github.state["hooks"], rules(world)
    assert [one.changed for one in done] == [True, True]
    assert hook["secret"] == "github-newer"
    assert rule["channels"][0]["config"]["url"].endswith("/webhooks/railway/railway-newer/")


def test_a_webhook_that_somebody_changed_is_put_right(world):
    connect.connect_webhooks(world.project)
    [hook] = world.github.state["hooks"]
    hook |= {"active": False, "events": ["push"]}

    [github, railway] = connect.connect_webhooks(world.project)

    assert (github.changed, railway.changed) == (True, False)
    assert hook["active"] and hook["secret"] == "github-secret" and "status" in hook["events"]


def test_trouble_with_one_is_said_and_does_not_stop_the_other(world):
    world.server.faults.append(Fault("status", times=9, status=403, path="/hooks"))

    github, railway = connect.connect_webhooks(world.project)

    assert not github.ok and "does not let the token list webhooks" in github.sentence
    assert railway.ok


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GITHUB_WEBHOOK_SECRET", "", "set GITHUB_WEBHOOK_SECRET"),
        ("RAILWAY_WEBHOOK_SECRET", "a/b", "part of an address"),
        ("GITHUB_API_URL", "https://api.github.com", "Nobody outside can reach"),
    ],
)
def test_what_could_never_arrive_is_not_registered_but_named(
    world, settings, capsys, name, value, words
):
    setattr(settings, name, value)

    with pytest.raises(CommandError):
        call_command("connect_webhooks", "inspector")

    assert words in capsys.readouterr().err


def test_secrets_are_in_no_sentence_and_no_event(world):
    done = connect.connect_webhooks(world.project)
    again = connect.connect_webhooks(world.project, renew=True)

    message = "".join(one.sentence for one in (*done, *again))
    message += "".join(f"{event.sentence}{event.data_json}" for event in AuditEvent.objects.all())
    assert "github-secret" not in message and "railway-secret" not in message
