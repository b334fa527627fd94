"""The portal under load, on one machine: people who look at one release, people who tick its
items, and GitHub's deliveries, all at once.

`manage.py web` and `manage.py worker` run as they are served, on a PostgreSQL that keeps what it
was told (fsync on). 50 people have the release page open, which asks again as often as it says; 10
people tick and untick an item each, every two seconds; 200 signed deliveries come in every second.
What is counted: answers other than those wished for, the 99th percentile of a tick, and the memory
of both, after the first fifth and at the end. `python -m tests.bench.load 600` is the promise;
`make bench` takes a minute. Exit status 1 when it is missed.
"""

from tests.bench.deliveries import BODY, ROOT, SECRET, _await  # first: before Django is set up
from tests.scratch import scratch_database

# isort: split
import hashlib
import hmac
import http.client
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode
from uuid import uuid4

import psutil
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.urls import reverse

from releases.models.releases import Release
from tests.bench.pages import Browser, large_release
from tests.factory import PEOPLE
from tests.ports import free_port

VIEWERS, TICKERS, DELIVERIES, SENDERS, PAUSE = 50, 10, 200, 4, 2.0
MOST_MILLISECONDS = 300.0
MOST_GROWTH, LONG = 1.1, 300  # of memory; seconds below which it still fills its caches
SIGNATURE = "sha256=" + hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()


@dataclass
class Load:
    """What is asked of the portal on `port` until `ends_at`, and what came of it."""

    port: int
    ends_at: float
    taken: dict[str, list[float]] = field(default_factory=lambda: {"look": [], "tick": []})
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def every(self, seconds: float, offset: float, act: Callable[[int], None]) -> None:
        """Call `act` at a steady pace; what raises is noted and the next is tried."""
        due, number = time.monotonic() + offset, 0
        while max(due, time.monotonic()) < self.ends_at:  # what is late by then is not sent
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                act(number)
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
            due, number = due + seconds, number + 1

    def ask(self, line: http.client.HTTPConnection, kind: str, *request: object) -> str:
        """Send one request over a kept connection and note its answer and its milliseconds."""
        began = time.perf_counter()
        try:
            line.request(*request)  # type: ignore[arg-type]
            answer = line.getresponse()
            body = answer.read().decode()
        except (OSError, http.client.HTTPException):
            line.close()
            raise
        self.taken.setdefault(kind, []).append((time.perf_counter() - began) * 1000)
        self.answers[kind] += 1
        if answer.status != (202 if kind == "delivery" else 200):
            self.wrong.append(f"{kind}: {answer.status} {body[:100]}")
        return body

    def line(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def open(self, cookie: str, release: Release) -> float:
        """Open the release page once; the seconds after which it asks again."""
        path = reverse("releases:release", args=[release.pk])
        page = self.ask(self.line(), "open", "GET", path, None, {"Cookie": cookie})
        pulse = re.search(r'hx-trigger="every (\d+)s', page)
        assert pulse, "the page does not poll"
        return float(pulse[1])

    def view(self, cookie: str, release: Release, pulse: float, offset: float) -> None:
        """Ask for the parts of the open page as often as it says."""
        line, headers = self.line(), {"Cookie": cookie}
        panels = reverse("releases:release-panels", args=[release.pk])
        self.every(pulse, offset, lambda _: self.ask(line, "look", "GET", panels, None, headers))

    def tick(self, browser: Browser, item: int, offset: float) -> None:
        """Tick and untick one item in turn, as htmx does."""
        line = self.line()
        headers = _headers(browser)
        token = browser.cookies[settings.CSRF_COOKIE_NAME].value

        def change(number: int) -> None:
            path = reverse("releases:item-do", args=[item, "untick" if number % 2 else "tick"])
            fields = {"csrfmiddlewaretoken": token, f"note-{item}": "seen"}
            row = self.ask(line, "tick", "POST", path, urlencode(fields).encode(), headers)
            if 'class="problem"' in row:
                self.wrong.append(row)

        self.every(PAUSE, offset, change)

    def deliver(self, offset: float) -> None:
        """Deliver as GitHub does, this sender's part of all."""
        line = self.line()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-Hub-Signature-256": SIGNATURE,
        }

        def one(_: int) -> None:
            marked = headers | {"X-GitHub-Delivery": str(uuid4())}
            self.ask(line, "delivery", "POST", "/webhooks/github/", BODY, marked)

        self.every(SENDERS / DELIVERIES, offset, one)


