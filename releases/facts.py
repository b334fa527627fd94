"""Everything the gates and the release page look at, read from our rows in a fixed number of queries."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from environments.coherence import BESIDE
from environments.live import Live, live_of
from environments.models import (
    Branch,
    Deployment,
    Environment,
    Finding,
    MigrationRun,
    Project,
    ServiceInstance,
    StagedRevision,
)
from environments.schema.plan import rendered_from_json
from releases.compared import Staged
from releases.models import Approval, ChecklistItem, Freeze, Promotion, PromotionStep, PullRequest, Release
from releases.planned import Planned, annotations, planned_of
from releases.rehearsed import Rehearsed, rehearsed_of, rows


@dataclass(frozen=True)
class Facts:
    """A release and the world around it, as our rows know it at `now`."""

    now: datetime
    release: Release
    project: Project
    items: tuple[ChecklistItem, ...] = ()
    staging_head: str = ""
    production_head: str = ""
    github_seen_at: datetime | None = None
    github_problem: str = ""
    railway_seen_at: datetime | None = None
    railway_problem: str = ""
    upkeep_problem: str = ""
    promotion_pull: PullRequest | None = None
    required_contexts: tuple[str, ...] | None = None
    environments: Mapping[str, Environment] = field(default_factory=dict)
    live: Mapping[str, tuple[Live, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    beside: tuple[Finding, ...] = ()  # what is open and does not stop a release
    runs: tuple[MigrationRun, ...] = ()
    staged: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    staged_sql: Mapping[tuple[str, str], Staged] = field(default_factory=dict)
    ran_at: Mapping[str, str] = field(default_factory=dict)  # revision → the commit at which staging ran it last
    pulls: tuple[PullRequest, ...] = ()
    approvals: tuple[Approval, ...] = ()
    freeze: str = ""
    promotion: Promotion | None = None
    steps: tuple[PromotionStep, ...] = ()
    planned: Planned | None = None
    rehearsals: tuple[Rehearsed, ...] = ()

    @property
    def fresh_since(self) -> datetime:
        """Rows seen before this are too old to prove anything."""
        return self.now - timedelta(seconds=max(120, 4 * settings.SYNC_SECONDS))

    def staged_at(self) -> datetime | None:
        """When staging had run every revision file of the release; None while one is missing."""
        times = [self.staged.get((one["id"], one["sha256"])) for one in self.release.migrations]
        return None if None in times else max(filter(None, times), default=None)

    def edited_since_staged(self) -> list[str]:
        """Revision files of the release which staging ran with another content, and not with this one."""
        ran = {revision for revision, _ in self.staged}
        files = ((one["path"], one["id"], one["sha256"]) for one in self.release.migrations)
        return [path for path, id, sha256 in files if id in ran and (id, sha256) not in self.staged]


_STEPS = (
    PromotionStep.objects.select_related("promotion__started_by", "migration_run")
    .defer("migration_run__log")
    .order_by("-promotion__created_at", "position")
)
LONG_LIVED = ServiceInstance.objects.filter(
    environment__kind__in=["staging", "production"], environment__gone_at=None, service__gone_at=None
).select_related("environment", "service")
_DEPLOYMENTS = Deployment.objects.filter(Q(is_latest=True) | Q(is_active=True))
_RUNS = (
    MigrationRun.objects.filter(environment__kind="staging")
    .only("status", "commit", "target", "sentence", "created_at", "finished_at")
    .order_by(F("created_at").desc())
)


@functools.cache  # put together once: Django takes as long for that as PostgreSQL for the answer
def release_queryset() -> QuerySet[Any]:
    """Releases with what one query can bring along: project, times of the readings, branch heads, open freeze,
    plan and rehearsals of the migrations.

    Their commits, up to 500, are only read when asked for.
    """
    branch = Branch.objects.filter(project=OuterRef("project"))
    staging = branch.filter(name=OuterRef("project__staging_branch"))
    production = branch.filter(name=OuterRef("project__production_branch"))
    freeze = Freeze.objects.filter(project=OuterRef("project"), lifted_at=None)
    releases = Release.objects.select_related("project", "cut_by").defer("commits")
    return releases.annotate(
        staging_head=Subquery(staging.values("head")[:1]),
        production_head=Subquery(production.values("head")[:1]),
        production_contexts=Subquery(production.values("required_contexts")[:1]),
        freeze_reason=Subquery(freeze.values("reason")[:1]),
        github_seen_at=F("project__github_sync__synced_at"),
        github_problem=F("project__github_sync__problem"),
        railway_seen_at=F("project__railway_sync__synced_at"),
        railway_problem=F("project__railway_sync__problem"),
        upkeep_problem=F("upkeep__problem"),
        was_promoted=Exists(Promotion.objects.filter(release=OuterRef("pk"))),
        rehearsal_rows=rows("project", "candidate"),
        **annotations(),
    )


def gather(release: Any, *, now: datetime | None = None) -> Facts:
    """The facts around `release`, which must come from `release_queryset`. Ten queries, whatever the counts."""
    project = release.project
    environments, live = _live(project)
    pulls = _pulls(release)
    steps = tuple(_STEPS.filter(promotion__release=release)[:10]) if release.was_promoted else ()
    promotion = steps[0].promotion if steps else None
    findings = list(Finding.objects.filter(project=project, closed_at=None))
    planned = planned_of(release)
    staged = _staged(release, planned)
    return Facts(
        now=now or timezone.now(),
        release=release,
        project=project,
        items=tuple(release.items.select_related("ticked_by")),
        staging_head=release.staging_head or "",
        production_head=release.production_head or "",
        github_seen_at=release.github_seen_at,
        github_problem=release.github_problem or "",
        railway_seen_at=release.railway_seen_at,
        railway_problem=release.railway_problem or "",
        upkeep_problem=release.upkeep_problem or "",
        promotion_pull=next((one for one in pulls if one.number == release.pull_number), None),
        pulls=tuple(one for one in pulls if one.number != release.pull_number),
        required_contexts=_required(project, release.production_contexts),
        environments=environments,
        live=live,
        findings=tuple(one for one in findings if one.kind not in BESIDE),
        beside=tuple(one for one in findings if one.kind in BESIDE),
        runs=tuple(_RUNS.filter(environment__project=project)[:10]),
        staged={key: one.at for key, one in staged.items()},
        staged_sql=staged,
        ran_at={revision: one.commit for (revision, _), one in staged.items()},
        approvals=tuple(release.approvals.select_related("user")),
        freeze=release.freeze_reason or "",
        promotion=promotion,
        steps=tuple(step for step in steps if promotion and step.promotion_id == promotion.pk),
        planned=planned,
        rehearsals=rehearsed_of(release.rehearsal_rows),
    )


def facts_of(release_pk: int, *, now: datetime | None = None) -> Facts:
    """`gather` for a primary key."""
    return gather(release_queryset().get(pk=release_pk), now=now)


def _required(project: Project, contexts: list[str] | None) -> tuple[str, ...] | None:
    """Names of checks that must be green, besides our own; None when the branch rules could not be read."""
    if contexts is None:
        return None
    names = dict.fromkeys([*contexts, *project.required_checks])
    return tuple(name for name in names if name != settings.STATUS_CONTEXT)


def _pulls(release: Release) -> list[PullRequest]:
    """The promotion pull request and those that the release collected, newest first."""
    collected = release.pull_requests.through.objects.filter(release=release).values("pullrequest")
    mine = Q(pk__in=collected) | Q(number=release.pull_number or 0)
    return list(PullRequest.objects.filter(mine, project=release.project_id))


def _staged(release: Release, planned: Planned | None) -> dict[tuple[str, str], Staged]:
    """What staging ran of the release's revisions and of what production has still to run, oldest first."""
    wanted = {one["id"] for one in release.migrations} | {step.revision for step in (planned.steps if planned else ())}
    rows = StagedRevision.objects.filter(project=release.project_id, revision__in=wanted).order_by("pk")
    fields = ("revision", "sha256", "at", "rendered", "renderer", "run_id", "run__commit")
    return {
        (revision, sha256): Staged(at, commit, run, rendered_from_json(kept) if kept else None, renderer)
        for revision, sha256, at, kept, renderer, run, commit in rows.values_list(*fields)
    }


def _live(project: Project) -> tuple[dict[str, Environment], dict[str, tuple[Live, ...]]]:
    instances = list(LONG_LIVED.filter(environment__project=project))
    current: dict[int, list[Deployment]] = {}
    for deployment in _DEPLOYMENTS.filter(instance__in=[instance.pk for instance in instances]):
        current.setdefault(deployment.instance_id, []).append(deployment)
    environments: dict[str, Environment] = {}
    live: dict[str, tuple[Live, ...]] = {}
    for instance in instances:
        kind = instance.environment.kind
        environments[kind] = instance.environment
        one = live_of(instance, current.get(instance.pk, []), project.repository)
        live[kind] = (*live.get(kind, ()), one)
    return environments, live
