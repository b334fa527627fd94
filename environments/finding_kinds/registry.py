"""The register of kinds of findings.

A new kind is one file here that calls `kind`, and its line in `KINDS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from portal.registry import Registry, within


class Reading(Enum):
    """What opens findings of a kind, and closes them once it no longer sees them."""

    COMPARISON = auto()  # of rows, after each reading of Railway or GitHub
    PROTECTION = auto()  # of the rules of the branches
    NOTHING = auto()  # one event, written down once, which only a person closes


@dataclass(frozen=True)
class Situation:
    """Where a finding about a service is: what it should be and what is there."""

    instance: Any  # the service in its environment
    repository: str  # of the project
    wanted: str  # the branch that is expected there, "" for none
    head: str  # of the branch that the service follows, "" where it is not known


@dataclass(frozen=True)
class Repair:
    """What one click can have done: the URL's name, the button, and what will happen."""

    url: str
    label: str
    value: str  # what the person confirms
    question: str
    button: str


def _none(situation: Situation) -> None:
    return None


@dataclass(frozen=True)
class Kind:
    """A kind of finding.

    `blocks`: a release waits until it is closed or signed off. `sign_off`: some findings of this
    kind are about what no machine can see, and a person may sign for them. `repair`: what can be
    done about one by a click.
    """

    name: str
    label: str
    reading: Reading = Reading.COMPARISON
    blocks: bool = True
    sign_off: bool = False
    repair: Callable[[Situation], Repair | None] = _none

    @property
    def closes_itself(self) -> bool:
        """Return whether a finding ends, and opens again, with what a reading sees."""
        return self.reading is not Reading.NOTHING


KINDS: Registry[Kind] = Registry(
    within(
        "environments.finding_kinds",
        "deploying",
        "wiring",
        "variables",
        "schema",
        "migrating",
        "protection",
        "out_of_band",
    )
)


def kind(
    name: str,
    label: str,
    *,
    reading: Reading = Reading.COMPARISON,
    blocks: bool = True,
    sign_off: bool = False,
    repair: Callable[[Situation], Repair | None] = _none,
) -> str:
    """Register a kind and return its name; the arguments are those of `Kind`."""
    KINDS.add(name, Kind(name, label, reading, blocks, sign_off, repair))
    return name


def choices() -> list[tuple[str, str]]:
    """Return names and labels, for a field."""
    return [(kind.name, kind.label) for kind in KINDS.values()]


def of_reading(reading: Reading) -> list[str]:
    """Return the kinds that this reading opens and closes."""
    return [kind.name for kind in KINDS.values() if kind.reading is reading]


def beside() -> list[str]:
    """Return the kinds that are shown beside a release and do not stop it."""
    return [kind.name for kind in KINDS.values() if not kind.blocks]
