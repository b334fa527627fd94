"""A few bad days in Chromium: nothing that a page says is untrue, and the first button is right.

`tests.faults.bad_days` goes through all of them without a browser.
"""

import os
from collections.abc import Iterator

import pytest

from tests.browser.looks import PHONE
from tests.faults.days.look import READER, gone_through, url_of
from tests.faults.days.registry import DAYS
from tests.journeys.world import World, quick_world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

NAMES = (
    "a build fails in production",
    "the candidate moves in mid-promotion",
    "the release was rolled back",
    "Railway is down",
)


@pytest.fixture
def world(transactional_db, live_server, tmp_path, settings) -> Iterator[World]:
    with quick_world(tmp_path, settings) as world:
        settings.PORTAL_URL = live_server.url
        yield world


@pytest.mark.parametrize(
    "day", [one for one in DAYS if one.name in NAMES], ids=lambda one: one.name
)
def test_nothing_untrue_stands_on_any_page_as_a_browser_shows_it(world, open_as, day):
    def by_browser(world, name, release) -> str:
        page = open_as(world.person(READER.get(name, "alice")), url_of(name, release))
        if name == "release":
            seen_on_a_phone(page, day.name)
        return page.content()

    looks = gone_through(world, day, by_browser)

    assert [verdict for looked in looks for verdict in looked.untrue] == []
    assert sum(len(looked.held) for looked in looks) >= 8


def seen_on_a_phone(page, name: str) -> None:
    """The page fits a phone."""
    wide = page.viewport_size
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    if folder := os.environ.get("PICTURES_TO"):
        page.screenshot(path=f"{folder}/{name.replace(' ', '-')}-phone.png")
        page.set_viewport_size(wide)
        page.screenshot(path=f"{folder}/{name.replace(' ', '-')}-wide.png")
    page.set_viewport_size(wide)
