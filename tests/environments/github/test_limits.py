"""What GitHub's answers say about quota and expiry reaches the checks, whatever the answers look
like.
"""

from contextlib import suppress
from datetime import timedelta

import pytest
import stamina
from django.utils import timezone

from environments.github import GitHub, limits
from portal import observed
from portal.health import registry
from portal.health.registry import State
from portal.models.health import Observation
from portal.outbound.http import ApiError, Reply
from portal.sandbox.github import GitHubStandIn
from portal.sandbox.server import Server

pytestmark = pytest.mark.django_db


@pytest.fixture
def hub(tmp_path, settings):
    with stamina.set_testing(True, attempts=1):
        hub = GitHubStandIn(tmp_path / "github", owner="acme", name="inspector")
        server = Server(hub).start()
        hub.url = settings.GITHUB_API_URL = server.url
        settings.GITHUB_TOKEN = "sandbox-github-token"
        yield hub
        server.stop()
        hub.hooks.stop()


def ask():
    with suppress(ApiError):
        GitHub("acme/inspector").transport.get("read the repository", "/repos/acme/inspector")
    observed.keep(at_once=True)


def test_a_token_that_is_about_to_expire_and_then_does(hub):
    ask()
    assert state_of("token_expiry") == {"": State.OK}

    hub.expiries["sandbox-github-token"] = timezone.now() + timedelta(days=3)
    ask()
    assert state_of("token_expiry") == {"": State.WARNING}
    hub.expiries["sandbox-github-token"] = timezone.now() - timedelta(minutes=1)
    ask()
    assert state_of("token_expiry") == {"": State.FAILING}


def test_a_quota_that_is_used_up(hub):
    ask()
    assert state_of("github_quota") == {"core": State.OK}

    hub.rate["core"].used = hub.rate["core"].limit
    ask()
    assert state_of("github_quota") == {"core": State.FAILING}


def state_of(name):
    [one] = [check for check in registry.all_checks() if check.name == name]
    return {result.subject: result.state for result in one.function(timezone.now())}


@pytest.mark.parametrize(
    "message, seconds",
    [
        ("2026-12-01 00:00:00 UTC", 1_796_083_200.0),
        ("2026-11-30 20:00:00 -0400", 1_796_083_200.0),
        ("", None),
        ("soon", None),
        ("9999-99-99 00:00:00 UTC", None),
    ],
)
def test_expiry_as_github_writes_it(message, seconds):
    assert limits.expiry(message) == seconds


def test_odd_headers_note_nothing():
    observed.keep(at_once=True)
    Observation.objects.all().delete()

    for value in ("", "-1", "1e9", "x" * 5000, "٣"):
        limits.note(
            Reply(500, {"x-ratelimit-resource": "core", "x-ratelimit-remaining": value}, b""), "a"
        )
    observed.keep(at_once=True)

    assert not Observation.objects.exists()
