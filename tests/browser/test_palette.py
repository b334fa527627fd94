"""The palette and the dialogs: by keys alone, and closed by Esc."""

import os

import pytest

from tests.browser.axe import sentences, violations
from tests.factory import make_people, make_project, make_release

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def people(transactional_db):
    return make_people()


def test_ctrl_k_finds_and_opens_a_release_from_anywhere(open_as, people, complaints):
    release = make_release(make_project(), by=people["alice"])
    page = open_as(people["alice"], "/audit/")

    page.keyboard.press("Control+k")
    page.keyboard.type("2026.11")
    page.wait_for_selector("#palette-found >> text=2026.11.22-1")
    page.wait_for_selector("#palette-found [aria-selected=true] >> text=2026.11.22-1")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/releases/{release.pk}/")

    assert complaints == []


def test_the_palette_holds_nobody_up_and_help_is_on_every_page(open_as, people):
    page = open_as(people["alice"])

    assert sentences("/search/", violations(page, "/search/?q=a", (("phone", "dark"),))) == []
    page.keyboard.press("Escape")
    page.goto("/environments/")
    page.keyboard.press("Shift+?")
    assert page.evaluate("document.getElementById('help').open")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.wait_for_selector("#palette-found [data-href]")
    page.keyboard.press("Escape")

    assert not page.evaluate("document.querySelector('dialog[open]')")


def test_promoting_asks_and_esc_takes_it_back(open_as, people):
    release = make_release(make_project(), by=people["alice"], ready=True)
    page = open_as(people["alice"], f"/releases/{release.pk}/")

    page.click("#promote")
    page.wait_for_selector("#confirm-promote >> text=Merge → Deploy")
    page.keyboard.press("Escape")

    assert not page.evaluate("document.querySelector('dialog[open]')")
    release.refresh_from_db()
    assert release.status == "open"


def test_search_and_help_are_in_the_admin_too(open_as, people, complaints):
    release = make_release(make_project(), by=people["alice"])
    page = open_as(people["dave"])
    address = "/admin/auth/user/"
    found = sentences(address, violations(page, address, press="Control+k"))
    page.goto(address)

    page.click("h1")
    page.keyboard.press("Shift+?")
    page.wait_for_selector("#help[open] >> text=search")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("2026.11")
    page.wait_for_selector("#palette-found [aria-selected=true] >> text=2026.11.22-1")
    if folder := os.environ.get("PICTURES_TO"):
        page.screenshot(path=f"{folder}/admin-palette.png")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/releases/{release.pk}/")

    assert (found, complaints) == ([], [])
