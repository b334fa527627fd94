"""Chromium against the portal on 127.0.0.1, with the rows of `tests.factory`."""

import contextlib
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from portal.accounts.sessions import ACTIVE_AT, BEGAN_AT
from tests.browser.pictures import LIMIT, smaller

# Playwright runs an event loop in this thread, in which Django otherwise refuses to touch the
# database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
os.environ.setdefault("DJANGO_LIVE_TEST_SERVER_ADDRESS", "127.0.0.1")
CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
]
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
MISSING = (
    "No Chromium was found, so the browser tests did NOT run: install the package chromium, or set"
    " CHROMIUM."
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test here; where there is no Chromium each is skipped by name, and a warning
    says so.
    """
    here = [item for item in items if "tests/browser" in item.nodeid]
    for item in here:
        item.add_marker("browser")
        if not CHROMIUM:
            item.add_marker(pytest.mark.skip(reason=MISSING))
    if here and not CHROMIUM:
        warnings.warn(MISSING, stacklevel=1)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """One Chromium for all tests of the session."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package", autouse=True)
def server_without_lasting_connections() -> Iterator[None]:
    """Lets the live server close its database connections after each request.

    A thread of it lives as long as its client's socket; with a connection, it would outlive the
    test database. Tests of other folders in the same process get back what the settings say.
    """
    settings = connections.settings["default"]
    lasting, settings["CONN_MAX_AGE"] = settings["CONN_MAX_AGE"], 0
    yield
    settings["CONN_MAX_AGE"] = lasting


@pytest.fixture
def complaints() -> list[str]:
    """What the console and the pages complained about, violations of the content policy among
    them.
    """
    return []


@pytest.fixture
def open_as(browser, live_server, complaints) -> Iterator[Callable]:
    """`open_as(user, "/path/", **context)`: a page of a fresh browser profile in which `user` is
    signed in.
    """
    contexts = []

    def open_page(user: User | None, path: str = "/", **options):
        context = browser.new_context(
            base_url=live_server.url, **({"viewport": {"width": 1280, "height": 900}} | options)
        )
        contexts.append(context)
        if user is not None:
            context.add_cookies(
                [{"name": "sessionid", "value": session_of(user), "url": live_server.url}]
            )
        page = context.new_page()
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text) if said.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            leave(page)
        context.close()


def leave(page) -> None:
    """Stops the page's polls and waits for the last answer.

    A request that the server still works on would deadlock with the emptying of the tables.
    """
    page.unroute_all(behavior="ignoreErrors")
    page.evaluate("() => document.querySelectorAll('[data-poll]').forEach((poll) => poll.remove())")
    with contextlib.suppress(PlaywrightTimeout):
        page.wait_for_load_state("networkidle", timeout=3000)


@pytest.fixture
def picture(browser) -> Callable:
    """`picture(page, "board")` proves that the page can be painted; UPDATE_PICTURES=1 keeps it
    in docs/pictures/.
    """

    def take(
        page, name: str, *, width: int = 1280, height: int = 860, color_scheme: str = "light"
    ) -> None:
        before = page.viewport_size
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=color_scheme)
        page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
        painted = page.screenshot(animations="disabled", caret="hide")
        page.emulate_media(color_scheme="null")
        page.set_viewport_size(before)
        assert len(painted) > 20_000, f"{name} is an empty page."
        if os.environ.get("UPDATE_PICTURES") == "1":
            small = smaller(browser, painted)
            assert len(small) <= LIMIT, f"The picture of {name} has {len(small)} bytes."
            PICTURES.mkdir(exist_ok=True)
            (PICTURES / f"{name}.png").write_bytes(small)

    return take


def session_of(user: User) -> str:
    """The key of a session in which `user` has just signed in."""
    session = SessionStore()
    session[BEGAN_AT] = session[ACTIVE_AT] = time.time()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return session.session_key
