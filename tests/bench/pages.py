"""What the pages cost: a large release beside the stock admin's empty change list, and a tick.

`python -m tests.bench.pages`. Each answer is made by the WSGI application that is served, with its
whole middleware, and all ways are taken in turn. Exit status 1 when a page or a tick takes more
queries than promised, or the release page more than 3 times as long as the change list.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import io
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from environments.models import Finding
from portal import audit
from portal.accounts.sessions import ACTIVE_AT, BEGAN_AT
from releases.models.checklist import ChecklistItem
from releases.models.releases import Release
from tests.factory import make_people, make_project, make_release

ITEMS, SERVICES, EVENTS, COMMITS = 60, 12, 300, 500
ROUNDS = 60
MOST_QUERIES, MOST_TICK_QUERIES, MOST_TIMES = 15, 8, 3.0


@dataclass(frozen=True)
class Answer:
    status: str
    headers: dict[str, str]
    body: str


class Browser:
    """Asks the WSGI application as a person who is signed in; each path also answers a form of
    its pages.
    """

    def __init__(self, person: User) -> None:
        from portal.wsgi import application

        session = SessionStore()
        session[SESSION_KEY], session[HASH_SESSION_KEY] = (
            str(person.pk),
            person.get_session_auth_hash(),
        )
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[BEGAN_AT] = session[ACTIVE_AT] = time.time()
        session.create()
        self.application = application
        self.cookies: SimpleCookie = SimpleCookie(
            {settings.SESSION_COOKIE_NAME: str(session.session_key)}
        )

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, **fields: str) -> Answer:
        """Posts a form as htmx does, with the token that the cookie vouches for."""
        token = self.cookies[settings.CSRF_COOKIE_NAME].value
        return self.ask("POST", path, urlencode({"csrfmiddlewaretoken": token, **fields}).encode())

    def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        path, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
        }
        environ |= {"wsgi.input": io.BytesIO(body)}
        environ |= {"HTTP_HOST": "127.0.0.1", "CONTENT_LENGTH": str(len(body))}
        environ |= {"HTTP_COOKIE": self.cookies.output(attrs=[], header="", sep=";").strip()}
        if body:
            environ |= {
                "CONTENT_TYPE": "application/x-www-form-urlencoded",
                "HTTP_HX_REQUEST": "true",
            }
        setup_testing_defaults(environ)
        started: list[tuple[str, dict[str, str]]] = []
        response = self.application(
            environ, lambda status, headers, *_: started.append((status, dict(headers)))
        )
        text = b"".join(response).decode()
        response.close()
        status, headers = started[0]
        self.cookies.load(headers.get("Set-Cookie", ""))
        return Answer(status, headers, text)


def large_release(
    *, name: str = "inspector", items: int = ITEMS, services: int = SERVICES, events: int = EVENTS
) -> Release:
    """A release with that many of each, half of its items ticked with a note, and 500 commits."""
    people = make_people()
    project = make_project(name, services=tuple(f"service-{n:02}" for n in range(services)))
    commits = [
        {"sha": f"{n:040x}", "title": f"Change number {n}", "author": "Dana"}
        for n in range(COMMITS)
    ]
    release = make_release(
        project, by=people["alice"], ready=True, commits=commits, commit_count=COMMITS
    )
    now = timezone.now()
    ticked = {
        "ticked_by": people["bob"],
        "ticked_at": now,
        "ticked_candidate": release.candidate,
        "note": "seen",
    }
    ChecklistItem.objects.bulk_create(
        ChecklistItem(
            release=release,
            text=f"Item {n}",
            phase="before" if n % 3 else "after",
            position=200 + n,
            **(ticked if n % 2 else {}),
        )
        for n in range(items - release.items.count())
    )
    with transaction.atomic():
        for n in range(events):
            audit.record(
                "release.looked_at", actor=people["bob"], subject=release, sentence=f"Look {n}."
            )
    return release


def item_to_attest(release: Release) -> ChecklistItem:
    """An item bound to a gate that now asks for a person's signature: a finding that no machine
    can judge.
    """
    message = "The variable KEY of backend is sealed."
    Finding.objects.create(
        project=release.project,
        kind="unreadable",
        subject="backend",
        sentence=message,
        attestable=True,
    )
    return release.items.get(gate="environments_coherent")


def queries(work: Callable[[], Answer]) -> int:
    """How many statements `work` sends, without those that only begin and end transactions."""
    control = ("SAVEPOINT", "RELEASE SAVEPOINT", "BEGIN", "COMMIT")
    with CaptureQueriesContext(connection) as seen:
        answer = work()
    assert answer.status.startswith("200"), answer
    return sum(not query["sql"].startswith(control) for query in seen.captured_queries)


def milliseconds(ways: dict[str, Callable[[], Answer]], rounds: int = ROUNDS) -> dict[str, float]:
    """The median of each way, all taken in turn, after a few rounds to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 5):
        for name, way in ways.items():
            began = time.perf_counter()
            answer = way()
            if number >= 5:
                taken[name].append((time.perf_counter() - began) * 1000)
            assert answer.status.startswith("200"), answer
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> int:
    """Prints the table; returns the exit status."""
    release = large_release()
    browser = Browser(User.objects.get(username="dave"))
    page, panels = (
        reverse("releases:release", args=[release.pk]),
        reverse("releases:release-panels", args=[release.pk]),
    )
    ways = {
        "stock admin, empty change list": lambda: browser.get(
            reverse("admin:releases_freeze_changelist")
        ),
        "release page": lambda: browser.get(page),
        "release page, its poll": lambda: browser.get(panels),
    }
    counts = {name: queries(way) for name, way in ways.items()}
    taken = milliseconds(ways)
    base = taken["stock admin, empty change list"]
    print(
        f"{ITEMS} items, {SERVICES} services, {EVENTS} events, {COMMITS} commits; median of"
        f" {ROUNDS} rounds"
    )
    for name, value in taken.items():
        print(
            f"  {name:32} {counts[name]:3} queries {value:8.1f} ms  {value / base:5.2f} × the"
            " change list"
        )
    print(
        f"  at most                          {MOST_QUERIES:3} queries             "
        f" {MOST_TIMES:5.2f} ×"
    )
    missed = max(counts["release page"], counts["release page, its poll"]) > MOST_QUERIES
    missed |= taken["release page"] > MOST_TIMES * base
    missed |= _ticks(browser, release)
    print("missed" if missed else "held")
    return int(missed)


def _ticks(browser: Browser, release: Release) -> bool:
    """Prints what ticks cost; whether one takes too many queries."""
    manual, bound = release.items.get(text="Release notes read"), item_to_attest(release)
    most = 0
    for name, item, verb in (
        ("untick", manual, "untick"),
        ("tick", manual, "tick"),
        ("attest a gate's item", bound, "tick"),
    ):
        path, fields = (
            reverse("releases:item-do", args=[item.pk, verb]),
            {f"note-{item.pk}": "ok", "candidate": release.candidate},
        )
        began = time.perf_counter()
        count = queries(lambda path=path, fields=fields: browser.post(path, **fields))
        print(f"  {name:32} {count:3} queries {(time.perf_counter() - began) * 1000:8.1f} ms")
        most = max(most, count)
    print(f"  at most                          {MOST_TICK_QUERIES:3} queries")
    return most > MOST_TICK_QUERIES


if __name__ == "__main__":
    with scratch_database():
        sys.exit(main())