def _headers(browser: Browser) -> dict[str, str]:
    kept = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
    return {
        "Cookie": kept,
        "HX-Request": "true",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def _people(release: Release) -> list[Browser]:
    group = Group.objects.get(name=PEOPLE["alice"])
    browsers = []
    for number in range(VIEWERS + TICKERS):
        person = User.objects.create(username=f"person-{number:02}", is_staff=True)
        person.groups.add(group)
        browsers.append(Browser(person))
        browsers[-1].get(reverse("releases:release", args=[release.pk]))  # for the CSRF cookie
    return browsers


def _memory(processes: list[subprocess.Popen[bytes]]) -> float:
    """MiB of the processes and all their children that nobody shares."""
    parents = [psutil.Process(process.pid) for process in processes]
    found = [one for parent in parents for one in (parent, *parent.children(recursive=True))]
    return sum(one.memory_full_info().uss for one in found if one.is_running()) / 2**20


def _run(load: Load, browsers: list[Browser], release: Release, pulse: float) -> None:
    items = list(release.items.filter(gate="", ticked_by=None).values_list("pk", flat=True))
    work = [
        *(
            (load.view, (_headers(one)["Cookie"], release, pulse, number * pulse / VIEWERS))
            for number, one in enumerate(browsers[:VIEWERS])
        ),
        *(
            (load.tick, (one, items[number], number / 5))
            for number, one in enumerate(browsers[VIEWERS:])
        ),
        *((load.deliver, (number / DELIVERIES,)) for number in range(SENDERS)),
    ]
    for target, arguments in work:
        threading.Thread(target=target, args=arguments, daemon=True).start()


def main(seconds: int = 60) -> int:
    """Print the table; 1 when anything was answered wrongly, late, or memory grew."""
    with scratch_database():
        release = large_release()
        browsers = _people(release)
        server = os.environ["DATABASE_URL"].rpartition("/")[0]
        port = free_port()
        env = os.environ | {
            "DATABASE_URL": f"{server}/{connection.settings_dict['NAME']}",
            "GITHUB_WEBHOOK_SECRET": SECRET,
        }
        connection.close()
        commands = [["web", "--host=127.0.0.1", f"--port={port}"], ["worker"]]
        served = [
            subprocess.Popen([sys.executable, "manage.py", *command], env=env, cwd=ROOT)
            for command in commands
        ]
        try:
            _await(port)
            opened = Load(port, time.monotonic())
            pulses = [opened.open(_headers(one)["Cookie"], release) for one in browsers]
            load = Load(port, time.monotonic() + seconds, wrong=opened.wrong)
            _run(load, browsers, release, pulses[0])
            time.sleep(seconds / 5)
            before = _memory(served)
            time.sleep(max(0.0, load.ends_at - time.monotonic() + 1))
            after = _memory(served)
        finally:
            for process in served:
                process.terminate()
            for process in served:
                process.wait()
    return _report(load, seconds, before, after)


def _report(load: Load, seconds: int, before: float, after: float) -> int:
    print(f"{VIEWERS} people looking, {TICKERS} ticking, {DELIVERIES} deliveries/s, {seconds} s")
    late: dict[str, float] = {}
    for kind, values in sorted(load.taken.items()):
        late[kind] = statistics.quantiles(values, n=100)[98] if len(values) > 1 else 0.0
        print(
            f"  {kind:9} {len(values):7} answers, {len(values) / seconds:6.1f} /s, median"
            f" {statistics.median(values):7.1f} ms, p99 {late[kind]:7.1f} ms"
        )
    print(f"  memory    {before:7.0f} MiB after a fifth, {after:7.0f} MiB at the end")
    print(f"  wrong     {len(load.wrong):7}")
    for line in load.wrong[:5]:
        print(f"            {line[:200]}")
    enough = len(load.taken.get("delivery", [])) >= 0.95 * DELIVERIES * seconds
    held = not load.wrong and late["tick"] <= MOST_MILLISECONDS and enough
    held = held and (after <= before * MOST_GROWTH or seconds < LONG)
    print("held" if held else "missed")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
