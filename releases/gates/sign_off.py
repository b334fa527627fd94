"""The facts that decide whether a gate asks for a person's sign-off, read together with the item.

A tick is one request of few queries; all the facts take ten. `SignOffFacts` has no other
fields than these, so that a gate which begins to look at something else breaks in its tests rather
than answers from what was not read.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject
from django.utils.dateparse import parse_datetime

from environments.finding_kinds.registry import beside
from environments.models import Environment, Finding, Project, Service, ServiceInstance
from environments.services.liveness import Live
from releases.gates.context import INSTANCES, Facts
from releases.gates.databases import DatabaseFacts, annotations, databases_in
from releases.gates.rehearsal import rows
from releases.gates.staging_smoke import AskedTest, tests, tests_of
from releases.models.checklist import ChecklistItem
from releases.models.promotion import PromotionStep, StepName
from releases.models.releases import Release


@dataclass(frozen=True)
class SignOffFacts:
    """Like `Facts`, of the same names and meanings.

    A `Live` in it knows its instance and no deployment; a database does not know what staging ran.
    `smoked` is not read: where smoke tests are configured, they decide and nobody signs.
    """

    now: datetime
    release: Release
    project: Project
    railway_seen_at: datetime | None
    railway_problem: str
    environments: Mapping[str, Environment]
    live: Mapping[str, tuple[Live, ...]]
    findings: tuple[Finding, ...]
    steps: tuple[PromotionStep, ...]
    databases: tuple[DatabaseFacts, ...]
    staging_tests: tuple[AskedTest, ...]
    smoked: None = None

    fresh_since = Facts.fresh_since


@functools.cache
def items_to_sign_off() -> QuerySet[Any]:
    """Return the checklist items with what `sign_off_facts` needs around them, in one query."""
    project = OuterRef("release__project")
    findings = Finding.objects.open().filter(project=project).exclude(kind__in=beside())
    steps = PromotionStep.objects.filter(
        promotion__release=OuterRef("release"), name=StepName.SMOKE
    )
    instance = JSONObject(
        service="service__name",
        kind="environment__kind",
        environment="environment__name",
        seen_at="seen_at",
        variables_at="environment__variables_at",
    )
    return ChecklistItem.objects.select_related("release__project").annotate(
        railway_seen_at=F("release__project__railway_sync__synced_at"),
        railway_problem=F("release__project__railway_sync__problem"),
        instances=ArraySubquery(
            INSTANCES.filter(environment__project=project).values(row=instance)
        ),
        findings=ArraySubquery(
            findings.values(row=JSONObject(sentence="sentence", attestable="attestable"))
        ),
        rehearsal_rows=rows("release__project", "release__candidate"),
        staging_tests=tests("release__project"),
        **annotations("release__project"),
        smoke=Subquery(steps.order_by("-promotion__created_at").values("status")[:1]),
    )


def sign_off_facts(item: Any, *, now: datetime) -> SignOffFacts:
    """Return what is known around `item`, which must come from `items_to_sign_off`."""
    environments: dict[str, Environment] = {}
    live: dict[str, tuple[Live, ...]] = {}
    for row in item.instances:
        kind, read_at = row["kind"], row["variables_at"]
        environment = Environment(
            name=row["environment"], kind=kind, variables_at=read_at and parse_datetime(read_at)
        )
        environments[kind] = environment
        seen_at = row["seen_at"] and parse_datetime(row["seen_at"])
        instance = ServiceInstance(
            service=Service(name=row["service"]), environment=environment, seen_at=seen_at
        )
        live[kind] = (*live.get(kind, ()), Live(row["service"], instance, None, ()))
    return SignOffFacts(
        now=now,
        release=item.release,
        project=item.release.project,
        railway_seen_at=item.railway_seen_at,
        railway_problem=item.railway_problem or "",
        environments=environments,
        live=live,
        findings=tuple(Finding(**row) for row in item.findings),
        databases=databases_in(item, item.release),
        staging_tests=tests_of(item.staging_tests),
        steps=(PromotionStep(name=StepName.SMOKE, status=item.smoke),) if item.smoke else (),
    )
