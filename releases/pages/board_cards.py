"""One project on the board: what it serves, and how its release stands."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from environments.models import EnvironmentDatabase, Project, ServiceInstance
from environments.services.liveness import Live
from releases.github_mirror.relation import Relation
from releases.models.freezes import Freeze
from releases.models.promotion import Promotion
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release
from releases.rollback.rolled_back import RolledBack


@dataclass(frozen=True)
class Serving:
    """One commit that services of an environment serve; `state` is pass, wait or fail."""

    services: tuple[str, ...]
    commit: str
    state: str
    words: str = ""


@dataclass
class CardStatus:
    """A release with its promotion and its status: state, the words of the pill, one sentence."""

    release: Any
    promotion: Promotion | None = None
    state: str = "wait"
    words: str = ""
    sentence: str = ""


@dataclass
class Card:
    """One project on the board."""

    project: Project
    staging_head: str = ""
    production_head: str = ""
    release: Any = None  # the one in preparation or still looked at, with its `pull_count`
    newest: Release | None = None  # the last that was merged, also if it was rolled back
    shipped: Release | None = None
    lives: list[Live] = field(default_factory=list)  # of production
    rolled: RolledBack | None = None
    relation: Relation | None = None  # of both branches; None: not read yet
    promotion: Promotion | None = None
    hotfix: CardStatus | None = None
    pulls: list[PullRequest] = field(
        default_factory=list
    )  # open ones straight into production, not cut yet
    staging: tuple[Serving, ...] = ()
    production: tuple[Serving, ...] = ()
    instances: list[ServiceInstance] = field(default_factory=list)
    databases: dict[str, list[EnvironmentDatabase]] = field(
        default_factory=lambda: defaultdict(list)
    )
    findings: int = 0
    changes: int = 0  # of its configuration, waiting for a second person
    freeze: Freeze | None = None
    tested: bool = True  # whether a smoke test is configured
    proposals: list[tuple[str, str]] = field(
        default_factory=list
    )  # service and path that Railway checks anyway
    problems: list[str] = field(default_factory=list)
    synced_at: datetime | None = None
    stale: bool = False
    state: str = "pass"
    words: str = ""
    sentence: str = ""
    can_cut: bool = False
    may_cut: bool = False

    @property
    def level(self) -> bool:
        """Whether both branches are at the same commit."""
        return bool(self.staging_head) and self.staging_head == self.production_head

    @property
    def compared(self) -> str:
        """How staging stands to main, in words."""
        staging, main = self.project.staging_branch, self.project.production_branch
        return self.relation.words(staging, main) if self.relation else f"comparing with {main}…"

    @property
    def brings(self) -> bool:
        """Whether staging may have content that main lacks; the action asks again."""
        known = self.relation
        return not self.level and (known is None or known.brings)
