"""The jobs of rollbacks and of their assessment."""

from datetime import datetime

from portal.jobs import Outcome
from releases.models import Rollback, RollbackAssessment
from releases.rollback import assessment as rollback_assessment
from releases.rollback import steps as rollback_steps


def roll_back(job: Rollback, *, now: datetime) -> Outcome:
    """Let the rollback's current step look once; see `releases.rollback.steps`."""
    return rollback_steps.advance(job, now=now)


def assess(job: RollbackAssessment, *, now: datetime) -> Outcome:
    """Look once at the way back from a release; see `releases.rollback.assessment`."""
    return rollback_assessment.look(job, now=now)
