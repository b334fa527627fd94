"""Everything the gates and the release page look at, read from our rows in a fixed number of
queries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils import timezone

from environments.databases.permission import APPROVE
from environments.finding_kinds.registry import beside
from environments.github import MergeRules, merging
from environments.models import (
    Environment,
    EnvironmentKind,
    Finding,
    MigrationRun,
    Project,
    ServiceInstance,
)
from environments.services.liveness import Live, lives_of
from portal.configuration.signing import signers
from portal.outbound.parsing import JsonObject
from portal.prepared_queries import prepared
from releases.gates.databases import DatabaseFacts
from releases.gates.release_queryset import ReadRelease, release_queryset
from releases.gates.staged import databases_of
from releases.gates.staging_smoke import AskedTest, about, tests_of
from releases.models.approvals import Approval
from releases.models.checklist import ChecklistItem
from releases.models.promotion import Promotion, PromotionStep
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release
from releases.models.staging_smoke import StagingSmoke


@dataclass(frozen=True)
class Facts:
    """A release and the world around it, as our rows know it at `now`."""

    now: datetime
    release: ReadRelease
    project: Project
    items: tuple[ChecklistItem, ...] = ()
    staging_head: str = ""
    production_head: str = ""
    github_seen_at: datetime | None = None
    github_problem: str = ""
    renamed_to: str = ""  # what GitHub calls the repository now, if not as set
    railway_seen_at: datetime | None = None
    railway_problem: str = ""
    reconciler_problem: str = ""
    verdict_problem: str = ""  # why GitHub does not hold the verdict
    promotion_pull: PullRequest | None = None
    required_contexts: tuple[str, ...] | None = None
    merge_rules: MergeRules | None = None  # of production's branch; None: not known
    staging_rules: MergeRules | None = None
    rules_doubted: bool = False  # whether GitHub's last answer demanded less, and is asked again
    staging_closed: bool | None = None  # to the portal's own fast-forward; None: not known
    environments: Mapping[str, Environment] = field(default_factory=dict)
    live: Mapping[str, tuple[Live, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    beside: tuple[Finding, ...] = ()  # what is open and does not stop a release
    databases: tuple[DatabaseFacts, ...] = ()
    pulls: tuple[PullRequest, ...] = ()
    approvals: tuple[Approval, ...] = ()
    freeze: str = ""
    promotion: Promotion | None = None
    steps: tuple[PromotionStep, ...] = ()
    staging_tests: tuple[AskedTest, ...] = ()
    smoked: StagingSmoke | None = None
    was_rolled_back: bool = False  # whether any release of the project ever was

    @property
    def in_staging(self) -> tuple[Live, ...]:
        """What each service serves in staging."""
        return self.live.get(EnvironmentKind.STAGING, ())

    @property
    def in_production(self) -> tuple[Live, ...]:
        """What each service serves in production."""
        return self.live.get(EnvironmentKind.PRODUCTION, ())

    @property
    def smoke_about(self) -> str:
        """What an answer of staging's smoke tests would be about now; older ones prove nothing."""
        services = {test.service for test in self.staging_tests}
        deployments = [
            deployment.railway_id
            for live in self.in_staging
            if live.service in services
            for deployment in live.active
        ]
        run = next((run.pk for run in self.runs if run.status == "succeeded"), None)
        return about(self.release.candidate, deployments, run, self.staging_tests)

    @property
    def fresh_since(self) -> datetime:
        """Rows seen before this are too old to prove anything."""
        return self.now - timedelta(seconds=max(120, 4 * settings.SYNC_SECONDS))

    @property
    def runs(self) -> tuple[MigrationRun, ...]:
        """Staging's newest runs of every database, newest first."""
        all_runs = [run for database in self.databases for run in database.runs]
        return tuple(sorted(all_runs, key=lambda run: run.created_at, reverse=True))

    def staged_at(self) -> datetime | None:
        """Return when staging had run all revision files of the release; None: not all, or none."""
        brought = [database.staged_at() for database in self.databases if database.migrations]
        return None if None in brought else max(filter(None, brought), default=None)


_STEPS = (
    PromotionStep.objects.select_related("promotion__started_by", "migration_run")
    .defer("migration_run__log")
    .order_by("-promotion__created_at", "position")
)
INSTANCES = (
    ServiceInstance.objects.long_lived()
    .select_related("environment", "service")
    .defer("environment__variables_known")  # of every variable, in each row
)


@prepared
def _release(pk: int) -> QuerySet[Release]:
    return release_queryset().filter(pk=pk)


@prepared
def _items(release: int) -> QuerySet[ChecklistItem]:
    return ChecklistItem.objects.filter(release=release).select_related("ticked_by")


@prepared
def _findings(project: int) -> QuerySet[Finding]:
    return Finding.objects.open().filter(project=project)


@prepared
def _given(release: int) -> QuerySet[Any]:
    return Approval.objects.filter(release=release).select_related("user")


@prepared
def _signers() -> QuerySet[User]:
    return signers(APPROVE).order_by().only("pk")


@prepared
def _instances(project: int) -> QuerySet[ServiceInstance]:
    return INSTANCES.filter(environment__project=project)


