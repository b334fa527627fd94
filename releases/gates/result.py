"""What a gate says, and what all gates share."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from releases.gates.context import Facts
from releases.models.promotion import PromotionStep

PASS, FAIL, PENDING, ATTEST = "pass", "fail", "pending", "attest"


@dataclass(frozen=True)
class Result:
    """What a gate says: state, one sentence for people, evidence line by line, how old that is."""

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


def outdated(facts: Facts, source: Literal["GitHub", "Railway"]) -> Result | None:
    """Return the `pending` answer when what we know of `source` is missing or too old."""
    if source == "GitHub":
        seen_at, problem = facts.github_seen_at, facts.github_problem
    else:
        seen_at, problem = facts.railway_seen_at, facts.railway_problem
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
