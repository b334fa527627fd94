"""How often Railway is read, and what keeps all readings below its limit."""

from datetime import timedelta

import pytest
from django.utils import timezone

from environments.models import Deployment, Project, RailwayRateLimit, RailwaySync
from environments.quota import allowance, pace
from environments.railway import request_counts
from environments.railway.request_counts import Account
from environments.services.liveness import lives_in
from portal.models.webhooks import WebhookDelivery
from tests.environments.git.trees import one_deployment
from tests.factory import make_project

pytestmark = pytest.mark.django_db
NOW = timezone.now()
S = 30.0


@pytest.fixture
def job(settings):
    settings.SYNC_SECONDS = S
    return make_project(now=NOW).railway_sync


def seconds(job) -> float:
    newest = [live.latest for live in lives_in(job.project) if live.latest]
    return pace.of_railway(RailwaySync.objects.get(pk=job.pk), newest, now=NOW)


def delivered(job, at) -> None:
    WebhookDelivery.objects.create(
        source="railway",
        delivery=str(at),
        event="Deployment.deployed",
        received_at=at,
        size=1,
        body=f'{{"resource": {{"project": {{"id": "{job.project.railway_project_id}"}}}}}}',
        outcome="handled",
    )


def test_without_webhooks_rows_stay_fresh_enough_for_every_gate(job):
    assert seconds(job) == 2 * S


def test_where_webhooks_come_an_idle_project_is_read_seldom_and_a_watched_one_steadily(job):
    RailwaySync.objects.update(heard_at=NOW)
    idle = seconds(job)

    pace.watch(job.project, now=NOW)

    assert (idle, seconds(job)) == (10 * S, 2 * S)


def test_a_deployment_under_way_is_looked_at_often_until_it_hangs(job):
    row = Deployment.objects.filter(instance__environment__kind="staging").first()
    Deployment.objects.filter(pk=row.pk).update(status="BUILDING", created_at=NOW)
    moving = seconds(job)

    Deployment.objects.filter(pk=row.pk).update(created_at=NOW - timedelta(hours=1))

    assert (moving, seconds(job)) == (S, 2 * S)


def test_who_needs_fresh_rows_has_an_old_reading_repeated_at_once(job):
    RailwaySync.objects.update(
        synced_at=NOW - timedelta(minutes=4), wake_at=NOW + timedelta(minutes=5)
    )

    pace.watch(job.project, now=NOW)

    assert RailwaySync.objects.get().wake_at == NOW


def test_a_project_that_rests_is_not_called_stale_for_it(job):
    RailwaySync.objects.update(heard_at=NOW)
    seconds(job)
    row = RailwaySync.objects.get()

    assert pace.stale_since(row, NOW) == NOW - timedelta(seconds=20 * S)
    assert pace.stale_since(RailwaySync(pace=S), NOW) == NOW - timedelta(seconds=120)


def heard(job, tree, at):
    """One reading that shows `tree`, at that moment."""
    row = RailwaySync.objects.get(pk=job.pk)
    pace.listen(row, tree, now=at)
    RailwaySync.objects.filter(pk=job.pk).update(synced_at=at)
    return RailwaySync.objects.get(pk=job.pk).heard_at is not None


def test_webhooks_count_as_coming_once_one_announced_a_change_also_a_moment_after_the_reading(job):
    building, live = one_deployment("BUILDING"), one_deployment("SUCCESS")
    assert not heard(job, building, NOW)
    delivered(job, NOW + timedelta(seconds=50))
    assert heard(job, live, NOW + timedelta(seconds=60))

    assert heard(job, building, NOW + timedelta(seconds=120))  # nothing announced it, yet
    delivered(job, NOW + timedelta(seconds=125))
    assert heard(job, building, NOW + timedelta(seconds=180))


def test_webhooks_that_fail_to_announce_a_change_are_no_longer_relied_on(job):
    building, live = one_deployment("BUILDING"), one_deployment("SUCCESS")
    heard(job, building, NOW)
    delivered(job, NOW + timedelta(seconds=50))
    heard(job, live, NOW + timedelta(seconds=60))

    later = NOW + timedelta(hours=1)
    RailwaySync.objects.update(synced_at=later)
    assert heard(job, building, later + timedelta(seconds=60))

    assert not heard(job, building, later + timedelta(seconds=120))


# The limit


def asked(monkeypatch, account: Account) -> None:
    token = "sandbox-railway-token"
    monkeypatch.setitem(request_counts._accounts, request_counts.key_of(token), account)


def wait(settings, now=NOW) -> float:
    settings.RAILWAY_API_TOKEN = "sandbox-railway-token"
    with allowance.counted(Project(slug="inspector"), now) as seconds:
        return seconds


def test_background_readings_leave_the_last_requests_of_the_hour_to_people(settings, monkeypatch):
    settings.RAILWAY_REQUESTS_PER_HOUR = 1000
    asked(monkeypatch, Account(asked=849))
    enough = wait(settings)
    asked(monkeypatch, Account(asked=2))

    assert enough == 0 and wait(settings) == pytest.approx(3600, abs=1)
    assert RailwayRateLimit.objects.get().used == 851
    assert wait(settings, NOW + timedelta(hours=1)) == 0


def test_railways_own_word_on_what_is_left_goes_before_our_count(settings, monkeypatch):
    settings.RAILWAY_REQUESTS_PER_HOUR = 100
    resets = NOW + timedelta(minutes=20)
    asked(
        monkeypatch, Account(asked=500, limit=10_000, remaining=9_000, resets_at=resets.timestamp())
    )
    plenty = wait(settings)
    asked(monkeypatch, Account(asked=1, limit=10_000, remaining=900, resets_at=resets.timestamp()))

    assert plenty == 0 and wait(settings) == pytest.approx(1200, abs=1)


def test_a_429_to_one_process_stops_the_readings_of_all(settings, monkeypatch):
    asked(monkeypatch, Account(asked=1, blocked_until=(NOW + timedelta(minutes=2)).timestamp()))
    wait(settings)
    asked(monkeypatch, Account())  # another process, which knows nothing of it

    assert wait(settings) == pytest.approx(120, abs=1)
    assert wait(settings, NOW + timedelta(minutes=3)) == 0
