"""What the page *Runbook* knows of a project, in a fixed number of queries."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from environments.models import (
    BranchProtection,
    ConnectionCheck,
    Database,
    EnvironmentDatabase,
    Finding,
    Project,
    RunbookReading,
    SmokeTest,
    VariableRule,
)
from portal.configuration.signing import signers
from releases.models import Channel
from releases.models.checklist import ChecklistTemplateItem
from releases.models.releases import Release, ReleaseStatus


@dataclass
class RunbookFacts:
    """Rows of one project, as the steps ask for them."""

    project: Project
    findings: dict[str, int] = field(default_factory=dict)  # open ones, by kind
    unprotected: list[str] = field(default_factory=list)  # branches; of those that were read
    protections_read: bool = False
    broken: list[str] = field(default_factory=list)  # credentials that do not work
    databases: list[Database] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)  # databases that report nothing
    rules: int = 0
    on_staging: bool = False
    on_production: bool = False
    items: int = 0
    approvers: int = 0
    channels: int = 0
    shipped: int = 0
    reading: RunbookReading | None = None

    def kinds_found(self) -> set[str]:
        """Return the kinds of leftovers in the repository."""
        return {leftover["kind"] for leftover in self.reading.found} if self.reading else set()


def _counted(project: Project) -> tuple[int, int, int]:
    """Return how many rules of variables, manual items and done releases it has. One query."""
    of = OuterRef("pk")
    counted = [
        _count(VariableRule.objects.filter(project=of), "project"),
        _count(
            ChecklistTemplateItem.objects.filter(template__project=of, gate=""), "template__project"
        ),
        _count(Release.objects.filter(project=of, status=ReleaseStatus.DONE), "project"),
    ]
    rules, items, shipped = Project.objects.values_list(*counted).get(pk=project.pk)
    return rules or 0, items or 0, shipped or 0


def _count(rows: QuerySet[Any], by: str) -> Subquery:
    return Subquery(rows.order_by().values(by).annotate(count=Count("pk")).values("count"))


def facts_of(project: Project) -> RunbookFacts:
    """Return what is known of `project`. Nine queries."""
    findings = Finding.objects.open().filter(project=project)
    counted = dict(findings.order_by().values_list("kind").annotate(Count("pk")))
    tests = list(SmokeTest.objects.filter(project=project))
    places = EnvironmentDatabase.objects.filter(database__project=project, revisions__isnull=True)
    protections = list(BranchProtection.objects.filter(project=project))
    check = ConnectionCheck.objects.first()
    rules, items, shipped = _counted(project)
    channels = Channel.objects.filter(Q(project=project) | Q(project=None, person=None))
    places_told = list(channels.values_list("project", flat=True))
    return RunbookFacts(
        project=project,
        findings=counted,
        unprotected=[row.branch for row in protections if not row.settings],
        protections_read=bool(protections),
        broken=[
            connection["name"]
            for connection in (check.found if check else [])
            if connection["state"] == "fail"
        ],
        databases=list(Database.objects.filter(project=project).exclude(alembic="")),
        unread=sorted(
            f"{place.database.name} in {place.environment.name}"
            for place in places.select_related("database", "environment")
        ),
        rules=rules,
        on_staging=any(test.on_staging for test in tests),
        on_production=any(test.on_production for test in tests),
        items=items,
        approvers=signers("releases.approve_release").count(),
        channels=places_told.count(project.pk) or len(places_told),
        shipped=shipped,
        reading=RunbookReading.objects.filter(project=project).first(),
    )
