"""Attacks on access, as a table: attack, tried, succeeded.

`python -m tests.faults.access`; 1 when one succeeds.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import io
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from environments.git.calls import GitError
from environments.smoke.probe import is_public, probe
from portal.accounts import second_factor
from portal.invisible_characters import LogFormatter
from portal.models.accounts import Authenticator
from portal.ui.actions import Refused
from releases.approvals import actions as approvals_actions
from releases.promotion import actions as promotion_actions
from releases.rollback import actions as rollback_actions
from releases.rollback import downgrade_actions
from tests.environments.git.hostile_trees import Trees, attacks
from tests.factory import PASSWORD, make_people, make_project, make_release
from tests.portal.accounts import test_every_address as table
from tests.portal.accounts import test_hostile_text as text
from tests.portal.accounts.addresses import every, furnish
from tests.portal.accounts.hostile_text import spoil

Count = tuple[int, int]  # tried, succeeded
QUICK = "django.contrib.auth.hashers.MD5PasswordHasher"
NOT_OURS = (
    "127.0.0.1",
    "10.0.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "::1",
    "fe80::1",
    "fd12::1",
    "::ffff:127.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::a9fe:a9fe",
    "192.168.0.1",
    "224.0.0.1",
    "0.0.0.0",
)


def hostile_trees() -> Count:
    """Commits that write or point outside, or fill disk or memory, by both ways of checking out."""
    tried = succeeded = 0
    with tempfile.TemporaryDirectory() as name:
        trees = Trees.make(Path(name) / "r.git")
        for number, commit in enumerate(attacks(trees).values()):
            for whole in (True, False):
                into = Path(name) / "out" / f"{number}-{whole}"
                into.mkdir(parents=True)
                tried += 1
                try:
                    (
                        trees.mirror().checkout_all(commit, into)
                        if whole
                        else trees.mirror().checkout(commit, [""], into)
                    )
                except GitError:
                    continue
                succeeded += 1
        strangers = {one.name for one in Path(name).iterdir()} - {"r.git", "out"}
    return tried, succeeded + len(strangers)


def _tries(count: int, **of: Callable[[int], str]) -> int:
    """How many of `count` sign-ins were looked at; `name` and `address` make each one's."""
    looked = 0
    for n in range(count):
        answer = Client().post(
            "/admin/login/",
            {"username": of["name"](n), "password": "wrong"},
            REMOTE_ADDR=of["address"](n),
        )
        looked += answer.status_code != 429
    return looked


def guessing_locks_a_colleague(count: int = 300) -> Count:
    _fast_people()
    _tries(count, name=lambda n: "alice", address=lambda n: "203.0.113.9")
    own = Client().post(
        "/admin/login/", {"username": "alice", "password": PASSWORD}, REMOTE_ADDR="192.0.2.1"
    )
    return count, int(own.status_code != 302)


def spraying_one_password(count: int = 300) -> Count:
    _fast_people()  # where nobody has an account, each sign-in leads to the first administrator
    return count, max(
        0, _tries(count, name=lambda n: f"person-{n}", address=lambda n: "203.0.113.9") - 50
    )


def one_name_from_many_addresses(count: int = 250) -> Count:
    _fast_people()
    began = timezone.now()
    looked = _tries(count, name=lambda n: "alice", address=lambda n: f"198.51.100.{n}")
    slow = (timezone.now() - began) // timedelta(seconds=10) + 1
    return count, max(0, looked - 20 - slow)


def guessing_the_second_factor(count: int = 300) -> Count:
    alice = make_people()["alice"]
    second_factor.begin(alice)
    Authenticator.objects.update(confirmed=True)
    for n in range(count):
        try:
            second_factor.prove(alice, f"{n:06}")
        except Refused:
            continue
        return count, 1
    return count, max(0, Authenticator.objects.get().throttling_failure_count - 10)


def acting_without_proof() -> Count:
    """Dangerous actions of a project that demands both, by accounts without a session."""
    people = make_people()
    release = make_release(
        make_project(second_factor=True, sign_in_minutes=30), by=people["alice"], ready=True
    )
    seen, alice, bob = {"candidate": release.candidate}, people["alice"], people["bob"]
    risk = {"revision": "r", "sha256": "s", "reason": "x"}
    tries: list[Callable[[], Any]] = [
        lambda: promotion_actions.promote(release, actor=alice, **seen),
        lambda: promotion_actions.promote(release, actor=None, **seen),
        lambda: approvals_actions.approve(release, actor=bob, **seen),
        lambda: approvals_actions.accept_risk(release, actor=bob, **risk, **seen),
        lambda: promotion_actions.skip_step(release, actor=alice, reason="x"),
        lambda: rollback_actions.request_rollback(release, actor=alice, reason="x"),
        lambda: rollback_actions.approve_rollback(release, actor=bob, content="x"),
        lambda: downgrade_actions.request_downgrade(release, actor=alice, typed="x", reason="x"),
        lambda: downgrade_actions.approve_downgrade(release, actor=bob, content="x"),
    ]
    return len(tries), sum(not _refused(one, "signed in to the portal") for one in tries)


