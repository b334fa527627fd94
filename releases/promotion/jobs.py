"""The job of a promotion."""

from datetime import datetime

from portal.jobs import Outcome
from releases.models.promotion import Promotion
from releases.promotion import steps as promotion_steps


def promote(job: Promotion, *, now: datetime) -> Outcome:
    """Let the promotion's current step look once; see `releases.promotion.steps`."""
    return promotion_steps.advance(job, now=now)
