"""The register of health checks: a new one is a function with `@check` in a module of
HEALTH_CHECKS.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.conf import settings

from portal.registry import Registry

log = logging.getLogger(__name__)


class State(StrEnum):
    """The state of one check, best first."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    FAILING = "failing"


@dataclass(frozen=True)
class Result:
    """The outcome of one look.

    `subject`: a project, process or credential; `value`: in the check's unit.
    """

    state: State
    sentence: str
    subject: str = ""
    value: float | None = None
    scope: str = ""  # slug of the project, where the subject belongs to one
    confirmed: bool = False  # whoever found it looked twice: announced without a second look


Function = Callable[[datetime], Iterable[Result]]


@dataclass(frozen=True)
class Check:
    """`needed`: the web server is of no use without it; `unit`: as Prometheus spells it."""

    name: str
    label: str
    function: Function
    needed: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Reading:
    """One check with one of its results."""

    check: Check
    result: Result


CHECKS: Registry[Check] = Registry(lambda: settings.HEALTH_CHECKS)


def check(label: str, *, needed: bool = False, unit: str = "") -> Callable[[Function], Function]:
    """Register the decorated function (`now` → results) as a check, under its own name."""

    def register(function: Function) -> Function:
        name = function.__name__
        CHECKS.add(name, Check(name, label, function, needed, unit))
        return function

    return register


def all_checks() -> list[Check]:
    """Return every check of HEALTH_CHECKS, the needed ones first."""
    return sorted(CHECKS.values(), key=lambda check: not check.needed)


def run(now: datetime) -> list[Reading]:
    """Run every check; once a needed one fails, the rest is unknown: it would ask the same
    database.
    """
    readings: list[Reading] = []
    unknown = Result(State.UNKNOWN, "Not checked while the database is not usable.")
    for check in all_checks():
        usable = worst(readings, needed=True) is not State.FAILING
        results = _results(check, now) if usable else [unknown]
        readings += (Reading(check, result) for result in results)
    return readings


def _results(check: Check, now: datetime) -> list[Result]:
    try:
        return list(check.function(now))
    except Exception:
        log.exception("The health check %s broke", check.name)
        return [Result(State.UNKNOWN, f"{check.label}: the check itself failed; see the log.")]


def worst(readings: Iterable[Reading], *, needed: bool = False) -> State:
    """Return the worst state of all readings, or of those that the web server needs."""
    order = list(State)
    states = [reading.result.state for reading in readings if reading.check.needed or not needed]
    return max(states, key=order.index, default=State.OK)


def span(seconds: float) -> str:
    """Return a time in minutes, a short one in seconds."""
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
