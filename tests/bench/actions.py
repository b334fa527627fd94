"""What the audit trail costs an action: `python -m tests.bench.actions`.

The very same ticks and unticks, with their event and with an event that is not written, in turn.
That is the honest comparison: permission, row lock, rules, the write and the commit are in both,
and nothing else differs. PostgreSQL waits for the disk at each commit, as it does where the portal
is served. Then how many ticks go through a second, by one person and by eight at once, who all
append to the one chain. Exit status 1 when an audited action takes more than 1.3 times an unaudited
one.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from portal import audit
from portal.audit.verification import verify
from portal.models.audit import AuditEvent
from releases.checklist import actions
from releases.models.checklist import ChecklistItem
from releases.models.releases import Release
from tests.factory import make_people, make_project, make_release

ROUNDS, MOST, AT_ONCE, SECONDS = 400, 1.3, 8, 3.0


def scene(items: int = AT_ONCE) -> tuple[Release, list[ChecklistItem], User]:
    """A release, items of its that a person ticks, and a release manager."""
    alice = make_people()["alice"]
    release = make_release(make_project(), by=alice)
    rows = [
        ChecklistItem(release=release, text=f"Item {n}", position=200 + n) for n in range(items)
    ]
    return release, ChecklistItem.objects.bulk_create(rows), alice


def change(item: ChecklistItem, person: User, number: int) -> None:
    """One action: an even `number` ticks, an odd one unticks, so that each really changes the
    row.
    """
    if number % 2:
        actions.untick(item, actor=person)
    else:
        actions.tick(item, actor=person, note="seen")


@contextmanager
def unaudited() -> Iterator[None]:
    """Inside, no action writes its event."""
    record = audit.record
    audit.record = lambda *_, **__: 0
    try:
        yield
    finally:
        audit.record = record


def compare(rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of the same action without and with its event, taken in turn, the first tenth
    left out.
    """
    _, items, alice = scene()
    plain: list[float] = []
    audited: list[float] = []
    for number in range(rounds):
        with unaudited():
            plain.append(milliseconds(lambda number=number: change(items[0], alice, number)))
        audited.append(milliseconds(lambda number=number: change(items[1], alice, number)))
    return plain[rounds // 10 :], audited[rounds // 10 :]


def milliseconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def per_second(people: int, seconds: float) -> float:
    """Actions a second by so many people at once, each on an item of their own."""
    items, alice = (
        list(ChecklistItem.objects.filter(text__startswith="Item "))[:people],
        User.objects.get(username="alice"),
    )
    until, done = time.monotonic() + seconds, []

    def work(item: ChecklistItem) -> None:
        number = 0
        try:
            while time.monotonic() < until:
                change(item, alice, number)
                number += 1
        finally:
            done.append(number)
            connection.close()

    threads = [threading.Thread(target=work, args=[item]) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / seconds


def main(rounds: int = ROUNDS) -> int:
    """Prints the table; returns the exit status."""
    plain, audited = compare(rounds)
    # Of pairs taken one after the other: what else happens on the machine meets both.
    slower = statistics.median(audited) / statistics.median(plain)
    print(f"{rounds} ticks and unticks each way, median")
    for name, taken in (("without its event", plain), ("with its event", audited)):
        print(
            f"  {name:20} {statistics.median(taken):7.2f} ms   p95"
            f" {sorted(taken)[-len(taken) // 20]:7.2f} ms"
        )
    print(f"  an audited action takes {slower:.2f} times an unaudited one (at most {MOST})")
    before = AuditEvent.objects.count()
    for people in (1, AT_ONCE):
        print(f"  {people} at once: {per_second(people, SECONDS):7.0f} ticks/s")
    broken = not verify(anchors=[]).ok or AuditEvent.objects.count() == before
    print("the chain is broken" if broken else "missed" if slower > MOST else "held")
    return int(broken or slower > MOST)


if __name__ == "__main__":
    with scratch_database():
        sys.exit(main(*map(int, sys.argv[1:])))
