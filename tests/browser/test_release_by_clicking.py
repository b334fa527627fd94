"""The main job in a real browser: against the stand-ins, real databases and a worker, with nothing
but clicks and keys.

With UPDATE_PICTURES=1 the pictures in docs/pictures/ are made anew on the way.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from playwright.sync_api import TimeoutError as NeverCame

from environments.models import Project
from portal.models.audit import AuditEvent
from releases.models.releases import Release
from tests.journeys.test_release import head
from tests.journeys.world import World, run_due, running_world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SLOW = 60_000  # milliseconds, for what the stand-ins and the worker have to do first


@pytest.fixture
def world(transactional_db, live_server, tmp_path, settings) -> Iterator[World]:
    with running_world(tmp_path, settings) as world:
        settings.SYNC_SECONDS = 1.0
        settings.PORTAL_URL = live_server.url
        yield world


@contextmanager
def worker() -> Iterator[None]:
    """Runs what is due, beside the browser, until the end of the block."""
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(0.05):
                run_due()
        finally:
            connection.close()

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def sign_in(page, name: str) -> None:
    page.fill("#id_username", name)
    page.fill("#id_password", "a-long-password")
    page.click("main button")
    page.wait_for_selector("nav >> text=Sign out")


def walk_to(page, text: str, key: str = "j") -> None:
    """Moves along the checklist until the item `text` has the focus, or something in it."""
    for _ in range(20):
        if text in page.evaluate("document.activeElement.closest('[data-item]')?.innerText ?? ''"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} never came to “{text}”")


def says(page, region: str, text: str) -> None:
    """Waits until the page says so by itself; a failing test tells what it says instead."""
    try:
        page.wait_for_selector(f"{region} >> text={text}", timeout=SLOW)
    except NeverCame:
        raise AssertionError(
            f"“{text}” never came; the page says: {page.inner_text('main')}"
        ) from None


def buttons(page) -> list[str]:
    """What a person could press that changes something; signing out and the theme lie outside
    main.
    """
    return page.eval_on_selector_all(
        "main form[method=post] button", "all => all.map(one => one.innerText)"
    )


def test_a_release_goes_to_production_by_clicking_and_a_failed_deployment_is_mended(
    world, open_as, complaints, picture
):
    before = head(world, "main")
    Project.objects.update(required_approvals=1)
    world.work(lambda: world.project.branches.exclude(head="").count() == 2)
    page = open_as(None, "/")
    with worker():
        sign_in(page, "alice")
        acts = []
        page.on("request", lambda sent: acts.append(sent.url) if sent.method == "POST" else None)
        page.click("text=Create release", timeout=SLOW)
        says(page, "h1", "Release 2")

        page.click("text=Migrate staging", timeout=SLOW)
        says(page, "#log", "Finished 6f8b0d2e4a56")
        says(page, "#migrations", "· staged")

        page.click("text=Edit notes")
        page.fill("#notes-text", "Integration settings can be tried before they are saved.")
        page.click("text=Save")
        says(page, "#notes", "Integration settings can be tried")

        walk_to(page, "Release notes read")
        walk_to(page, "Environments are coherent", key="k")
        walk_to(page, "Release notes read")
        page.keyboard.press("n")
        page.keyboard.type("with Dana")
        page.keyboard.press("Escape")
        page.keyboard.press("x")
        says(page, "#before", "with Dana")
        bob = open_as(world.person("bob"), f"/releases/{Release.objects.get().pk}/")
        bob.click("#approve", timeout=SLOW)
        says(bob, "#approvals", "bob for")
        bob.close()
        says(page, "#now", "Ready to promote")
        picture(page, "release-ready")
        picture(page, "release-ready-dark", color_scheme="dark")
        picture(page, "release-phone", width=390, height=844)
        board = open_as(world.person("alice"), "/")
        picture(board, "board")
        board.close()

        world.railway.fail_next("frontend", "production")
        world.railway.freeze()  # else the deployment is over before the page looks
        page.click("#promote:not([disabled])", timeout=SLOW)
        page.click("#promote-now")
        says(page, "#now", "Step ")
        page.evaluate("window.kept = true")
        says(page, "#now", "Step 2 of 5")
        picture(page, "release-in-promotion")
        world.railway.unfreeze()
        says(page, "#now", "Deploy failed.")
        says(page, "#promotion", "frontend is not live")
        carol = open_as(world.person("carol"), f"/releases/{Release.objects.get().pk}/")
        seen, may = carol.inner_text("#promotion"), buttons(carol)
        carol.close()  # its polls would cost time for nothing
        picture(page, "release-failed")
        kept = page.evaluate("window.kept")
        with page.expect_navigation():
            page.click("#deploy-commit")
        page.evaluate("window.kept = true")
        says(page, "#now", "Production runs this release.")

        with page.context.expect_page() as opened:
            page.click("#after .item >> text=Signals list")
        assert "Signals" in opened.value.inner_text("h1")
        opened.value.close()
        for text in ("Signals list", "Signal detail"):
            walk_to(page, f"Verify page: {text}")
            page.keyboard.press("x")
            page.wait_for_selector(
                f'[role=checkbox][aria-checked=true][aria-label="Verify page: {text}"]'
            )
        walk_to(page, "Verify page: Settings")
        page.keyboard.press("x")  # the last one closes the release, and with it its boxes
        says(page, "#now", "This release is done.")
        notes = page.inner_text("#notes")
        kept = kept and page.evaluate("window.kept")

    release = Release.objects.get()
    # The notes are optional, and the deployment was fixed; Promote asks once more.
    of_a_clean_one = [one for one in acts if not one.endswith(("/notes/", "/deploy-commit/"))]
    assert len(of_a_clean_one) + 1 <= 8
    assert kept
    assert "frontend is not live" in seen
    assert may == []
    assert AuditEvent.objects.filter(actor_name="alice", action__contains="deploy").exists()
    assert "Edit" not in notes
    assert complaints == []
    assert release.status == "done"
    assert head(world, "main") == head(world, "staging") == release.merge_commit != before
    assert world.revisions("production") == sorted(release.heads)
    the_auditor_reads_the_story(world, release, open_as, picture)
    assert complaints == []


def the_auditor_reads_the_story(world, release, open_as, picture) -> None:
    page = open_as(world.person("carol"), f"/releases/{release.pk}/")
    assert buttons(page) == []
    page.goto("/")
    assert buttons(page) == []
    page.goto("/environments/")
    assert buttons(page) == []
    picture(page, "environments")
    page.goto("/audit/?subject=releases.release:" + str(release.pk))
    told = page.inner_text("ol.events")
    told_in_order = [told.index(words) for words in STORY]

    assert told_in_order == sorted(told_in_order, reverse=True)  # the newest is on top
    assert buttons(page) == []
    picture(page, "audit")


STORY = (
    "created at",
    "Approved ",
    "Promotion of",
    "Merge: Pull request #",
    "Deploy: ",
    "Migrate: ",
    "Smoke",
    "is in production",
    "done",
)
