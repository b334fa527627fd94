"""Webhooks from the stand-ins, over the socket, to the portal as it is served."""

from datetime import timedelta

import pytest
import stamina
from django.conf import settings as configured
from django.utils import timezone

from environments.models import Deployment, RailwaySync
from portal.models.webhooks import WebhookDelivery
from releases.models.pull_requests import GitHubSync
from releases.project_settings import connect
from tests.faults import deliveries
from tests.journeys.world import run_due, running_world

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path, settings, transactional_db):
    """A world of which the portal, served on loopback, hears by webhook alone: no reading is due
    for an hour.
    """
    settings.GITHUB_WEBHOOK_SECRET = deliveries.GITHUB_SECRET
    settings.RAILWAY_WEBHOOK_SECRET = deliveries.RAILWAY_SECRET
    with (
        deliveries.serving() as url,
        running_world(tmp_path, settings) as world,
        stamina.set_testing(True, attempts=3, cap=True),
    ):
        settings.PORTAL_URL, settings.SYNC_SECONDS = url, 3600
        yield world
        world.github.hooks.stop()


def test_what_happens_on_github_and_railway_is_in_the_mirror_without_waiting(world):
    assert all(webhook.ok for webhook in connect.connect_webhooks(world.project))
    world.github.hooks.wait()
    run_due()
    for sync in (GitHubSync, RailwaySync):
        sync.objects.update(wake_at=timezone.now() + timedelta(hours=1))

    new = world.github.push_commit("staging", {"frontend/new.txt": "new"}, "New")

    world.work(lambda: world.project.branches.filter(name="staging", head=new).exists())
    world.work(lambda: Deployment.objects.filter(commit=new, status="SUCCESS").count() == 2)
    assert WebhookDelivery.objects.filter(source="github", event="push", outcome="handled").exists()
    assert WebhookDelivery.objects.filter(source="railway", outcome="handled").exists()
    assert WebhookDelivery.objects.get(event="ping").outcome == "ignored"
    assert not WebhookDelivery.objects.filter(outcome__in=["failed", "unreadable"]).exists()


def test_mischief_on_the_way_costs_nothing(world):
    deliveries.hold_still()

    result = deliveries.unleash(world, configured.PORTAL_URL, 150, seed=7)

    assert result.differences == ()
    assert (result.kept, result.forged_kept) == (result.expected, 0)
    assert set(result.statuses) == {200, 202, 401}
    assert set(result.sent) == {"genuine", "repeated", "replayed", "forged"}
