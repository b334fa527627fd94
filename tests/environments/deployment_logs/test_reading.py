"""Logs of failed deployments: read from Railway's stand-in, without secrets, bounded, twice."""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.deployment_logs import reading
from environments.models import Deployment, DeploymentLog
from environments.railway import LogLine
from environments.services.liveness import lives_in
from portal.outbound.credentials import Secret
from portal.outbound.http import ApiError
from tests.factory import MERGE, make_project

pytestmark = pytest.mark.django_db


class Railway:
    """What the reading asks of the client, from memory."""

    def __init__(self, *lines: str, error: ApiError | None = None) -> None:
        self.lines, self.error, self.asked = lines, error, []

    def variables(self, *place, unrendered):
        return {"API_KEY": Secret("s3cret-key"), "SEALED": None, "MODE": Secret("production")}

    def build_log(self, deployment, limit):
        self.asked.append((deployment, limit))
        if self.error:
            raise self.error
        return tuple(LogLine(None, "info", line) for line in self.lines)

    def deployment_log(self, deployment, limit):
        return ()


@pytest.fixture
def project():
    return make_project()


def fail(project, status="FAILED", kind="production") -> Deployment:
    row = Deployment.objects.get(
        instance__environment__kind=kind,
        instance__service__name="frontend",
        instance__environment__project=project,
    )
    Deployment.objects.filter(pk=row.pk).update(is_latest=False)
    return Deployment.objects.create(
        instance=row.instance,
        railway_id="broken",
        status=status,
        commit=MERGE,
        is_latest=True,
        seen_at=timezone.now(),
    )


def read(project, railway, *, now) -> int:
    newest = [live.latest for live in lives_in(project) if live.latest]
    return reading.read_logs(project, railway, newest, now=now)


def test_a_failed_deployment_s_log_is_kept_without_the_service_s_secrets(project):
    fail(project)
    railway = Railway("npm install in production", "token s3cret-key", "exit code 1")

    count = read(project, railway, now=timezone.now())

    kept = DeploymentLog.objects.get()
    assert count == 1
    assert kept.build == "npm install in production\ntoken •••\nexit code 1"
    assert (kept.problem, kept.reads) == ("", 1)


@pytest.mark.parametrize("status", ["SUCCESS", "BUILDING", "SKIPPED", "REMOVED"])
def test_what_did_not_fail_is_not_asked_for(project, status):
    fail(project, status)

    assert read(project, Railway("x"), now=timezone.now()) == 0


def test_it_is_read_once_more_for_lines_that_come_late_and_then_no_more(project):
    fail(project)
    now = timezone.now()
    read(project, Railway("first"), now=now)
    at_once = read(project, Railway("first"), now=now + timedelta(seconds=5))
    read(project, Railway("first", "last"), now=now + timedelta(seconds=30))

    later = read(project, Railway("other"), now=now + timedelta(minutes=5))

    assert (at_once, later) == (0, 0)
    assert DeploymentLog.objects.get().build == "first\nlast"


def test_a_log_that_railway_does_not_show_says_so_and_is_asked_for_again(project):
    fail(project)
    now = timezone.now()
    error = ApiError("Railway", "unavailable", "Railway does not answer.")
    read(project, Railway(error=error), now=now)
    problem = DeploymentLog.objects.get().problem

    read(project, Railway("there"), now=now + timedelta(seconds=30))

    assert "Railway does not answer" in problem
    assert (DeploymentLog.objects.get().build, DeploymentLog.objects.get().problem) == ("there", "")


def test_of_a_long_log_the_end_is_kept(project):
    fail(project)

    read(project, Railway("x" * 50_000, "the end"), now=timezone.now())

    kept = DeploymentLog.objects.get().build
    assert len(kept) == reading.CHARACTERS and kept.endswith("\nthe end") and kept[0] == "…"


def test_old_logs_go(project):
    fail(project)
    now = timezone.now()
    read(project, Railway("x"), now=now)
    Deployment.objects.update(is_latest=False)

    read(project, Railway("x"), now=now + timedelta(days=31))

    assert not DeploymentLog.objects.exists()
