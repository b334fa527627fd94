"""The way back on the release page, with much on it, in Chromium."""

from datetime import timedelta

import pytest
from django.utils import timezone

from releases.models.releases import Release
from tests.browser.looks import unreadable
from tests.factory import (
    make_advice,
    make_downgrade,
    make_people,
    make_project,
    make_release,
    make_rollback,
)

pytestmark = pytest.mark.django_db(transaction=True)


def shipped(people, slug: str = "inspector", **values) -> Release:
    release = make_release(
        make_project(slug), by=people["alice"], status="verifying", merge_commit="c" * 40
    )
    make_advice(release, **values)
    return release


@pytest.fixture
def carried():
    """People, and releases whose rollback can be asked for, waits, stopped and is done, and one
    to be downgraded.
    """
    people = make_people()
    alice, bob = people["alice"], people["bob"]
    ready = shipped(people)
    waiting = shipped(people, "second")
    make_rollback(waiting, by=alice, at="approve")
    stopped = shipped(people, "third")
    make_rollback(stopped, by=alice, at="restore", failed=True, approved_by=bob)
    done = shipped(people, "fourth")
    make_rollback(done, by=alice, at="", approved_by=bob)
    Release.objects.filter(pk=done.pk).update(
        status="rolled_back", ended_at=timezone.now() - timedelta(minutes=3)
    )
    down = shipped(people, "fifth", verdict="downgrade first, from the newer image")
    make_downgrade(down, by=alice)
    return people, [f"/releases/{one.pk}/" for one in (ready, waiting, stopped, done, down)]


def test_every_page_can_be_read_in_both_schemes_and_on_a_phone(open_as, carried, complaints):
    people, paths = carried
    page = open_as(people["bob"])

    assert unreadable(page, *paths, "/") == []
    assert complaints == []


def test_alice_asks_and_bob_approves_by_clicking(open_as, carried):
    people, (ready, *_) = carried
    page = open_as(people["alice"], ready)
    page.click("#open-rollback")
    page.fill("#rollback-reason", "Checkout is broken")
    page.click("#request-rollback")
    page.wait_for_selector("#now >> text=The rollback needs a second approver")
    assert page.locator("#approve-rollback").count() == 0

    second = open_as(people["bob"], ready)
    second.fill("#rollback-comment", "read the logs")
    second.click("#approve-rollback")

    second.wait_for_selector("#rollback >> text=read the logs")
