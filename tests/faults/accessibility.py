"""Every page of the portal and of its admin under axe-core: light and dark, wide and on a phone.

`python -m tests.faults.accessibility [PART OF A PATH …]`, or by `make faults`. Prints a table of
pages with the number of serious or critical violations, and ends with 1 when there is one. The
page that makes the first administrator, signing in, help and search are looked at too.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.db import connection, connections
from django.test import Client
from django.test.testcases import LiveServerThread
from django.test.utils import setup_test_environment
from playwright.sync_api import Page, sync_playwright

from tests.browser.axe import WAYS, sentences, violations
from tests.browser.conftest import ARGUMENTS, CHROMIUM, session_of
from tests.portal.accounts.addresses import every, furnish


@contextmanager
def served() -> Iterator[str]:
    """The portal on a free port of 127.0.0.1, as an address."""
    connections.settings["default"]["CONN_MAX_AGE"] = 0  # its threads would hold the database
    thread = LiveServerThread("127.0.0.1", StaticFilesHandler)
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    if thread.error:
        raise thread.error
    try:
        yield f"http://127.0.0.1:{thread.port}"
    finally:
        thread.terminate()


def pages(user: User, parts: list[str]) -> list[str]:
    """The paths that answer `user` with a whole page."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    found = []
    for _name, _pattern, path in every():
        if not is_asked(path, parts) or path in found:
            continue
        answer = client.get(path)
        whole = answer.status_code == 200 and not answer.streaming
        if whole and b"<!doctype html" in answer.content[:200].lower():
            found.append(path)
    return sorted(found)


def is_asked(path: str, parts: list[str]) -> bool:
    """Whether the path is one of those that the command line asks for."""
    return not parts or any(part in path for part in parts)


def main() -> int:
    """Print the table; 1 when a page has a serious or critical violation."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    setup_test_environment()
    logging.disable(logging.CRITICAL)
    settings.SANDBOX = True  # the page Practise is there in the sandbox only
    parts, lines, asked = sys.argv[1:], [], []
    with scratch_database():
        with served() as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            print("page".ljust(70), *(f"{size} {scheme}".rjust(12) for size, scheme in WAYS))

            def look(page: Page, path: str, press: str = "") -> None:
                found = violations(page, path, press=press)
                counts = (len(found[way]) for way in WAYS)
                name = f"{path} {press}".rstrip()
                print(name.ljust(70), *(str(count).rjust(12) for count in counts), flush=True)
                lines.extend(sentences(name, found))
                asked.append(name)

            stranger = browser.new_context(base_url=url).new_page()
            if is_asked("/setup/", parts):
                look(stranger, "/setup/")  # before there is anybody
            people = furnish()
            if is_asked("/admin/login/", parts):
                look(stranger, "/admin/login/")
            user = User.objects.create(username="axe", is_staff=True, is_superuser=True)
            context = browser.new_context(base_url=url)
            context.add_cookies([{"name": "sessionid", "value": session_of(user), "url": url}])
            page = context.new_page()
            for path in pages(user, parts):
                look(page, path)
            for press in ("?", "Control+k"):
                if is_asked(press, parts):
                    look(page, "/", press)
            browser.close()
        print(f"{len(asked)} pages, {len(lines)} violations, {len(people)} people")
        print("\n".join(lines), flush=True)
        with connection.cursor() as cursor:  # a thread of the server may still hold one
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    return 1 if lines or not asked else 0


if __name__ == "__main__":
    sys.exit(main())
