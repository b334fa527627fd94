"""The values of the rollback panel, and what follows from them."""

from dataclasses import dataclass, field
from datetime import datetime

from environments.models import Rehearsal
from environments.schema.downgrade.compatibility import DOWNGRADE_FIRST, SAFE
from portal.jobs import OPEN, STOPPED
from portal.outbound.parsing import JsonObject
from releases.models import (
    Downgrade,
    Rollback,
    RollbackApproval,
    RollbackAssessment,
    RollbackStep,
    StepStatus,
)


@dataclass(frozen=True)
class ServiceRow:
    """One service as the assessment saw it."""

    name: str
    state: str
    sentence: str
    serves: str
    commit: str
    deployment: str
    until: datetime | None
    until_known: bool
    at_start: str
    at_start_known: bool
    variables: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class DowngradePanel:
    """The downgrade of one revision that would come next, and how far people are with it."""

    file: dict[str, str]
    target: str
    database: str
    losses: list[JsonObject]
    unsure: str
    sql: str
    content: str
    rehearsal: Rehearsal | None  # the newest one of it
    rehearsed: bool  # it passed, is of exactly this, and is fresh


@dataclass(frozen=True)
class RollbackPanel:
    """The whole rollback panel."""

    assessment: RollbackAssessment | None = None
    tone: str = "wait"
    outdated: str = ""  # why the assessment is not of now
    services: tuple[ServiceRow, ...] = ()
    job: Rollback | None = None
    steps: tuple[RollbackStep, ...] = ()
    approvals: tuple[tuple[RollbackApproval, bool], ...] = ()
    waits: bool = False  # for an approval
    stopped: RollbackStep | None = None
    back: DowngradePanel | None = None
    request: Downgrade | None = None
    downgrades: tuple[Downgrade, ...] = field(default=())
    can_ask: bool = False
    why_not: str = ""
    note: str = ""  # why there is no verdict

    @property
    def verdict(self) -> str:
        """What the pill says: no verdict that something has overtaken."""
        return "updating" if self.outdated else self.assessment.verdict if self.assessment else ""

    @property
    def done(self) -> int:
        """How many steps are behind."""
        return sum(step.status in (StepStatus.DONE, StepStatus.SKIPPED) for step in self.steps)

    @property
    def database_first(self) -> bool:
        """Whether the downgrade comes before the rollback."""
        return self.assessment is not None and self.assessment.verdict == DOWNGRADE_FIRST

    @property
    def is_going_on(self) -> bool:
        """Whether a rollback waits, runs or stopped, so that it is what people deal with."""
        return self.job is not None and self.job.status in (*OPEN, *STOPPED)

    @property
    def is_quiet(self) -> bool:
        """Whether nobody needs the downgrade or is at work on it."""
        busy = self.request or self.downgrades or (self.back and self.back.rehearsal)
        return bool(
            self.assessment and self.assessment.verdict == SAFE and not busy and not self.outdated
        )

    @property
    def is_busy(self) -> bool:
        """Whether something moves, so that the page looks often."""
        rehearsing = (
            self.back is not None
            and self.back.rehearsal is not None
            and self.back.rehearsal.is_open
        )
        running = any(
            downgrade.run is not None and downgrade.run.is_open for downgrade in self.downgrades
        )
        return bool(self.job and self.job.is_open) or rehearsing or running or bool(self.outdated)