@prepared
def _pulls_of(release: int, project: int, promotion: int) -> QuerySet[PullRequest]:
    """Return those that the release collected, and its promotion pull request; newest first."""
    collected = Release.pull_requests.through.objects.filter(release=release).values("pullrequest")
    shown = Q(pk__in=collected) | Q(number=promotion)
    return PullRequest.objects.filter(shown, project=project)


def _newest_promotion(release: ReadRelease) -> tuple[Promotion | None, tuple[PromotionStep, ...]]:
    """Return the newest promotion with its steps; one query, none where there was no promotion."""
    steps = _STEPS.filter(promotion__release=release)[:10] if release.was_promoted else ()
    if not steps:
        return None, ()
    newest = steps[0].promotion
    return newest, tuple(step for step in steps if step.promotion_id == newest.pk)


def gather(release: ReadRelease, *, now: datetime | None = None) -> Facts:
    """Return the facts around `release`, which must come from `release_queryset`.

    Ten queries whatever the counts, and one more where somebody has signed for anything.
    """
    project = release.project
    approvals = _approvals(release)
    environments, live = _live(project)
    pulls = _pulls(release)
    promotion, steps = _newest_promotion(release)
    findings, apart = _findings(project.pk), beside()
    return Facts(
        now=now or timezone.now(),
        release=release,
        project=project,
        items=_checklist(release),
        **_branches(release),
        github_seen_at=release.github_seen_at,
        github_problem=release.github_problem or "",
        renamed_to=project.renamed_to,
        railway_seen_at=release.railway_seen_at,
        railway_problem=release.railway_problem or "",
        reconciler_problem=release.reconciler_problem or "",
        verdict_problem=release.verdict_problem or "",
        promotion_pull=next((pull for pull in pulls if pull.number == release.pull_number), None),
        pulls=tuple(pull for pull in pulls if pull.number != release.pull_number),
        staging_closed=release.staging_closed,
        environments=environments,
        live=live,
        findings=tuple(finding for finding in findings if finding.kind not in apart),
        beside=tuple(finding for finding in findings if finding.kind in apart),
        databases=databases_of(release),
        approvals=approvals,
        freeze=release.freeze_reason or "",
        promotion=promotion,
        steps=steps,
        staging_tests=tests_of(release.staging_tests),
        smoked=getattr(release, "staging_smoke", None),
        was_rolled_back=release.was_rolled_back,
    )


def _branches(release: ReadRelease) -> dict[str, Any]:
    """Return what is known of both long-lived branches, and nothing of one that was not read."""
    known = {row["name"]: row for row in release.branch_rows}
    staging = known.get(release.project.staging_branch, {})
    production = known.get(release.project.production_branch, {})
    both = production.get("merge_rules"), staging.get("merge_rules")
    return {
        "staging_head": staging.get("head", ""),
        "production_head": production.get("head", ""),
        "required_contexts": _required(release.project, production.get("required_contexts")),
        "merge_rules": _rules(both[0]),
        "staging_rules": _rules(both[1]),
        "rules_doubted": any(map(merging.is_doubted, both)),
    }


def _checklist(release: ReadRelease) -> tuple[ChecklistItem, ...]:
    items = _items(release.pk)
    for item in items:
        item.release = release
    return tuple(items)


def _approvals(release: ReadRelease) -> tuple[Approval, ...]:
    """Return every approval of the release; `giver_may`: whether its giver's signature counts now.

    Notes at the release whose signatures count, for its acceptances too: to look for each row's
    giver costs far more.
    """
    given = tuple(_given(release.pk))
    signed = bool(given or release.accepted_rows)
    release.signers = {user.pk for user in _signers()} if signed else set()
    for approval in given:
        approval.release = release
        approval.giver_may = approval.user_id in release.signers
    return given


def facts_of(release_pk: int, *, now: datetime | None = None) -> Facts:
    """Return what `gather` returns, for a primary key."""
    rows = _release(release_pk)
    if not rows:
        raise Release.DoesNotExist
    return gather(rows[0], now=now)


def _required(project: Project, contexts: list[str] | None) -> tuple[str, ...] | None:
    """Return the checks that must be green, besides our own; None: the rules were not read."""
    if contexts is None:
        return None
    names = dict.fromkeys([*contexts, *project.required_checks])
    return tuple(name for name in names if name != settings.STATUS_CONTEXT)


def _rules(kept: JsonObject | None) -> MergeRules | None:
    return None if kept is None else merging.from_json(kept)


def _pulls(release: ReadRelease) -> list[PullRequest]:
    """Return the promotion pull request and those that the release collected, newest first."""
    return _pulls_of(release.pk, release.project_id, release.pull_number or 0)


def _live(project: Project) -> tuple[dict[str, Environment], dict[str, tuple[Live, ...]]]:
    environments: dict[str, Environment] = {}
    services: dict[str, tuple[Live, ...]] = {}
    instances = _instances(project.pk)
    for live in lives_of(instances, project.repository):
        kind = live.instance.environment.kind
        environments[kind] = live.instance.environment
        services[kind] = (*services.get(kind, ()), live)
    return environments, services
