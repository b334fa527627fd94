"""Thousands of webhooks in bad order, repeated, forged, lost and replayed: the mirror must not
notice.

Genuine payloads are those the stand-ins sent while their repository and their deployments changed;
they go over real HTTP to the portal as WSGI serves it. Run by `make faults`, or with a count:
`python -m tests.faults.deliveries 10000`. Ends with 1 when a promise is missed.
"""

import hashlib
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import httpx

LOST, REPEATED, FORGED, REPLAYED = 0.05, 0.30, 0.10, 0.05
GITHUB_SECRET, RAILWAY_SECRET = "github-secret", "railway-secret"
SENDERS = 4


@dataclass(frozen=True)
class Post:
    """One delivery as it goes over the line."""

    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = "genuine"


@dataclass(frozen=True)
class Result:
    """What came of it. `expected`: the distinct genuine deliveries that were not lost."""

    sent: Counter[str]
    statuses: Counter[int]
    kept: int
    expected: int
    forged_kept: int
    seconds: float
    differences: tuple[str, ...]

    @property
    def held(self) -> bool:
        fine = not self.differences and not self.forged_kept and self.kept == self.expected
        return fine and all(status < 500 for status in self.statuses)


@contextmanager
def serving() -> Iterator[str]:
    """Serves the portal's WSGI application on a free port of 127.0.0.1; gives its address."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    from portal.wsgi import application

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: object) -> None:
            """The statuses are counted by the sender."""

    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(application)
    server.daemon_threads = False  # closing waits for them, and so for their database connections
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def unleash(world, portal_url: str, count: int, seed: int) -> Result:
    """Changes the world while `count` genuine deliveries and all their mischief arrive, then
    works once more.
    """
    from portal.models.webhooks import WebhookDelivery

    chance = random.Random(seed)
    genuine = _multiplied(_told(world), count, chance)
    posts = _mischief(genuine, chance)
    started = time.monotonic()
    changing = threading.Thread(target=_change_and_work, args=(world,))
    changing.start()
    statuses = _send(portal_url, posts)
    changing.join()
    seconds = time.monotonic() - started
    _settle(world)
    # One late delivery of each: of everything before it, nothing needs to have arrived in time.
    tells = (
        (lambda post: post.path == _RAILWAY),
        (lambda post: ("x-github-event", "push") in post.headers),
    )
    last = [next(filter(telling, genuine)) for telling in tells]
    late = [_fresh(post, str(UUID(int=chance.getrandbits(128)))) for post in last]
    statuses += _send(portal_url, late)
    _work()
    expected = {
        (post.path, post.body, post.headers) for post in (*posts, *late) if post.kind != "forged"
    }
    return Result(
        sent=Counter(post.kind for post in posts),
        statuses=statuses,
        kept=WebhookDelivery.objects.count(),
        expected=len(expected),
        forged_kept=WebhookDelivery.objects.filter(body__contains='"forged"').count(),
        seconds=seconds,
        differences=tuple(differences(world)),
    )


def _told(world) -> list[Post]:
    """The deliveries the stand-ins made of a handful of changes, as they were sent."""
    caught: list[Post] = []

    from portal.sandbox.server import Request, Response, Server

    def catch(request: Request) -> Response:
        names = ("x-github-event",)
        headers = tuple((name, request.headers[name]) for name in names if name in request.headers)
        caught.append(Post("/webhooks/github/" if headers else _RAILWAY, request.body, headers))
        return Response(202, b"")

    server = Server(catch).start()
    try:
        world.github.add_hook(f"{server.url}/github", GITHUB_SECRET, ["*"])
        world.railway.add_webhook(f"{server.url}/railway")
        _change(world, 3, "told")
        _settle(world)
        deadline = time.monotonic() + 20
        while not any(post.path == _RAILWAY for post in caught) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        world.github.state["hooks"].clear()
        world.railway.world.data["rules"].clear()
        world.github.hooks.stop()
        server.stop()
    return list(caught)


_RAILWAY = f"/webhooks/railway/{RAILWAY_SECRET}/"


def _change(world, times: int, word: str) -> None:
    for number in range(times):
        for branch in ("staging", f"feature/{word}-{number}"):
            sha = world.github.push_commit(
                branch, {f"{word}-{number}.txt": branch}, f"{word} {number}"
            )
        pull = world.github.open_pull(f"feature/{word}-{number}", "staging", f"{word} {number}")
        world.github.set_status(sha, "ci", "success")
        if number % 2:
            world.github.close_pull(pull)


def _change_and_work(world) -> None:
    """What goes on while deliveries arrive: things change, and the worker reads what was marked
    until then.
    """
    from django.db import connection

    for number in range(3):
        _change(world, 1, f"meanwhile-{number}")
        _work()
    connection.close()


def _settle(world) -> None:
    """Waits until every webhook of the stand-ins was sent and every deployment came to rest."""
    world.github.hooks.wait()
    deadline = time.monotonic() + 20
    while world.railway.world.data["moving"] and time.monotonic() < deadline:
        time.sleep(0.05)


def _multiplied(told: list[Post], count: int, chance: random.Random) -> list[Post]:
    """`count` deliveries out of those told, each with an id, or for Railway a body, of its own."""
    made = []
    for number in range(count):
        unique = str(UUID(int=chance.getrandbits(128)))
        made.append(_fresh(told[number % len(told)], unique))
    return made


def _fresh(post: Post, unique: str) -> Post:
    from portal.webhooks.secrets import github_signature

    if post.path == _RAILWAY:
        return replace(
            post, body=json.dumps(json.loads(post.body) | {"timestamp": unique}).encode()
        )
    headers = [pair for pair in post.headers if pair[0] == "x-github-event"]
    headers += [
        ("x-github-delivery", unique),
        ("x-hub-signature-256", github_signature(GITHUB_SECRET, post.body)),
    ]
    return replace(post, headers=tuple(headers))


def _mischief(genuine: list[Post], chance: random.Random) -> list[Post]:
    """Some lost, some repeated, some replayed under a new id, some forged beside them; in any
    order.
    """
    posts = []
    for post in genuine:
        if chance.random() >= LOST:
            posts.append(post)
            if chance.random() < REPEATED:
                posts += [replace(post, kind="repeated")] * chance.choice([1, 1, 2])
            if chance.random() < REPLAYED:
                posts.append(
                    replace(_fresh(post, str(UUID(int=chance.getrandbits(128)))), kind="replayed")
                )
        if chance.random() < FORGED:
            posts.append(_forged(post, chance))
    chance.shuffle(posts)
    return posts


def _forged(post: Post, chance: random.Random) -> Post:
    body = json.dumps(json.loads(post.body) | {"action": "forged"}).encode()
    wrong = hashlib.sha256(body).hexdigest()
    if post.path == _RAILWAY:
        return Post(f"/webhooks/railway/{wrong[:20]}/", body, kind="forged")
    headers = dict(post.headers)
    change = chance.choice(["kept", "made up", "sha1", "none"])
    if change == "made up":
        headers["x-hub-signature-256"] = f"sha256={wrong}"
    elif change != "kept":  # kept: the signature of another body
        del headers["x-hub-signature-256"]
        headers |= {"x-hub-signature": f"sha1={wrong[:40]}"} if change == "sha1" else {}
    return Post(post.path, body, tuple(headers.items()), "forged")


def _send(url: str, posts: list[Post]) -> Counter[int]:
    def send(part: list[Post]) -> Counter[int]:
        statuses: Counter[int] = Counter()
        with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
            for post in part:
                headers = {"content-type": "application/json", **dict(post.headers)}
                statuses[
                    client.post(post.path, content=post.body, headers=headers).status_code
                ] += 1
        return statuses

    with ThreadPoolExecutor(SENDERS) as pool:
        parts = pool.map(send, [posts[number::SENDERS] for number in range(SENDERS)])
        return sum(parts, Counter())


def _work() -> None:
    """What the worker does with what is due: one sweep."""
    from tests.journeys.world import run_due

    run_due()


def differences(world) -> Iterator[str]:
    """Where the portal's mirror is not what the stand-ins hold."""
    from environments.models import Deployment

    project, hub = world.project, world.github
    heads = hub.heads()
    for branch in project.branches.all():
        if branch.head != heads[branch.name]:
            yield (
                f"{branch.name} is mirrored at {branch.head[:8]} and is at {heads[branch.name][:8]}"
            )
    open_pulls = {
        row["number"]: row["title"] for row in hub.state["pulls"] if row["state"] == "open"
    }
    mirrored = dict(project.pull_requests.filter(state="open").values_list("number", "title"))
    if open_pulls != mirrored:
        yield f"open pull requests are mirrored as {sorted(mirrored)} and are {sorted(open_pulls)}"
    for environment in ("staging", "production"):
        for service in ("backend", "frontend"):
            there = world.railway.latest(service, environment)
            found = Deployment.objects.filter(
                is_latest=True, instance__environment__name=environment
            )
            here = (
                found.filter(instance__service__name=service)
                .values_list("railway_id", "status")
                .first()
            )
            if here != (there["id"], there["status"]):
                yield f"the newest deployment of {service} in {environment} is mirrored as {here}"


