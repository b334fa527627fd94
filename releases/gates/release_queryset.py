"""Releases with all that one query can bring along."""

from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import JSONObject

from environments.models import Branch, BranchProtection
from releases.gates.databases import annotations as database_annotations
from releases.gates.plan import annotations
from releases.gates.rehearsal import rows
from releases.gates.staging_smoke import tests
from releases.models.freezes import Freeze
from releases.models.promotion import Promotion
from releases.models.releases import Release, ReleaseStatus

# A `Release` with the columns that `release_queryset` adds, which no type can hold.
type ReadRelease = Any
BRANCH = ("name", "head", "required_contexts", "merge_rules")


def release_queryset() -> QuerySet[Any]:
    """Return releases with what one query can bring along: project, times of the readings, branch
    heads, open freeze, databases, plans and rehearsals of the migrations.

    Their commits, up to 500, are only read when asked for.
    """
    branches = Branch.objects.filter(project=OuterRef("project")).values(
        row=JSONObject(**{name: name for name in BRANCH})
    )
    closed = BranchProtection.objects.filter(
        project=OuterRef("project"), branch=OuterRef("project__staging_branch")
    )
    freeze = Freeze.objects.filter(project=OuterRef("project"), lifted_at=None)
    releases = Release.objects.select_related("project", "cut_by", "staging_smoke").defer("commits")
    return releases.annotate(
        branch_rows=ArraySubquery(branches),
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
