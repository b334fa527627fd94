"""Opens, pushes to and closes pull requests at random while workers are killed, then counts
environments.

Run by `make faults`, or with a count: `python -m tests.faults.previews 200`. Ends with 1 when the
environments left are not exactly those of the open pull requests, one was made twice, one that is
not ours was touched, or a pull request has more or less than one comment.
"""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tests.faults.scene import Workers, lift_allowances, world_of_its_own
from tests.scratch import scratch_database

WORKERS = 2
MOST_OPEN = 20
SETTLE_SECONDS = 240.0
FOREIGN = ("pr-77001", "PR-77002", "inspector-pr-77003", "qa")


@dataclass
class Killer:
    """Ends a worker's life every now and then and starts another, until told to stop."""

    workers: Workers
    dice: random.Random
    kills: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        pids = [self.workers.start() for _ in range(WORKERS)]
        while not self.stopped.wait(self.dice.uniform(0.1, 1.2)):
            pid = pids.pop(self.dice.randrange(WORKERS))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.workers.pids.discard(pid)
            self.kills += 1
            pids.append(self.workers.start())


@dataclass
class Authors:
    """People who open, push to and close pull requests."""

    world: Any
    dice: random.Random
    open: dict[int, str] = field(default_factory=dict)
    did: Counter[str] = field(default_factory=Counter)

    def act(self) -> None:
        chance = self.dice.random()
        if not self.open or (chance < 0.45 and len(self.open) < MOST_OPEN):
            self._open()
        elif chance < 0.7:
            self._push()
        else:
            self._close()

    def _open(self) -> None:
        hub, branch = self.world.github, f"feature-{self.did['opened']}"
        hub.git.move(f"refs/heads/{branch}", hub.heads()["staging"])
        hub.push_commit(branch, {f"frontend/{branch}.txt": "1"}, f"Begin {branch}")
        self.open[hub.open_pull(branch, "staging", f"Feature {branch}")] = branch
        self.did["opened"] += 1

    def _push(self) -> None:
        branch = self.dice.choice(list(self.open.values()))
        for _ in range(self.dice.choice((1, 1, 3))):
            self.did["pushed"] += 1
            self.world.github.push_commit(
                branch, {f"frontend/{branch}.txt": str(self.did["pushed"])}, "Go on"
            )

    def _close(self) -> None:
        number = self.dice.choice(list(self.open))
        del self.open[number]
        self.world.github.close_pull(number)
        self.did["closed"] += 1


def disturbed(world: Any, count: int, seed: int) -> tuple[Killer, Authors]:
    """Lets `count` pull requests be opened, with all that comes with it, and the portal settle
    afterwards.
    """
    from environments.models import Project

    dice = random.Random(seed)
    for name in FOREIGN:
        world.railway.add_environment(name)
    for pull in [one for one in world.github.state["pulls"] if one["state"] == "open"]:
        world.github.close_pull(pull["number"])
    world.railway.set_knobs(cooldown=0, late=0.2)
    lift_allowances(world)
    Project.objects.update(previews=True, preview_limit=1000)
    workers = Workers(
        JOB_LEASE_SECONDS="1", PREVIEW_PAUSE_SECONDS="0", PREVIEW_PATIENCE_SECONDS="6"
    )
    killer, authors = Killer(workers, random.Random(seed + 1)), Authors(world, dice)
    thread = threading.Thread(target=killer.run)
    thread.start()
    try:
        # A killer that died of an error would be waited for without end.
        while thread.is_alive() and (authors.did["opened"] < count or not killer.kills):
            authors.act()
            if dice.random() < 0.05:
                world.railway.set_knobs(lose_answers=1)
            time.sleep(dice.choice((0, 0.1, 0.6)))
        world.railway.set_knobs(lose_answers=0)
        killer.stopped.set()
        thread.join()
        _settle(world, authors)
    finally:
        killer.stopped.set()
        thread.join()
        workers.stop()
    return killer, authors


def _settle(world: Any, authors: Authors) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while _unsettled(authors) and time.monotonic() < deadline:
        time.sleep(0.5)


def _unsettled(authors: Authors) -> bool:
    from environments.models import Preview

    states = dict(Preview.objects.values_list("number", "state"))
    there = {number for number, state in states.items() if state != "gone"}
    told = all(row.told.get("state") == "success" for row in Preview.objects.filter(state="live"))
    return (
        there != set(authors.open) or any(states[number] != "live" for number in there) or not told
    )


def findings(world: Any, authors: Authors) -> dict[str, list[str]]:
    """Everything that breaks a promise, by promise; empty lists when all were kept."""
    rows = list(world.railway.world.data["environments"].values())
    left = Counter(row["name"] for row in rows if not row.get("deletedAt") and row["isEphemeral"])
    wanted = {f"pr-{number}" for number in authors.open}
    return {
        "environments that should be there and are not": sorted(wanted - left.keys()),
        "environments left behind": sorted(left.keys() - wanted),
        "environments made twice": [name for name, count in left.items() if count > 1],
        "environments of others touched": _touched(world, rows),
        "not live at the newest commit": list(_not_live(world, authors)),
        "pull requests without exactly one comment": list(_comments(world, authors)),
    }


def _touched(world: Any, rows: list[dict[str, Any]]) -> list[str]:
    gone = [row["name"] for row in rows if not row["isEphemeral"] and row.get("deletedAt")]
    deployed = [
        row for row in world.railway.world.data["deployments"].values() if row.get("instanceId")
    ]
    foreign = {row["id"] for row in rows if row["name"] in FOREIGN}
    instances = world.railway.world.data["instances"].values()
    theirs = {row["id"] for row in instances if row["environmentId"] in foreign}
    return gone + [one["id"] for one in deployed if one["instanceId"] in theirs]


def _not_live(world: Any, authors: Authors) -> Iterator[str]:
    heads = world.github.heads()
    for number, branch in authors.open.items():
        for service in ("backend", "frontend"):
            try:
                latest = world.railway.latest(service, f"pr-{number}")
            except KeyError as error:
                yield f"pr-{number}: {error}"
                continue
            if (
                latest is None
                or latest["meta"].get("commitHash") != heads[branch]
                or latest["status"] != "SUCCESS"
            ):
                yield f"{service} in pr-{number}"


def _comments(world: Any, authors: Authors) -> Iterator[str]:
    from environments.models import Preview

    message = Counter(
        row["number"]
        for row in world.github.state["comments"]
        if "release-portal: preview" in row["body"]
    )
    rows = Preview.objects.filter(project=world.project)
    had = set(rows.exclude(made_at=None, state="gone").values_list("number", flat=True))
    yield from (f"#{number}: {count} comments" for number, count in message.items() if count > 1)
    yield from (f"#{number}: none" for number in authors.open if not message[number])
    yield from (
        f"#{number}: none, though it had an environment" for number in had if not message[number]
    )


def main(count: int = 200, seed: int = 20263) -> int:
    """Prints what was done and what is left; 0 when every promise was kept."""
    started = time.monotonic()
    with scratch_database(), world_of_its_own() as world:
        killer, authors = disturbed(world, count, seed)
        found = findings(world, authors)
    did = ", ".join(f"{number} {word}" for word, number in authors.did.items())
    print(f"Previews while workers are killed (seed {seed}), {time.monotonic() - started:.0f} s")
    print(f"  {did}; {killer.kills} kills; {len(authors.open)} pull requests open at the end")
    for promise, broken in found.items():
        print(f"  {len(broken):5}  {promise}")
        for line in broken[:10]:
            print(f"         {line}")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
