"""How fast the audit chain is verified and written, beside what bounds it.

`python -m tests.bench.audit 1000000`. Verification is held against bare SHA-256 over the same
bytes, event by event, on one core; an audited action against the same action alone, interleaved.
Exit status 1 when verification is less than half as fast, or an audited action takes more than 1.3
times as long.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.utils import timezone

from portal.audit import record
from portal.audit.chain import GENESIS, Link
from portal.audit.verification import Anchor, anchor, verify
from tests.chain import fill

SAMPLE = 200_000  # events whose bytes are held in memory for the bare hash
ROUNDS = 5


def main(events: int = 1_000_000, saves: int = 1_500) -> int:
    """Prints the table; returns the exit status."""
    fill(connection, events)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE portal_auditchain")
    with tempfile.TemporaryDirectory() as directory:
        anchors = [anchor(timezone.now(), path=Path(directory) / "anchors")]
    sample = hashed_bytes(min(events, SAMPLE))
    rates: dict[str, list[float]] = {}
    for _ in range(ROUNDS):  # interleaved, so that other work on the machine meets all alike
        for name, count, work in (
            ("bare SHA-256, one core", len(sample), lambda: bare(sample)),
            ("verify, sealed", events, lambda: check(anchors)),
            ("verify, link by link", events, lambda: check([])),
        ):
            rates.setdefault(name, []).append(count / seconds(work))
    limit = max(rates["bare SHA-256, one core"])  # the best of each: other work only ever slows
    print(
        f"{events:,} events of {sum(map(len, sample)) / len(sample):.0f} hashed bytes, best of"
        f" {ROUNDS}"
    )
    for name, measured in rates.items():
        rate = max(measured)
        print(f"  {name:26} {rate:12,.0f} /s  {rate / limit:5.2f} of bare")
    ratio = max(rates["verify, sealed"]) / limit
    slower = audited_action(saves)
    return int(ratio < 0.5 or slower > 1.3)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bare(sample: list[bytes]) -> None:
    for event in sample:
        sha256(event).digest()


def check(anchors: list[Anchor]) -> None:
    assert verify(anchors=anchors).ok


def hashed_bytes(count: int) -> list[bytes]:
    """What each of the first events is hashed from."""
    query = (
        "SELECT position, digest, body FROM portal_auditchain WHERE position <= %s ORDER BY"
        " position"
    )
    with connection.cursor() as cursor:
        cursor.execute(query, [count])
        rows = [(Link(position, digest), body.encode()) for position, digest, body in cursor]
    return [
        bytes(link) + body for (link, _), (_, body) in pairwise([(Link(0, GENESIS), b""), *rows])
    ]


def audited_action(count: int) -> float:
    """Prints how much slower an event makes a bare save and a whole action; returns the latter."""
    alice, group = User.objects.create_user("bench"), Group.objects.create(name="bench")
    ratio = 1.0
    for name, work in (("save", save), ("action", act)):
        plain, audited = [], []
        for number in range(count):
            plain.append(
                seconds(lambda work=work, number=number: work(alice, group, f"a{number}", False))
            )
            audited.append(
                seconds(lambda work=work, number=number: work(alice, group, f"b{number}", True))
            )
        ratio = statistics.median(audited) / statistics.median(plain)
        alone, with_event = statistics.median(plain) * 1000, statistics.median(audited) * 1000
        print(f"  {name:8} {alone:7.3f} ms, with its event {with_event:7.3f} ms: {ratio:.2f} times")
    return ratio


def act(actor: User, group: Group, name: str, audited: bool) -> None:
    """What every action of the portal does: permission, row lock, save, event."""
    User.objects.get(pk=actor.pk).has_perm("auth.change_group")
    save(actor, group, name, audited)


def save(actor: User, group: Group, name: str, audited: bool) -> None:
    with transaction.atomic():
        group = Group.objects.select_for_update().get(pk=group.pk)
        group.name = name
        group.save()
        if audited:
            record("group.renamed", actor=actor, subject=group, sentence="The group was renamed.")


if __name__ == "__main__":
    with scratch_database():
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
