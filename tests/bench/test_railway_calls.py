"""A project that nobody works on costs Railway few requests, by the journey's clock."""

import pytest

from environments.models import Preview, RailwaySync
from tests.bench import railway_calls

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def test_an_idle_project_with_two_previews_of_which_one_hangs_stays_below_the_limit(settings):
    with railway_calls.scene("2 previews") as world:
        hanging = Preview.objects.first()
        world.railway.freeze()
        world.github.push_commit(hanging.branch, {"frontend/new.txt": "y"}, "More work")
        world.work(lambda: Preview.objects.get(pk=hanging.pk).state == "deploying")

        cost = railway_calls.count(world, minutes=12)

        assert cost.calls < railway_calls.MOST, cost.documents
        assert RailwaySync.objects.get().synced_at is not None


def test_a_preview_that_rests_notices_at_once_what_happens_to_it(settings):
    with railway_calls.scene("1 preview") as world:
        preview = Preview.objects.get()
        railway_calls._wait(world, minutes=10)
        assert (preview.wake_at - world.clock.now()).total_seconds() < 1800

        world.railway.finish(world.railway.latest("backend", preview.name)["id"], "CRASHED")
        began = world.clock.now()
        world.work(lambda: Preview.objects.get().state == "failed", seconds=60)

        assert (world.clock.now() - began).total_seconds() < 4 * railway_calls.PACE["SYNC_SECONDS"]