def main(count: int = 10_000, seed: int = 1) -> int:
    """Prints what was sent and what became of it; 0 when every promise held."""
    import tests.postgres  # noqa: F401  (starts PostgreSQL and names it)

    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    import django

    django.setup()
    import logging

    import stamina
    from django.core.management import call_command

    from tests.journeys.world import running_world

    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)
    with (
        tempfile.TemporaryDirectory(prefix="portal-faults-") as directory,
        stamina.set_testing(True, attempts=3, cap=True),
        serving() as url,
        running_world(Path(directory), prepared()) as world,
    ):
        hold_still()
        return _report(unleash(world, url, count, seed), seed)


def prepared():
    """The settings, with secrets and with no reading due for an hour: only webhooks tell the
    portal.
    """
    from django.conf import settings

    settings.GITHUB_WEBHOOK_SECRET, settings.RAILWAY_WEBHOOK_SECRET = GITHUB_SECRET, RAILWAY_SECRET
    return settings


def hold_still() -> None:
    """Reads everything once, after which nothing is due for an hour."""
    from django.conf import settings

    settings.SYNC_SECONDS = 3600
    _work()


def _report(result: Result, seed: int) -> int:
    print(f"Webhooks, seed {seed}: {sum(result.sent.values())} sent in {result.seconds:.1f} s")
    for kind, number in sorted(result.sent.items()):
        print(f"  {kind:28} {number:7}")
    for status, number in sorted(result.statuses.items()):
        print(f"  answered {status:<19} {number:7}")
    print(f"  kept                         {result.kept:7}   (expected {result.expected})")
    print(f"  forged ones kept             {result.forged_kept:7}   (expected 0)")
    for difference in result.differences:
        print(f"  the mirror differs: {difference}")
    print("held" if result.held else "missed")
    return 0 if result.held else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
