"""Fifty people tick at once on one release, and nobody's tick is lost.

Run by `make faults`, or with counts: `python -m tests.faults.ticks 50 10`. Ends with 1 when a tick
or an audit event is missing, when one is there twice, or when a person was refused.
"""

import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.scratch import scratch_database


@dataclass
class Seen:
    """What the people met."""

    ticks: Counter[int] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    slowest: float = 0.0


def a_release(people: int, each: int) -> tuple[Any, list[Any]]:
    """An open release with `people` × `each` items a person ticks, and that many people who may."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group

    from environments.models import Project
    from portal.accounts import roles
    from releases.models.checklist import ChecklistItem
    from releases.models.releases import Release

    roles.ensure()
    project = Project.objects.create(name="Ticks", slug="ticks", repository="acme/ticks")
    release = Release.objects.create(
        project=project, name="2026.03.02-1", candidate="a" * 40, base="b" * 40
    )
    ChecklistItem.objects.bulk_create(
        ChecklistItem(release=release, position=n, text=f"Item {n}") for n in range(people * each)
    )
    users = get_user_model().objects.bulk_create(
        get_user_model()(username=f"person-{n}", is_staff=True) for n in range(people)
    )
    Group.objects.get(name="Release managers").user_set.add(*users)
    return release, users


def tick_at_once(release: Any, users: list[Any], each: int, *, same: bool) -> Seen:
    """Every person ticks `each` items, all beginning together; with `same`, everybody the same
    ones.
    """
    items, seen, lock = list(release.items.all()), Seen(), threading.Lock()
    start = threading.Barrier(len(users))

    def tick(person: int) -> None:
        from django.contrib.auth import get_user_model
        from django.db import connection

        from releases.checklist import actions

        try:
            actor = get_user_model().objects.get(pk=users[person].pk)
            mine = items[:each] if same else items[person * each : (person + 1) * each]
            start.wait()
            for item in mine:
                began = time.monotonic()
                ticked = actions.tick(item, actor=actor, note=f"by {person}")
                with lock:
                    seen.ticks[ticked.pk] += 1
                    seen.slowest = max(seen.slowest, time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - counted
            with lock:
                seen.refused.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=tick, args=(person,)) for person in range(len(users))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


def problems(release: Any, seen: Seen, wanted: int) -> list[str]:
    """What was lost or is there twice, in sentences; `wanted` distinct items were to be ticked."""
    from portal.models.audit import AuditEvent

    ticked = release.items.exclude(ticked_at=None).filter(lapsed_at=None)
    found = [f"refused: {one}" for one in seen.refused]
    if ticked.count() != wanted:
        found.append(f"{ticked.count()} of {wanted} items are ticked")
    events = AuditEvent.objects.filter(action="checklist.ticked", outcome="done")
    told = Counter(event.data["item"] for event in events)
    found += [f"item {item} was told {count} times" for item, count in told.items() if count > 1]
    found += [f"the tick of item {item.pk} is not told" for item in ticked if item.pk not in told]
    by = {event.data["item"]: event.actor_id for event in events}
    found += [
        f"item {one.pk} is another person's by the trail"
        for one in ticked
        if by.get(one.pk) != one.ticked_by_id
    ]
    positions = list(AuditEvent.objects.order_by("position").values_list("position", flat=True))
    if positions != list(range(1, len(positions) + 1)):
        found.append("positions are not contiguous")
    return found


def main(people: int = 50, each: int = 10) -> int:
    """Prints what came of both rounds, each on a database of its own; 0 when nothing was lost."""
    broken = 0
    print(f"{people} people tick {each} items at once")
    for same in (False, True):
        with scratch_database():
            release, users = a_release(people, each)
            started = time.monotonic()
            seen = tick_at_once(release, users, each, same=same)
            seconds = time.monotonic() - started
            wanted = each if same else people * each
            found = problems(release, seen, wanted)
        broken += len(found)
        what = "the same items" if same else "items of their own"
        print(
            f"  {what:18}  {sum(seen.ticks.values()):4} ticks by hand, {wanted:4} items,"
            f" {len(found):3} problems"
        )
        print(f"  {'':18}  {seconds:.1f} s in all, slowest tick {seen.slowest:.2f} s")
        for line in found[:10]:
            print(f"      {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
