"""Going through one bad day and looking at each page of the portal."""

import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.ui.actions import Refused
from tests.faults.days.claims import Verdict, green_above_a_failure, judge, servings, trail
from tests.faults.days.page import Node, first_button, lines, read
from tests.faults.days.stories import NOTHING, Day
from tests.faults.days.truth import Truth
from tests.faults.scene import _Setting

if TYPE_CHECKING:
    from releases.models.releases import Release
    from tests.journeys.world import World

PAGES = ("board", "release", "environments", "audit")
READER = {"audit": "carol"}
TOP = {"head", "now", "trouble", "moved", "stages"}  # where a release page says what to do


# Gets the world, the page's name and the release, and returns the page's HTML.
type Fetch = Callable[["World", str, "Release | None"], str]


@dataclass
class Looked:
    """What one page said on one day."""

    day: str
    page: str
    sentences: int = 0
    first: str = ""  # the first button, on the board and on a release's page
    held: list[Verdict] = field(default_factory=list)

    @property
    def untrue(self) -> list[Verdict]:
        """The sentences that are not so."""
        return [one for one in self.held if one.untrue]


@contextmanager
def a_day(override: object = None) -> Iterator["World"]:
    """A world for one day, whose rows are gone afterwards."""
    from tests.journeys.world import quick_world

    directory = Path(tempfile.mkdtemp(prefix="portal-day-"))
    try:
        with transaction.atomic(), quick_world(directory, override or _Setting(settings)) as world:
            # On a busy machine half a minute is short for a migration.
            world.work = functools.partial(world.work, seconds=180)  # type: ignore[method-assign]
            try:
                yield world
            finally:
                transaction.set_rollback(True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def go_through(day: Day, override: object = None) -> list[Looked]:
    """Drive one day, and hold its pages against the world."""
    with a_day(override) as world:
        return gone_through(world, day)


def gone_through(world: "World", day: Day, by: Fetch | None = None) -> list[Looked]:
    """Drive one day in that world, and hold its pages, fetched `by` somebody, against it."""
    try:
        release = day.story(world)
        if day.settled:
            settle(world)
    except (AssertionError, Refused) as problem:
        return [Looked(day.name, "day", 1, "", [Verdict("the day itself", str(problem)[:600])])]
    pages = [page for page in PAGES if release or page != "release"]
    return [look(world, day, page, release, by or fetch) for page in pages]


def settle(world: "World") -> None:
    """Let the portal read both sources, once what moves has come to rest."""
    began = timezone.now() + timedelta(seconds=1)
    project = world.project

    def read_since() -> bool:
        for sync in (project.github_sync, project.railway_sync):
            sync.refresh_from_db()
            if sync.synced_at is None or sync.synced_at < began:
                return False
        return True

    world.work(read_since)
    again = timezone.now() + timedelta(seconds=10)
    world.work(lambda: timezone.now() > again)


def look(world: "World", day: Day, page: str, release: "Release | None", by: Fetch) -> Looked:
    """One page as its reader sees it, every claim on it held against the world."""
    if release is not None:
        release.refresh_from_db()
    truth, html = Truth(world, release), by(world, page, release)
    node = read(html)
    found = lines(node)
    held = trail(node, truth) if page == "audit" else judge(found, truth) + servings(node, truth)
    pressed = first_button(node) if page in ("board", "release") else None
    if page == "release":
        held += [*green_above_a_failure(node, truth), _first(pressed, day.first)]
    if page == "board":
        held.append(_first(pressed, day.board))
    if page == ("release" if release else "board"):
        text = node.text.lower()
        held += [
            Verdict(f"must say “{word}”", "" if word.lower() in text else "it does not")
            for word in day.must
        ]
    held += [Verdict(f"never “{word}”", "it says so") for word in day.never if word in node.text]
    return Looked(day.name, page, len(found), pressed.text if pressed else "", held)


def fetch(world: "World", page: str, release: "Release | None") -> str:
    """The page's HTML; the reader is signed in as its role."""
    client = Client()
    client.force_login(world.person(READER.get(page, "alice")))
    url = url_of(page, release)
    response = client.get(url)
    assert response.status_code == 200, f"{url}: {response.status_code}"
    return response.content.decode()


def url_of(page: str, release: "Release | None") -> str:
    """The address of one of `PAGES`."""
    address = {
        "board": "releases:board",
        "environments": "environments:environments",
        "audit": "portal:audit",
    }.get(page)
    number = release.pk if release else 0
    return reverse(address) if address else reverse("releases:release", args=[number])


def _first(pressed: Node | None, act: str) -> Verdict:
    """The first thing to press is the first right act; nothing at the top where there is none."""
    words = pressed.text if pressed else ""
    if act == NOTHING:
        above = {one.attributes.get("id", "") for one in pressed.up()} if pressed else set()
        right = not (above & TOP or (pressed and "primary" in pressed.classes))
    else:
        right = words.lower().startswith(act.lower())
    return Verdict(f"first button: {words}", "" if right else f"the first right act: {act}")
