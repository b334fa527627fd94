"""A day of 1 to 1,000 projects under GitHub's and Railway's quotas, by a simulated clock.

`python -m tests.bench.sizes [PROJECTS …]`. How far two readings are apart is decided by the
portal's own code (`environments.quota.fairness`, and the shares of `allowance`); what a reading
costs is measured first, in one simulated hour of one project against the stand-ins. Prints
staleness, calls and time of the database. Exit status 1 when a quota is overrun, or when a project
was read less than a fifth as often as its equal; where projects with a release are older than gates
allow, it says so, and where the promotions of a day alone need more than a quota has: not usable.
"""

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import heapq
import random
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from environments.quota import fairness
from environments.quota.allowance import KEPT_FOR_PEOPLE
from environments.quota.fairness import Budget, Sharers
from tests.bench import railway_calls

SIZES = (1, 10, 100, 1000)
DAY = 24 * 3600.0
RELEASE_SECONDS = 3600.0  # a release is in preparation once a day, for so long
PROMOTION_CALLS = 60  # of each service, in the minutes after: they wait for nobody
FRESH_SECONDS = 120.0  # what a gate takes (`releases.gates.context`)
WORKERS = 2  # processes, as WORKERS says


@dataclass(frozen=True)
class Service:
    """One vendor: requests an hour, seconds between two readings, and calls of one."""

    name: str
    hourly: int
    watched: float
    idle: float
    calls: float
    worker_seconds: float


@dataclass
class Day:
    """What came of it."""

    gaps: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    readings: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    all: int = 0
    calls: float = 0.0
    most_in_an_hour: float = 0.0
    waited: int = 0  # readings that found too little left, and waited for the next hour


def simulate(service: Service, projects: int, *, seed: int = 1) -> Day:
    """A day of readings of one service; each starts when it is due."""
    dice, day = random.Random(seed), Day()
    releases = [dice.uniform(0, DAY - RELEASE_SECONDS) for _ in range(projects)]
    events = [(dice.uniform(0, service.idle), number) for number in range(projects)]
    events += [(begin, ~number) for number, begin in enumerate(releases)]  # a release wakes it
    heapq.heapify(events)
    last: dict[int, float] = {}
    due = {number: at for at, number in events if number >= 0}
    watched_until = [begin + RELEASE_SECONDS for begin in releases]
    hour, used, kept = 0.0, 0.0, service.hourly * KEPT_FOR_PEOPLE
    while events and events[0][0] < DAY:
        now, number = heapq.heappop(events)
        if now >= hour + 3600:
            day.most_in_an_hour = max(day.most_in_an_hour, used)
            hour, used = now - now % 3600, 0.0
        if number < 0:
            number = ~number
            used += min(PROMOTION_CALLS, max(0.0, service.hourly - used))  # the rest waits
        elif due[number] != now:
            continue  # it was woken meanwhile
        if service.hourly - used < kept:
            day.waited += 1
            usable = service.hourly - kept
            due[number] = hour + 3600 + fairness.spread(number, Sharers(0, projects), usable)
        else:
            used += service.calls
            day.calls += service.calls
            is_watched = releases[number] <= now < watched_until[number]
            if number in last and now > 3600:  # after an hour to come to rest
                day.gaps[is_watched].append(now - last[number])
            last[number] = now
            day.readings[number] += not is_watched
            day.all += 1
            watched = sum(begin <= now < begin + RELEASE_SECONDS for begin in releases)
            due[number] = now + fairness.pause(
                Sharers(watched, projects - watched),
                Budget(service.hourly - used - kept, hour + 3600 - now, service.hourly - kept),
                watched=is_watched,
                base=service.watched if is_watched else service.idle,
            )
        heapq.heappush(events, (due[number], number))
    day.most_in_an_hour = max(day.most_in_an_hour, used)
    return day


@dataclass(frozen=True)
class Cost:
    """Of one project in an hour in which nobody works on it."""

    railway: float
    github: float
    queries: float
    database_seconds: float
    worker_seconds: float


def measured(minutes: float = 20) -> Cost:
    """Run one project against the stand-ins for `minutes` of simulated time."""
    spent: list[float] = []

    def timed(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            spent.append(time.perf_counter() - started)

    with scratch_database(), railway_calls.scene("idle") as world:
        railway_calls._wait(world, minutes=10)
        before = len(world.github_server.requests), len(world.railway_server.requests)
        started = time.process_time()
        with connection.execute_wrapper(timed):
            railway_calls._wait(world, minutes=minutes)
        used = time.process_time() - started
        asked = [one.path for one in world.github_server.requests[before[0] :]]
        github = sum(".git/" not in path for path in asked)  # git itself has no such quota
        railway = len(world.railway_server.requests) - before[1]
    an_hour = 60 / minutes
    return Cost(
        railway * an_hour, github * an_hour, len(spent) * an_hour, sum(spent) * an_hour,
        used * an_hour,
    )  # fmt: skip


def services_of(cost: Cost, railway_plan: int) -> tuple[Service, ...]:
    """GitHub with one token, and Railway on a plan; calls of a reading as measured."""
    github, railway = cost.github / 120, cost.railway / 60
    seconds = cost.worker_seconds / 180
    return (
        Service("GitHub, a token", 5000, 30.0, 30.0, max(1.0, github), seconds),
        Service(
            f"Railway, {railway_plan:,}/h", railway_plan, 60.0, 60.0, max(1.0, railway), seconds
        ),
    )


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of them lie; 0 for none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def report(service: Service, projects: int, day: Day) -> bool:
    """Print a line; return whether what is promised held."""
    idle, watched = day.gaps[False], day.gaps[True]
    least, most = min(day.readings.values()), max(day.readings.values())
    fair = least >= 0.2 * most
    within = day.most_in_an_hour <= service.hourly * 1.02
    fresh = percentile(watched, 0.99) <= FRESH_SECONDS
    usable = PROMOTION_CALLS * projects <= service.hourly * DAY / 3600
    said = "   BROKEN" if usable and not (fair and within) else ""
    said += "" if fresh else "   releases wait" if usable else "   not usable"
    busy = day.all * service.worker_seconds / DAY / WORKERS
    print(
        f"  {service.name:18} {projects:5} {percentile(idle, 0.5):8.0f}"
        f" {percentile(idle, 0.99):8.0f}"
        f" {percentile(watched, 0.5):9.0f} {percentile(watched, 0.99):8.0f} {day.calls / 24:9.0f}"
        f" {day.most_in_an_hour / service.hourly:6.0%} {least / most:7.2f} {busy:8.1%}"
        f"{said}",
        flush=True,
    )
    return not usable or (fair and within)


def main(*sizes: int) -> int:
    """Print the table; return the exit status."""
    cost = measured()
    print(
        f"One idle project in an hour: {cost.github:.0f} calls of GitHub, {cost.railway:.0f} of"
        f" Railway, {cost.queries:.0f} queries in {cost.database_seconds:.1f} s, and"
        f" {cost.worker_seconds:.1f} s of a worker's processor."
    )
    print(
        "  service         projects  idle p50      p99   release p50    p99   calls/h   most"
        " evenness  workers   (seconds between two readings)"
    )
    held = True
    for projects in sizes or SIZES:
        for service in (*services_of(cost, 1000), services_of(cost, 10_000)[1]):
            held &= report(service, projects, simulate(service, projects))
        share = cost.database_seconds * projects / 3600
        print(f"  {'':18} {projects:5} database time at full pace: {share:.1%} of a connection")
    print("held" if held else "missed")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
