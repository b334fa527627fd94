"""Projects that share a credential share its hour, and none costs another freshness unfairly."""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.models import Project, RailwayRateLimit, RailwaySync
from environments.quota import fairness, pace, sharing
from environments.quota.fairness import CALLS, Budget, Sharers, pause
from environments.railway import request_counts
from portal.models.credentials import ServiceCredential
from portal.models.health import Observation
from releases.github_mirror import watching
from releases.models.pull_requests import GitHubSync
from tests.factory import make_project

HOUR = Budget(left=4250, seconds=3600, hourly=4250)


def test_a_project_alone_with_its_credential_is_read_as_often_as_the_settings_say():
    assert pause(Sharers(0, 1), HOUR, watched=False, base=30) == 30
    assert pause(Sharers(1, 0), Budget(1, 3600, 4250), watched=True, base=30) == 30


@pytest.mark.parametrize("projects", [10, 100, 1000])
def test_what_all_ask_in_an_hour_fits_into_it(projects):
    seconds = pause(Sharers(0, projects), HOUR, watched=False, base=30)

    assert projects * CALLS * 3600 / seconds <= HOUR.left + 1e-6


def test_who_is_watched_comes_first_and_leaves_the_others_a_fifth():
    few, many = Sharers(10, 990), Sharers(500, 500)

    assert pause(few, HOUR, watched=True, base=60) == 60
    for of in (few, many):
        idle = pause(of, HOUR, watched=False, base=60)
        watched = pause(of, HOUR, watched=True, base=60)
        assert watched < idle <= of.others * CALLS * 3600 / (0.2 * HOUR.left) + 1e-6
        asked = 3600 * CALLS * (of.watched / watched + of.others / idle)
        assert asked <= HOUR.left * 1.001


def test_nothing_left_is_waited_for_until_the_limit_is_set_back_and_not_for_ever():
    seconds = pause(Sharers(0, 1000), Budget(0, 600, 4250), watched=False, base=30)

    assert 600 < seconds < 600 + 3600


@pytest.mark.django_db
def test_only_who_uses_the_same_credential_counts(settings):
    one, other, own = (make_project(f"p{n}") for n in range(3))
    ServiceCredential.objects.create(
        service=ServiceCredential.Service.GITHUB,
        scope=own.slug,
        secret="x" * 20,
        changed_at=timezone.now(),
    )
    now = timezone.now()
    RailwaySync.objects.filter(project=other).update(watched_until=now + timedelta(minutes=5))

    github = ServiceCredential.Service.GITHUB
    assert fairness.sharers(one, github, now=now) == Sharers(1, 1)
    assert fairness.sharers(own, github, now=now) == Sharers()
    assert fairness.sharers(own, ServiceCredential.Service.RAILWAY, now=now) == Sharers(1, 2)


@pytest.mark.django_db
def test_a_project_that_is_read_often_does_not_starve_another(settings):
    """Both have the same pause, whoever asked more until now; the release of one comes first."""
    settings.GITHUB_TOKEN, settings.RAILWAY_API_TOKEN = "a-github-token", "a-railway-token"
    settings.SYNC_SECONDS = 30.0
    now = timezone.now()
    projects = [make_project(f"p{n}") for n in range(20)]
    RailwayRateLimit.objects.create(
        token=request_counts.key_of("a-railway-token"), hour=now, used=600
    )
    account = sharing.github_of(projects[0]).transport.account
    quota = {"remaining": 1000, "limit": 5000, "reset": (now + timedelta(hours=1)).timestamp()}
    Observation.objects.create(name=f"github.left.graphql.{account}", value=quota, at=now)

    idle = {sharing.pause(project, now, base=30) for project in projects}
    railway = {pace.of_railway(p.railway_sync, [], now=now) for p in projects}
    watching.watch(projects[0], now=now)

    assert len(idle) == len(railway) == 1
    assert idle.pop() > 100 and railway.pop() > 100
    first, *others = projects
    assert sharing.pause(first, now, base=30) < sharing.pause(others[0], now, base=30)
    assert Project.objects.count() == 20


@pytest.mark.django_db
def test_a_release_wakes_a_reading_of_github_that_rests_long():
    now, project = timezone.now(), make_project()
    rows = GitHubSync.objects.filter(project=project)
    rows.update(synced_at=now - timedelta(minutes=10), wake_at=now + timedelta(minutes=5))

    watching.watch(project, now=now)

    assert rows.get().wake_at == now
