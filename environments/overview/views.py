"""The page Environments: services by environments, and what is inconsistent."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef
from django.db.models.functions import JSONObject
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from environments.branches import fast_forward
from environments.finding_kinds.protection import PROTECTION
from environments.finding_kinds.registry import KINDS, Situation
from environments.models import (
    Branch,
    BranchProtection,
    Deployment,
    Environment,
    EnvironmentDatabase,
    EnvironmentKind,
    Finding,
    Project,
    Repair,
    RepairKind,
    ServiceInstance,
    SmokeTest,
    StagingReset,
    in_order,
)
from environments.overview import services
from environments.overview.finding_list import FindingRow, finding_list
from environments.quota import pace
from environments.services.expected import expected_branches
from environments.services.liveness import live_of
from portal.outbound.parsing import JsonObject
from portal.ui.project_picker import picked
from portal.ui.site import page

REPAIRS_SHOWN = 10
RESOLVED_SHOWN = 20
PREVIEWS_BESIDE = 4  # more of them have a table of their own


@dataclass(frozen=True)
class Asked:
    """What the address asks to be shown: findings of one kind, services by name or state."""

    kind: str = ""
    name: str = ""
    differing: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> "Asked":
        """Read the address."""
        name = request.GET.get("service", "").replace("\x00", "").strip()[:100]
        kind = request.GET.get("kind", "")
        return cls(kind, name, request.GET.get("differing") == "1")

    def takes(self, service: str, cells: Iterable[services.Cell]) -> bool:
        """Return whether a service is shown."""
        if self.name.lower() not in service.lower():
            return False
        return not self.differing or any(cell.state != "pass" or cell.wrong for cell in cells)


@page
def environments(request: HttpRequest) -> HttpResponse:
    """Show services × environments of one project, and what is incoherent.

    Eleven queries whatever the counts.
    """
    tested = Exists(SmokeTest.objects.filter(project=OuterRef("pk")))
    projects = list(Project.objects.select_related("railway_sync").annotate(tested=tested))
    project = picked(request, projects)
    context: JsonObject = {"projects": projects, "project": project}
    if project is not None:
        asked = Asked.of(request)
        context |= _matrix(project, asked) | {"untested": not project.tested, "asked": asked}
        heads = {row.name: row.head for row in Branch.objects.filter(project=project)}
        instances = context.pop("instances")
        context |= finding_list(_finding_rows(project, instances, heads), asked.kind)
        resolved = Finding.objects.filter(project=project, closed_by__isnull=False)
        resets = StagingReset.objects.filter(project=project, closed_at=None)
        context |= _repairs(project) | {
            "resolved": resolved.select_related("closed_by").order_by("-closed_at")[
                :RESOLVED_SHOWN
            ],
            "staging_head": heads.get(project.staging_branch, ""),
            "production_head": heads.get(project.production_branch, ""),
            "reset": resets.select_related("requested_by").first(),
            "sync": getattr(project, "railway_sync", None),
        }
    return render(request, "environments/overview/environments.html", context)


def _repair(
    finding: Finding, instance: ServiceInstance | None, project: Project, heads: dict[str, str]
) -> dict[str, str] | None:
    """Return what one click can have done about a finding; None where there is nothing."""
    if instance is None or finding.kind not in KINDS:
        return None
    wanted = expected_branches(project).get(instance.environment.kind, "")
    situation = Situation(instance, project.repository, wanted, heads.get(instance.branch, ""))
    repair = KINDS[finding.kind].repair(situation)
    if repair is None:
        return None
    return asdict(repair) | {"url": reverse(repair.url, args=[instance.pk])}


def _differing_rules(project: Project) -> dict[str, list[dict[str, str]]]:
    """Return of each protected branch the rules that differ from what the project expects."""
    rows = BranchProtection.objects.filter(project=project)
    return {row.branch: [line for line in row.lines if line["state"] == "fail"] for row in rows}


def _read_since(project: Project) -> datetime:
    """Before this a reading is older than its pace explains."""
    job, now = getattr(project, "railway_sync", None), timezone.now()
    return pace.stale_since(job, now) if job else now


def _repairs(project: Project) -> dict[str, object]:
    """Return the latest repairs, and the last that was about staging and main. One query."""
    repairs = Repair.objects.filter(project=project).select_related("requested_by")
    rows = list(repairs[:REPAIRS_SHOWN])
    level = next((row for row in rows if row.kind == RepairKind.SYNC_STAGING), None)
    diverged = bool(level and level.result == fast_forward.DIVERGED)
    return {"repairs": rows, "level": level, "diverged": diverged}


def _finding_rows(
    project: Project, instances: Mapping[str, ServiceInstance], heads: dict[str, str]
) -> list[FindingRow]:
    """Return the open findings with their repairs, and protections with the rules that differ."""
    findings = Finding.objects.open().filter(project=project)
    unprotected = any(finding.kind == PROTECTION for finding in findings)
    differing = _differing_rules(project) if unprotected else {}
    return [
        FindingRow(
            finding,
            _repair(finding, instances.get(finding.subject), project, heads),
            differing.get(finding.subject, []) if finding.kind == PROTECTION else [],
        )
        for finding in findings
    ]


def _matrix(project: Project, asked: Asked) -> JsonObject:
    environments = Environment.objects.present().filter(project=project)
    columns = in_order(environments.annotate(place_rows=_places()))
    cells, named = _cells(project, columns)
    twice = Counter(column.name for column in columns)
    told_apart = [column.railway_id[:8] if twice[column.name] > 1 else "" for column in columns]
    table = [
        (services.heading(name, row.values()), [row.get(column.pk) for column in columns])
        for name, row in sorted(cells.items())
        if asked.takes(name, row.values())
    ]
    heads = list(zip(columns, told_apart, strict=True))
    return {
        "columns": columns,
        "services_count": len(cells),
        "groups": _groups(heads, table, _database_rows(columns)),
        "table": table,
        "instances": named,
    }


def _cells(
    project: Project, columns: Sequence[Environment]
) -> tuple[dict[str, dict[int, services.Cell]], dict[str, ServiceInstance]]:
    """Return cells by service name and environment, and instances by the names of findings."""
    since = _read_since(project)
    there = ServiceInstance.objects.filter(environment__in=columns, service__gone_at=None)
    instances = there.select_related("service")
    current = Deployment.objects.current_of(instances)
    expected = expected_branches(project)
    cells: dict[str, dict[int, services.Cell]] = defaultdict(dict)
    by_key = {column.pk: column for column in columns}
    named: dict[str, ServiceInstance] = {}
    for instance in instances:
        instance.environment = by_key[instance.environment_id]
        # If two environments have one name, findings are about the one that is used.
        if instance.environment.kind in expected or str(instance)[:300] not in named:
            named[str(instance)[:300]] = instance
        live = live_of(instance, current[instance.pk], project.repository)
        wanted = expected.get(instance.environment.kind, "")
        cell = services.cell(live, wanted, project, since)
        cells[instance.service.name][instance.environment_id] = cell
    return cells, named


@dataclass(frozen=True)
class _Group:
    """Columns of the matrix that are shown together; `title` "" for those that are always open."""

    title: str
    heads: list[tuple[Environment, str]]
    table: list[tuple[services.Heading, list[services.Cell | None]]]
    databases: list[tuple[str, list[EnvironmentDatabase | None]]]


def _groups(
    heads: list[tuple[Environment, str]],
    table: list[tuple[services.Heading, list[services.Cell | None]]],
    databases: list[tuple[str, list[EnvironmentDatabase | None]]],
) -> list[_Group]:
    """Return the matrix as one table, or with many previews in one of their own."""
    previews = [n for n, (column, _) in enumerate(heads) if column.kind == EnvironmentKind.PREVIEW]
    others = [n for n in range(len(heads)) if n not in previews]
    parts = [("", others), (f"{len(previews)} previews", previews)]
    if len(previews) <= PREVIEWS_BESIDE:
        parts = [("", list(range(len(heads))))]
    return [
        _Group(
            title,
            [heads[n] for n in shown],
            [(row, [cells[n] for n in shown]) for row, cells in table],
            [(name, [places[n] for n in shown]) for name, places in databases],
        )
        for title, shown in parts
    ]


def _places() -> ArraySubquery:
    """Return each environment's databases, in the query of environments."""
    places = EnvironmentDatabase.objects.filter(environment=OuterRef("pk")).exclude(
        database__alembic=""
    )
    names = ("database_id", "revisions", "revisions_at", "revisions_problem")
    row = JSONObject(name="database__name", **{name: name for name in names})
    return ArraySubquery(places.order_by("database__position", "database_id").values(row=row))


def _database_rows(columns: list[Any]) -> list[tuple[str, list[EnvironmentDatabase | None]]]:
    """Return a row of the table for each database that was read: its name, where there are several,
    and each environment's.
    """
    names = {row["database_id"]: row.pop("name") for column in columns for row in column.place_rows}
    places: dict[int, dict[int, EnvironmentDatabase]] = {id: {} for id in names}
    for column in columns:
        for place in column.place_rows:
            at = place.pop("revisions_at")
            places[place["database_id"]][column.pk] = EnvironmentDatabase(
                revisions_at=at and parse_datetime(at), **place
            )
    several = len(names) > 1
    return [
        (names[id] if several else "", [row.get(column.pk) for column in columns])
        for id, row in places.items()
    ]
