"""Everything the gates and the release page look at, read from our rows in a fixed number of
queries.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, Func, JSONField, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from environments.finding_kinds.registry import beside
from environments.github import MergeRules, merging
from environments.models import (
    Branch,
    BranchProtection,
    Deployment,
    Environment,
    EnvironmentKind,
    Finding,
    MigrationRun,
    Project,
    ServiceInstance,
    StagedRevision,
)
from environments.schema.plan.render import rendered_from_json
from environments.services.liveness import Live, live_of
from portal.configuration.signing import counts
from portal.outbound.parsing import JsonObject
from releases.gates.databases import DatabaseFacts, databases_in, heads_of, migrations_of, places_in
from releases.gates.databases import annotations as database_annotations
from releases.gates.plan import Planned, annotations, planned_of, with_unplanned
from releases.gates.rehearsal import rehearsed_of, rows
from releases.gates.sql_diff import Staged
from releases.gates.staging_smoke import Smoked, Test, about, tests, tests_of
from releases.models.approvals import Approval
from releases.models.checklist import ChecklistItem
from releases.models.freezes import Freeze
from releases.models.promotion import Promotion, PromotionStep
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release, ReleaseStatus

APPROVE = "releases.approve_release"


# A `Release` with the columns that `release_queryset` adds, which no type can hold.
type ReadRelease = Any


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
    staging_tests: tuple[Test, ...] = ()
    smoked: Smoked | None = None
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
        """What an answer of staging's smoke tests would be about now; an older answer proves
        nothing.
        """
        asked = {test.service for test in self.staging_tests}
        deployments = [
            one.railway_id
            for live in self.in_staging
            if live.service in asked
            for one in live.active
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
        found = [run for database in self.databases for run in database.runs]
        return tuple(sorted(found, key=lambda run: run.created_at, reverse=True))

    def staged_at(self) -> datetime | None:
        """When staging had run every revision file of the release; None while one is missing, or
        there is none.
        """
        brought = [database.staged_at() for database in self.databases if database.migrations]
        return None if None in brought else max(filter(None, brought), default=None)


_STEPS = (
    PromotionStep.objects.select_related("promotion__started_by", "migration_run")
    .defer("migration_run__log")
    .order_by("-promotion__created_at", "position")
)
INSTANCES = ServiceInstance.objects.long_lived().select_related("environment", "service")
_DEPLOYMENTS = Deployment.objects.filter(Q(is_latest=True) | Q(is_active=True))
_RUNS = (
    MigrationRun.objects.filter(environment__kind=EnvironmentKind.STAGING)
    .only("database_id", "status", "commit", "target", "sentence", "created_at", "finished_at")
    .order_by(F("created_at").desc())
)


@functools.cache  # put together once: Django takes as long for that as PostgreSQL for the answer
def release_queryset() -> QuerySet[Any]:
    """Releases with what one query can bring along: project, times of the readings, branch heads,
    open freeze, databases, plans and rehearsals of the migrations.

    Their commits, up to 500, are only read when asked for.
    """
    branch = Branch.objects.filter(project=OuterRef("project"))
    staging = branch.filter(name=OuterRef("project__staging_branch"))
    production = branch.filter(name=OuterRef("project__production_branch"))
    closed = BranchProtection.objects.filter(
        project=OuterRef("project"), branch=OuterRef("project__staging_branch")
    )
    freeze = Freeze.objects.filter(project=OuterRef("project"), lifted_at=None)
    releases = Release.objects.select_related("project", "cut_by", "staging_smoke").defer("commits")
    return releases.annotate(
        staging_head=Subquery(staging.values("head")[:1]),
        production_head=Subquery(production.values("head")[:1]),
        production_contexts=Subquery(production.values("required_contexts")[:1]),
        production_rules=Subquery(production.values("merge_rules")[:1]),
        staging_rules=Subquery(staging.values("merge_rules")[:1]),
        staging_closed=Subquery(closed.values("closed")[:1]),
        freeze_reason=Subquery(freeze.values("reason")[:1]),
        github_seen_at=F("project__github_sync__synced_at"),
        github_problem=F("project__github_sync__problem"),
        railway_seen_at=F("project__railway_sync__synced_at"),
        railway_problem=F("project__railway_sync__problem"),
        reconciler_problem=F("reconciler__problem"),
        verdict_problem=F("reconciler__verdict_problem"),
        was_promoted=Exists(Promotion.objects.filter(release=OuterRef("pk"))),
        was_rolled_back=Exists(
            Release.objects.filter(
                project=OuterRef("project"), status=ReleaseStatus.ROLLED_BACK
            ).exclude(merge_commit="")
        ),
        rehearsal_rows=rows("project", "candidate"),
        staging_tests=tests("project"),
        **annotations(),
        **database_annotations("project"),
    )


def gather(release: ReadRelease, *, now: datetime | None = None) -> Facts:
    """The facts around `release`, which must come from `release_queryset`.

    Ten queries, whatever the counts.
    """
    project = release.project
    environments, live = _live(project)
    pulls = _pulls(release)
    steps = tuple(_STEPS.filter(promotion__release=release)[:10]) if release.was_promoted else ()
    promotion = steps[0].promotion if steps else None
    findings, apart = list(Finding.objects.open().filter(project=project)), beside()
    return Facts(
        now=now or timezone.now(),
        release=release,
        project=project,
        items=tuple(release.items.select_related("ticked_by")),
        staging_head=release.staging_head or "",
        production_head=release.production_head or "",
        github_seen_at=release.github_seen_at,
        github_problem=release.github_problem or "",
        renamed_to=project.renamed_to,
        railway_seen_at=release.railway_seen_at,
        railway_problem=release.railway_problem or "",
        reconciler_problem=release.reconciler_problem or "",
        verdict_problem=release.verdict_problem or "",
        promotion_pull=next((pull for pull in pulls if pull.number == release.pull_number), None),
        pulls=tuple(pull for pull in pulls if pull.number != release.pull_number),
        required_contexts=_required(project, release.production_contexts),
        merge_rules=_rules(release.production_rules),
        staging_rules=_rules(release.staging_rules),
        rules_doubted=any(
            merging.is_doubted(kept) for kept in (release.production_rules, release.staging_rules)
        ),
        staging_closed=release.staging_closed,
        environments=environments,
        live=live,
        findings=tuple(finding for finding in findings if finding.kind not in apart),
        beside=tuple(finding for finding in findings if finding.kind in apart),
        databases=_databases(release, project),
        approvals=tuple(
            release.approvals.select_related("user").annotate(giver_may=counts(APPROVE))
        ),
        freeze=release.freeze_reason or "",
        promotion=promotion,
        steps=tuple(step for step in steps if promotion and step.promotion_id == promotion.pk),
        staging_tests=tests_of(release.staging_tests),
        smoked=_smoked(release),
        was_rolled_back=release.was_rolled_back,
    )


def _smoked(release: object) -> Smoked | None:
    job = getattr(release, "staging_smoke", None)
    return (
        Smoked(job.about, job.ok, job.asked_at, tuple(job.lines)) if job and job.asked_at else None
    )


def facts_of(release_pk: int, *, now: datetime | None = None) -> Facts:
    """`gather` for a primary key."""
    return gather(release_queryset().get(pk=release_pk), now=now)


def _required(project: Project, contexts: list[str] | None) -> tuple[str, ...] | None:
    """Names of checks that must be green, besides our own; None when the branch rules could not
    be read.
    """
    if contexts is None:
        return None
    names = dict.fromkeys([*contexts, *project.required_checks])
    return tuple(name for name in names if name != settings.STATUS_CONTEXT)


def _rules(kept: JsonObject | None) -> MergeRules | None:
    return None if kept is None else merging.from_json(kept)


def _pulls(release: ReadRelease) -> list[PullRequest]:
    """The promotion pull request and those that the release collected, newest first."""
    collected = release.pull_requests.through.objects.filter(release=release).values("pullrequest")
    mine = Q(pk__in=collected) | Q(number=release.pull_number or 0)
    return list(PullRequest.objects.filter(mine, project=release.project_id))


def _databases(release: ReadRelease, project: Project) -> tuple[DatabaseFacts, ...]:
    """The release as each database sees it. Two queries, none where there is no database."""
    databases = databases_in(release, project)
    if not databases:
        return ()
    plans, places = planned_of(release), places_in(release, databases)
    rehearsals = rehearsed_of(release.record.get("rehearsals", release.rehearsal_rows))
    runs = list(_RUNS.filter(environment__project=project)[: 10 * len(databases)])
    staged, names = _staged(release, plans), release.record.get("databases", {})
    return tuple(
        DatabaseFacts(
            database=database,
            called=names.get(str(database.pk), database.called),
            migrations=migrations_of(release, database, databases),
            heads=heads_of(release, database, databases),
            places=places[database.pk],
            runs=tuple(run for run in runs if run.database_id == database.pk)[:10],
            staged_sql=staged.get(database.pk, {}),
            planned=(
                with_unplanned(plans[database.pk], staged.get(database.pk, {}))
                if database.pk in plans
                else None
            ),
            rehearsals=tuple(row for row in rehearsals if row.database_id == database.pk),
        )
        for database in databases
    )


def _staged(
    release: ReadRelease, plans: Mapping[int, Planned]
) -> dict[int, dict[tuple[str, str], Staged]]:
    """What staging ran of the release's revisions and of what production has still to run: of
    each, oldest first.
    """
    wanted = {migration["id"] for migration in release.migrations}
    wanted |= {step.revision for plan in plans.values() for step in plan.steps}
    rows = StagedRevision.objects.filter(project=release.project_id, revision__in=wanted).order_by(
        "pk"
    )
    sent = Func(
        F("run__executed"), F("revision"), function="jsonb_extract_path", output_field=JSONField()
    )
    fields = (
        "database_id",
        "revision",
        "sha256",
        "at",
        "rendered",
        "renderer",
        "run_id",
        "run__commit",
        "sent",
    )
    found: dict[int, dict[tuple[str, str], Staged]] = {}
    for database, revision, sha256, at, kept, renderer, run, commit, told in rows.annotate(
        sent=sent
    ).values_list(*fields):
        executed = tuple((key, text) for key, text in told or ())
        ran = Staged(
            at, commit, run, rendered_from_json(kept) if kept else None, renderer, executed
        )
        found.setdefault(database, {})[revision, sha256] = ran
    return found


def _live(project: Project) -> tuple[dict[str, Environment], dict[str, tuple[Live, ...]]]:
    instances = list(INSTANCES.filter(environment__project=project))
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
