"""What a gate says, and what all gates share."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from releases.gates.context import Facts
from releases.models.promotion import PromotionStep

PASS, FAIL, PENDING, ATTEST = "pass", "fail", "pending", "attest"


@dataclass(frozen=True)
class Result:
    """What a gate says: its state, one sentence for people, its evidence line by line, and how
    old that is.
    """

    state: str
    sentence: str
    evidence: tuple[tuple[str, str], ...] = ()
    seen_at: datetime | None = None

    @property
    def passed(self) -> bool:
        return self.state == PASS


def step_of(facts: Facts, name: str) -> PromotionStep | None:
    """Return the newest promotion's step of that name."""
    return next((step for step in facts.steps if step.name == name), None)


def outdated(facts: Facts, source: str, seen_at: datetime | None, problem: str) -> Result | None:
    """Return the `pending` answer when what we know of `source` is missing or too old to prove
    anything.
    """
    if seen_at is None:
        return Result(PENDING, problem or f"Reading {source} for the first time.")
    if seen_at < facts.fresh_since:
        # The moment, not the minutes since: the sentence is posted to GitHub each time it changes.
        message = f"Reading {source}: what is known is of {clock(seen_at)}."
        return Result(PENDING, problem or message, (), seen_at)
    return None


def clock(at: datetime) -> str:
    """Return “14:05 UTC”."""
    return f"{at.astimezone(UTC):%H:%M} UTC"


def and_(names: Iterable[str]) -> str:
    """Return “a”, “a and b”, “a, b and c”."""
    listed = list(names)
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
