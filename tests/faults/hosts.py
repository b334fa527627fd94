"""Ships releases by workers on several hosts while one after the other is killed, frozen for longer
than its lease and woken, or cut off from the database in mid-step; then compares the writes.

Each host has a network namespace, a host name and a directory of its own, and runs the real
`manage.py worker`. A fault strikes at the very moment when a request leaves the host: at a *write*,
whose answer it then never reads in time, or at a *look*, after which it would write what it saw.
Run by `make faults`, or with counts: `python -m tests.faults.hosts FAULTS [HOSTS] [SEED]`. Ends
with 1 when a write was doubled or lost, compared with what an undisturbed release writes, or when
a step was.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.faults.network import Gate, Namespace, own_network
from tests.faults.scene import (
    ROOT,
    Workers,
    environment_of_workers,
    lift_allowances,
    world_of_its_own,
)

LEASE = 3.0
FAULTS = ("killed", "frozen", "cut off")
MOMENTS = ("write", "look")
BUSY = ("promotion", "githubsync", "preview", "releasereconciler")
# How often these are written depends on what was seen when; they must not be repeated.
BY_TIMING = re.compile(r"statuses|PATCH .*comments|deployments|variableCollection|Autodeploy|git-")


@dataclass
class Host:
    """One host: its worker, its gates to GitHub and Railway, and its way to the database."""

    number: int
    directory: Path
    world: Any
    network: Namespace | None
    quick: bool = False  # forks workers without a queue, which begin within milliseconds
    gates: list[Gate] = field(default_factory=list)
    base: Gate | None = None
    worker: int = 0
    forks: Workers | None = None
    armed: tuple[str, str] | None = None
    struck: threading.Event = field(default_factory=threading.Event)
    frozen: list[Any] = field(default_factory=list)

    def start(self) -> "Host":
        """Join it to the stand-ins and the database, and begin its worker."""
        self.directory.mkdir()
        ports = [self.world.github_server.port, self.world.railway_server.port]
        watched = frozenset(ports)
        if self.network:
            path = self.directory / "gate"
            Gate(0, path, watched, self._seen).start()
            self.relay = self.network.relay(path)
        else:
            self.gates = [Gate(port, None, watched, self._seen).start() for port in ports]
            address = urlsplit(environment_of_workers()["DATABASE_URL"])
            self.base = Gate(address.port or 5432).start()
        self.begin()
        return self

    def begin(self) -> None:
        """Start the worker."""
        if self.quick:
            self.forks = self.forks or Workers(**self._environment())
            self.worker = self.forks.start()
            return
        within = self.network.within() if self.network else []
        with (self.directory / "log").open("ab") as log:
            self.worker = subprocess.Popen(
                [*within, sys.executable, "manage.py", "worker"],
                cwd=ROOT,
                env=os.environ | self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            ).pid

    def _environment(self) -> dict[str, str]:
        values = environment_of_workers()
        url = urlsplit(values["DATABASE_URL"])
        user, _, _ = url.netloc.rpartition("@")
        where = (
            f"{self.network.ours}:{url.port}"
            if self.network
            else f"127.0.0.1:{self.base.address[1] if self.base else 0}"
        )
        values |= {
            "DATABASE_URL": url._replace(netloc=f"{user}@{where}").geturl(),
            "PORTAL_VAR_DIR": str(self.directory),
            "JOB_LEASE_SECONDS": str(LEASE),
            "PREVIEW_PAUSE_SECONDS": "0",
            "PORTAL_ENV_FILE": os.devnull,
            "ALLOW_SUPERUSER_DATABASE": "1",
        }
        if not self.network:  # each host has its own ports, else the same of its own loopback
            github, railway = (f"http://127.0.0.1:{gate.address[1]}" for gate in self.gates)
            values |= {"GITHUB_API_URL": github, "GITHUB_GIT_URL": github}
            values["RAILWAY_API_URL"] = f"{railway}/graphql/v2"
        return values

    def _seen(self, kind: str) -> None:
        """A request leaves: the fault that waits for one of this kind strikes now."""
        armed, self.armed = (
            (self.armed, None) if self.armed and self.armed[1] == kind else (None, self.armed)
        )
        if armed is None:
            return
        if armed[0] == "killed":
            self.kill()
        elif armed[0] == "frozen":
            self.freeze()
        elif self.network:
            self.network.cut()
        elif self.base:
            self.base.shut.set()
        self.struck.set()

    def heal(self, fault: str) -> None:
        """Undo what struck."""
        if fault == "killed":
            self.begin()
        elif fault == "frozen":
            for process in self.frozen:
                with suppress(Exception):
                    process.resume()
        elif self.network:
            self.network.join()
        elif self.base:
            self.base.shut.clear()

    def freeze(self) -> None:
        """SIGSTOP for every process of the host."""
        self.frozen = self._processes()
        for process in self.frozen:
            with suppress(Exception):
                process.suspend()

    def kill(self) -> None:
        """SIGKILL for every process of the host."""
        for process in self._processes():
            with suppress(Exception):
                process.kill()
        with suppress(ChildProcessError):  # the quick ones are another's children
            os.waitpid(self.worker, 0)

    def _processes(self) -> list[Any]:
        import psutil

        with suppress(psutil.Error):
            top = psutil.Process(self.worker)
            return [top, *top.children(recursive=True)]
        return []

    def end(self) -> None:
        """End its worker and its network."""
        self.kill()
        if self.forks:
            self.forks.stop()
        if self.network:
            self.relay.kill()
            self.relay.wait()
            self.network.end()


@contextmanager
def several(
    count: int, directory: Path, world: Any, *, separate: bool = False, quick: bool = False
) -> Iterator[list[Host]]:
    """`count` hosts at work, with networks of their own if `separate`."""
    with ExitStack() as stack:
        hosts = []
        for number in range(1, count + 1):
            network = Namespace(number) if separate else None
            host = Host(number, directory / f"host-{number}", world, network, quick)
            stack.callback(host.end)
            hosts.append(host.start())
        yield hosts


@dataclass
class Trouble:
    """Strikes one host after the other, each fault at both moments, until `left` is used up."""

    hosts: list[Host]
    left: int
    dice: random.Random
    hits: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        plan = [(fault, moment) for fault in FAULTS for moment in MOMENTS]
        while self.left > 0 and not self.stopped.is_set():
            fault, moment = plan[sum(self.hits.values()) % len(plan)]
            host = self.dice.choice(self.hosts)
            host.struck.clear()
            host.armed = (fault, moment)
            if not host.struck.wait(4):
                host.armed = None
                self.missed += 1
                if not host.struck.wait(0.1):
                    continue
            time.sleep(self.dice.uniform(1.5, 3) * LEASE if fault != "killed" else 0.5)
            host.heal(fault)
            self.hits[f"{fault} at a {moment}"] += 1
            self.left -= 1
            time.sleep(1)


Writes = list[tuple[str, str]]  # of what kind, and exactly what


def writes_of(world: Any, since: float = 0.0) -> Writes:
    """What GitHub and Railway were told and took, in order."""
    found: Writes = []
    for server in (world.github_server, world.railway_server):
        for one in server.requests:
            if one.at < since or one.status >= 300 or one.method == "GET":
                continue
            if "graphql" in one.path:
                query = json.loads(one.body or "{}")
                text = query.get("query", "")
                if not text.lstrip().startswith("mutation"):
                    continue
                name = re.search(r"\{\s*(?:\w+:\s*)?(\w+)", text)
                kind = f"Railway {name[1] if name else text[:40]}"
                found.append((kind, json.dumps(query.get("variables"), sort_keys=True)))
            elif "git-upload-pack" not in one.path:
                path = re.sub(r"[0-9a-f]{40}|\d+", "#", one.path.removeprefix("/repos/acme/"))
                found.append((f"{one.method} {path}", f"{one.path} {one.body}"))
    return found


def doubled(writes: Writes) -> list[str]:
    """Writes that were made twice: the same once more, or of two that follow each other at one
    place where the other may come back (a status).
    """
    places: dict[str, list[str]] = defaultdict(list)
    for kind, exactly in writes:
        place = exactly.split(" ")[0] if BY_TIMING.search(kind) else "anywhere"
        places[f"{kind} {place}"].append(exactly)
    found = []
    for place, these in places.items():
        if place.endswith("anywhere"):
            found += [one for one, count in Counter(these).items() if count > 1]
        elif "git-" not in place:
            found += [new for old, new in pairwise(these) if old == new]
    return [one[:200] for one in found]


@dataclass
class Rounds:
    """Releases, each with a pull request beside it whose preview comes and goes."""

    world: Any
    people: Any
    done: int = 0

    def one(self) -> None:
        """Ship a release, and a preview."""
        from environments.models import Preview

        hub, branch = self.world.github, f"beside-{self.done}"
        hub.git.move(f"refs/heads/{branch}", hub.heads()["staging"])
        hub.push_commit(branch, {f"frontend/{branch}.txt": "1"}, f"Begin {branch}")
        number = hub.open_pull(branch, "staging", f"Feature {branch}")

        def state(wanted: str) -> bool:
            return Preview.objects.filter(number=number, state=wanted).exists()

        self.people._wait(lambda: state("live"), f"the preview of #{number}")
        self.people.ship()
        hub.close_pull(number)
        self.people._wait(lambda: state("gone"), f"the preview of #{number} to go")
        self.done += 1


Table = list[tuple[str, float, float]]


def compared(before: Writes, rounds: int, after: Writes, more: int) -> Table:
    """Kind of write, how often an undisturbed release makes it, and how often a disturbed one."""
    one, other = (Counter(kind for kind, _ in writes) for writes in (before, after))
    return [(kind, one[kind] / rounds, other[kind] / more) for kind in sorted(one | other)]


def findings(world: Any, people: Any, table: Table, writes: Writes) -> Any:
    """Everything that breaks a promise, by promise."""
    from tests.faults import kills

    exact = [row for row in table if not BY_TIMING.search(row[0])]
    missing = [f"{kind}: {was:g} each, now {now:g}" for kind, was, now in exact if now < was]
    missing += [kind for kind, was, now in table if was and not now]
    more = [f"{kind}: {was:g} each, now {now:g}" for kind, was, now in exact if now > was]
    return {"writes doubled": [*doubled(writes), *more], "writes lost": missing} | kills.findings(
        world, people
    )


def shipped(world: Any, hosts: list[Host], faults: int, seed: int, quiet: int) -> tuple[Any, ...]:
    """Ship `quiet` releases undisturbed, then others until `faults` have struck."""
    from environments.models import Project
    from tests.faults.releasing import People

    for pull in [one for one in world.github.state["pulls"] if one["state"] == "open"]:
        world.github.close_pull(pull["number"])
    world.railway.set_knobs(cooldown=0)
    lift_allowances(world)
    Project.objects.update(previews=True, preview_limit=1000)
    people = People(world)
    rounds = Rounds(world, people)
    for _ in range(quiet):
        rounds.one()
    before, began = writes_of(world), time.time()
    trouble = Trouble(hosts, faults, random.Random(seed))
    thread = threading.Thread(target=trouble.run)
    thread.start()
    try:
        while trouble.left > 0 or rounds.done == quiet:
            rounds.one()
    finally:
        trouble.stopped.set()
        thread.join()
    after = writes_of(world, began)
    return people, trouble, compared(before, quiet, after, rounds.done - quiet), before + after


def main(faults: int = 60, count: int = 3, seed: int = 20266) -> int:
    """Print what struck where, the writes of both kinds of release and what broke; 0 if nothing."""
    separate = os.geteuid() == 0 and own_network()
    if separate:  # in this network nobody else is
        from portal.server import embedded_postgres

        embedded_postgres.SETTINGS = (*embedded_postgres.SETTINGS, "listen_addresses=*")
    from tests.scratch import scratch_database

    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="portal-hosts-") as directory,
        scratch_database(),
        world_of_its_own() as world,
    ):
        if separate:
            let_hosts_in()
        with several(count, Path(directory), world, separate=separate) as hosts:
            people, trouble, table, writes = shipped(world, hosts, faults, seed, quiet=2)
        found = findings(world, people, table, writes)
    where = "network namespaces" if separate else "gates on one network (no namespaces here)"
    print(f"{count} worker hosts in {where}, seed {seed}, {time.monotonic() - started:.0f} s")
    for name, hits in sorted(trouble.hits.items()):
        print(f"  {hits:5}  {name}")
    print(f"  {len(people.released):5}  releases; a person was asked {people.repairs} times")
    print(f"  {'write':60} {'undisturbed':>12} {'disturbed':>10}   (a release)")
    for kind, was, now in table:
        print(f"  {kind[:60]:60} {was:12.2f} {now:10.2f}")
    for promise, broken in found.items():
        print(f"  {len(broken):5}  {promise}")
        for line in broken[:10]:
            print(f"         {line}")
    return 1 if any(found.values()) else 0


def let_hosts_in() -> None:
    """Have PostgreSQL take the hosts' connections."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("select setting from pg_settings where name = 'hba_file'")
        with Path(cursor.fetchone()[0]).open("a") as file:
            file.write("host all all 10.231.0.0/16 scram-sha-256\n")
        cursor.execute("select pg_reload_conf()")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    sys.exit(main(*map(int, sys.argv[1:])))
