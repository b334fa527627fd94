"""The release page and ticks take the promised number of queries, however much there is."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from environments.models import Branch, Environment, Finding, RailwaySync, ServiceInstance
from releases.models.checklist import ChecklistItem
from releases.models.promotion import PromotionStep
from releases.models.releases import Release
from tests.bench.pages import (
    MOST_QUERIES,
    MOST_TICK_QUERIES,
    Browser,
    item_to_attest,
    large_release,
    queries,
)
from tests.factory import MERGE, make_project, make_promotion, make_release
from tests.portal.accounts.addresses import every, furnish
from tests.portal.accounts.test_every_address import OPEN
from tests.releases.pages.test_views import queries as made

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def requests_keep_the_connection_of_the_test():
    """A request would close it, since it finds a transaction open; Django's own test client does
    this too.
    """
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("name", ["releases:release", "releases:release-panels"])
def test_the_page_takes_the_same_queries_for_much_as_for_little(name):
    counts = []
    for much in (
        {"items": 60, "services": 12, "events": 300},
        {"items": 20, "services": 1, "events": 0},
    ):
        release = large_release(name=f"with-{much['items']}", **much)
        browser = Browser(User.objects.get(username="alice"))
        counts.append(queries(lambda: browser.get(reverse(name, args=[release.pk]))))  # noqa: B023

    assert counts[0] == counts[1] <= MOST_QUERIES


@pytest.mark.parametrize("person", ["alice", "dave"])
def test_every_kind_of_tick_is_one_request_of_at_most_eight_queries(person):
    release = large_release(items=20, services=2, events=3)
    manual, bound = release.items.get(text="Release notes read"), item_to_attest(release)
    browser = Browser(User.objects.get(username=person))
    browser.get(reverse("releases:release", args=[release.pk]))

    for item, verb in ((manual, "untick"), (manual, "tick"), (bound, "tick"), (bound, "untick")):
        path = reverse("releases:item-do", args=[item.pk, verb])
        assert (
            queries(lambda: browser.post(path, candidate=release.candidate)) <= MOST_TICK_QUERIES  # noqa: B023
        ), (item, verb)
        item.refresh_from_db()
        assert item.is_ticked == (verb == "tick"), (item, verb)


def no_finding(release):
    Finding.objects.update(closed_at=timezone.now())


def a_finding_that_a_machine_judges(release):
    Finding.objects.create(
        project=release.project, kind="missing", subject="x", sentence="x is missing."
    )


def railway_never_read(release):
    RailwaySync.objects.update(synced_at=None)


def a_service_not_read_lately(release):
    ServiceInstance.objects.filter(environment__kind="staging").update(
        seen_at=timezone.now() - timedelta(hours=1)
    )


def variables_not_read_lately(release):
    Environment.objects.filter(kind="production").update(
        variables_at=timezone.now() - timedelta(days=1)
    )


@pytest.mark.parametrize(
    "world",
    [
        no_finding,
        a_finding_that_a_machine_judges,
        railway_never_read,
        a_service_not_read_lately,
        variables_not_read_lately,
    ],
)
def test_nobody_attests_what_the_gate_does_not_ask(world):
    release = large_release(items=20, services=1, events=0)
    item = item_to_attest(release)
    world(release)
    browser = Browser(User.objects.get(username="alice"))
    browser.get(reverse("releases:release", args=[release.pk]))

    answer = browser.post(
        reverse("releases:item-do", args=[item.pk, "tick"]), candidate=release.candidate
    )

    assert "is decided by the portal, not ticked" in answer.body
    assert ChecklistItem.objects.get(pk=item.pk).ticked_at is None


@pytest.mark.parametrize(
    ("status", "taken"), [("skipped", True), ("failed", False), ("done", False)]
)
def test_a_smoke_test_is_attested_only_when_it_was_skipped(status, taken):
    release = large_release(items=20, services=1, events=0)
    make_promotion(release, by=User.objects.get(username="alice"), at="smoke", failed=True)
    PromotionStep.objects.filter(name="smoke").update(status=status)
    type(release).objects.filter(pk=release.pk).update(status="verifying")
    item = release.items.get(gate="smoke_green")
    browser = Browser(User.objects.get(username="alice"))
    browser.get(reverse("releases:release", args=[release.pk]))

    browser.post(reverse("releases:item-do", args=[item.pk, "tick"]), candidate=release.candidate)

    assert (ChecklistItem.objects.get(pk=item.pk).ticked_at is not None) == taken


def test_no_page_takes_more_than_fifteen_queries_whoever_asks():
    people, counted = furnish(), {}
    settle_back(people["alice"])
    for person in ("alice", "dave"):
        client = Client()
        client.force_login(people[person])
        for name, pattern, address in every():
            if pattern.startswith("admin/") or name in OPEN:
                continue
            client.get(address)  # what is kept for a while is made by the first who asks
            with CaptureQueriesContext(connection) as seen:
                answer = client.get(address)
            if answer.status_code == 200:
                counted[person, name] = len(made(seen))

    over = {name: count for name, count in counted.items() if count > MOST_QUERIES}
    assert len(counted) > 60 and not over


def settle_back(alice: User) -> None:
    """Have two other projects whose last release was rolled back, and serves no more."""
    for name in ("first", "second"):
        project = make_project(name)
        release = make_release(project, by=alice)
        Release.objects.filter(pk=release.pk).update(status="rolled_back", merge_commit=MERGE)
        Branch.objects.filter(project=project, name="main").update(head=MERGE)
        ServiceInstance.objects.filter(environment__project=project).update(rolled_back_from=MERGE)