def _refused(act: Callable[[], Any], why: str) -> bool:
    try:
        act()
    except Refused as refusal:
        return why in str(refusal)
    return False


def acting_without_saying_what_was_seen() -> Count:
    people = make_people()
    release = make_release(make_project(), by=people["alice"], ready=True)
    client, tried = _client(people["alice"]), 0
    for verb in ("promote", "migrate-staging"):
        for fields in (
            {},
            {"candidate": ""},
            {"candidate": "f" * 40},
            {"candidate": release.candidate[:39]},
        ):
            client.post(reverse("releases:release-do", args=[release.pk, verb]), fields)
            tried += 1
    release.refresh_from_db()
    return tried, int(release.status != "open") + release.promotions.count()


def every_address_by_every_role() -> Count:
    asked, tried, wrong = table.clients(furnish()), 0, 0
    for name, pattern, address in every():
        for role, client in asked.items():
            tried += 1
            wrong += client.get(address).status_code != table.expected(name, pattern, role)
    return tried, wrong


def unseen_signs_on_pages() -> Count:
    people = furnish()
    tried = spoil("".join(text.SIGNS))
    found, read = text.looked_through(_client(people["dave"]))
    return tried * read, len(found)


def smoke_tests_of_others() -> Count:
    hosts = ["127.0.0.1:1", "localhost:1", "127.1:1", "2130706433:1", "[::1]:1", "0x7f000001:1"]
    asked = [
        probe(host, path="/", expected_status=200, local=False, timeout=1).status is not None
        for host in hosts
    ]
    return len(NOT_OURS) + len(hosts), sum(map(is_public, NOT_OURS)) + sum(asked)


def webhook_secrets_in_logs() -> Count:
    secret, tried = "s3cret-of-railway", 0
    with _logged() as message:
        for method in ("get", "post", "put", "delete", "head", "options"):
            for path in (
                f"/webhooks/railway/{secret}/",
                f"/webhooks/railway/{secret}",
                f"/webhooks/railway/{secret}/x",
            ):
                getattr(Client(raise_request_exception=False), method)(path, HTTP_HOST="localhost")
                tried += 1
    return tried, message.getvalue().count(secret)


@contextmanager
def _logged() -> Iterator[io.StringIO]:
    message = io.StringIO()
    handler = logging.StreamHandler(message)
    handler.setFormatter(LogFormatter("{levelname} {name} {message}", style="{"))
    logging.getLogger().addHandler(handler)
    try:
        yield message
    finally:
        logging.getLogger().removeHandler(handler)


def _client(user: Any) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _fast_people() -> None:
    from django.contrib.auth.hashers import make_password
    from django.contrib.auth.models import User

    make_people()
    User.objects.update(password=make_password(PASSWORD))


ATTACKS: tuple[Callable[[], Count], ...] = (
    hostile_trees,
    guessing_locks_a_colleague,
    spraying_one_password,
    one_name_from_many_addresses,
    guessing_the_second_factor,
    acting_without_proof,
    acting_without_saying_what_was_seen,
    every_address_by_every_role,
    unseen_signs_on_pages,
    smoke_tests_of_others,
    webhook_secrets_in_logs,
)


def main() -> int:
    """Prints the table, each attack on a database of its own; 0 when none succeeded."""
    settings.PASSWORD_HASHERS = [QUICK, *settings.PASSWORD_HASHERS]
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    settings.RAILWAY_WEBHOOK_SECRET = settings.GITHUB_WEBHOOK_SECRET = "s"
    for handler in logging.getLogger().handlers:
        handler.setLevel(
            logging.CRITICAL
        )  # refusals by the hundred; what must not be logged has a handler of its own
    logging.getLogger("django.request").propagate = True
    succeeded = 0
    print(f"{'attack':40} {'tried':>7} {'succeeded':>10}")
    for attack in ATTACKS:
        with scratch_database():
            tried, won = attack()
        succeeded += won
        print(f"{attack.__name__.replace('_', ' '):40} {tried:7} {won:10}", flush=True)
    return 1 if succeeded else 0


if __name__ == "__main__":
    sys.exit(main())
