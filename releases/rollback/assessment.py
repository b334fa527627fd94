"""The rollback assessment: what it takes to get back from a release, known before anybody needs it.

One `RollbackAssessment` row for each release that goes to production. It reads Railway, git and
production's database, changes only its own row, and ends when a later release replaces this one or
this one is rolled back.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Max, Q
from django.db.models.functions import Coalesce

from environments.git.calls import GitError
from environments.models import (
    SERVING,
    AtStart,
    Deployment,
    Environment,
    EnvironmentKind,
    MigrationRun,
    Project,
    ServiceInstance,
)
from environments.schema.downgrade.compatibility import (
    PENDING,
    RollbackVerdict,
    Services,
    assess_rollback,
)
from portal.jobs import OPEN, Finished, JobStatus, Outcome, Requeue, wake_now
from portal.outbound.http import ApiError
from releases.gates.context import Facts
from releases.models import RollbackAssessment
from releases.models.promotion import PromotionStep
from releases.models.releases import Release, ReleaseStatus
from releases.models.rollback import rollback_content
from releases.rollback.candidates import GONE, MOVING, READY, SAME, UNKNOWN, Restorable
from releases.rollback.database_assessment import DatabaseStates, assess_databases
from releases.rollback.service_assessment import assess_services, with_variables

IN_PRODUCTION = (
    ReleaseStatus.PROMOTING,
    ReleaseStatus.VERIFYING,
    ReleaseStatus.DONE,
    ReleaseStatus.ABANDONED,
)
MOVING_SECONDS = 3  # between two looks while a migration runs or a deployment is under way


def begin(facts: Facts, *, now: datetime) -> RollbackAssessment:
    """Return the assessment on a release whose promotion starts; note what production serves."""
    served = {
        live.instance.service.railway_id: _served(live.active)
        for live in facts.in_production
        if live.at_commits
    }
    assessment, created = RollbackAssessment.objects.get_or_create(
        release=facts.release, defaults={"created_at": now, "wake_at": now, "ran_before": served}
    )
    if not created:
        RollbackAssessment.objects.filter(pk=assessment.pk).update(
            status=JobStatus.QUEUED, finished_at=None, ran_before=served
        )
    wake_now(assessment, now=now)
    return assessment


def _served(active: Sequence[Deployment]) -> dict[str, str]:
    serving = next(
        (deployment for deployment in active if deployment.status in SERVING and deployment.commit),
        None,
    )
    return {"deployment": serving.railway_id, "commit": serving.commit} if serving else {}


def see_to(project: Project, *, now: datetime) -> None:
    """Make sure that what is in production has its assessment, however it went there."""
    newest = _shipped(project).order_by("-went").first()
    if newest is None:
        return
    assessment, _ = RollbackAssessment.objects.get_or_create(
        release=newest, defaults={"created_at": now, "wake_at": now}
    )
    if not assessment.is_open:  # a later release was rolled back
        RollbackAssessment.objects.filter(pk=assessment.pk).update(
            status=JobStatus.QUEUED, finished_at=None, wake_at=now
        )


def hurry(release: Release, *, now: datetime) -> None:
    """Have the assessment computed again at once."""
    RollbackAssessment.objects.filter(release=release).update(wake_at=now)


def look(job: RollbackAssessment, *, now: datetime) -> Outcome:
    """Look at everything once; trouble is kept on the row beside what was known before."""
    release = Release.objects.select_related("project").get(pk=job.release_id)
    if message := over(release):
        return Finished(JobStatus.SUCCEEDED, message)
    try:
        refresh(job, release, now=now)
    except (ApiError, GitError) as error:
        RollbackAssessment.objects.filter(pk=job.pk).update(problem=str(error))
        return Requeue(max(30, getattr(error, "retry_after", None) or 0), str(error))
    if job.verdict == PENDING:
        return Requeue(MOVING_SECONDS, job.verdict)
    moving = release.status == ReleaseStatus.PROMOTING
    return Requeue(settings.ADVICE_SECONDS / (10 if moving else 1), job.verdict)


def outdated(row: RollbackAssessment, release: Release, *, now: datetime) -> str:
    """Return what has moved since the assessment was computed; "" while it holds."""
    if row.computed_at is None:
        return "The rollback assessment is still running."
    if row.problem:
        return f"The assessment could not be updated: {row.problem}"
    production = Q(
        environment__project=release.project_id, environment__kind=EnvironmentKind.PRODUCTION
    )
    since = (
        Q(status__in=OPEN) | Q(created_at__gt=row.computed_at) | Q(finished_at__gt=row.computed_at)
    )
    if MigrationRun.objects.filter(production & since).exists():
        return "Production's database has been migrated since."
    steps = PromotionStep.objects.filter(promotion__release=release)
    if steps.filter(finished_at__gt=row.computed_at).exists():
        return "A step of the promotion has ended since."
    return "The assessment is outdated." if is_old(row, now) else ""


def is_old(row: RollbackAssessment, now: datetime) -> bool:
    """Return whether two looks have been missed."""
    latest = now - timedelta(seconds=2 * settings.ADVICE_SECONDS)
    return row.computed_at is None or row.computed_at < latest


def over(release: Release) -> str:
    """Return why there is nothing to assess any more; "" on the way to production and there."""
    if release.status == ReleaseStatus.ROLLED_BACK:
        return "The release was rolled back."
    if release.status == ReleaseStatus.OPEN or (
        release.status == ReleaseStatus.ABANDONED and not release.merge_commit
    ):
        return "The release is not on its way to production."
    began = release.promotions.aggregate(last=Max("created_at"))["last"] or release.cut_at
    others = _shipped(release.project).exclude(pk=release.pk)
    newer = others.filter(went__gt=began).order_by("-went").first()
    if newer is None:
        return ""
    return f"Release {newer.name} went to production after it: roll that one back first."


def _shipped(project: Project) -> Any:
    """Return what was merged and not taken back, and when it `went`; a hotfix may overtake."""
    rows = Release.objects.filter(project=project, status__in=IN_PRODUCTION)
    went = Coalesce(Max("promotions__created_at"), F("cut_at"))
    return rows.exclude(merge_commit="").annotate(went=went)


COMPUTED = (
    *("verdict", "reasons", "steps", "services", "in_effect", "revisions"),
    *("downgrade", "downgrade_problem", "content", "problem", "computed_at"),
)


def refresh(job: RollbackAssessment, release: Release, *, now: datetime) -> RollbackAssessment:
    """Work the assessment out again and write it down; two that do so at once write the same.

    Raise `ApiError`, `GitError`: then the row keeps what was known before.
    """
    project = release.project
    present = Environment.objects.present().filter(project=project).select_related("project")
    production = present.filter(kind=EnvironmentKind.PRODUCTION).first()
    services = assess_services(job, release, production) if production else []
    read = assess_databases(release, production)
    verdict = judge(services, read)
    rows = [with_variables(service, instance, production) for service, instance in services]
    job.verdict = verdict.verdict
    job.reasons, job.steps = list(verdict.reasons), list(verdict.steps)
    job.services, job.in_effect, job.revisions = rows, read.in_effect, read.revisions
    job.downgrade, job.downgrade_problem = read.downgrade, read.problem
    job.content, job.problem, job.computed_at = rollback_content(job.verdict, job.targets), "", now
    job.save(update_fields=COMPUTED)
    return job


def judge(
    services: Sequence[tuple[Restorable, ServiceInstance]], read: DatabaseStates
) -> RollbackVerdict:
    """Return the verdict on services with what Railway can restore, and what the databases have."""

    def said(*states: str) -> tuple[str, ...]:
        judgements = (item for item, _ in services if item.state in states)
        return tuple(f"{item.service}: {item.sentence}" for item in judgements)

    back = [(service, row) for service, row in services if service.state == READY]
    stay = [(service, row) for service, row in services if service.state == SAME]
    old = [row for _, row in (*back, *stay)]
    starting = [row for row in old if row.runs_alembic in _STARTING]
    judged = Services(
        back=tuple(service.service for service, _ in back),
        stay=tuple(zip((service.service for service, _ in stay), said(SAME), strict=True)),
        missing=said(GONE, UNKNOWN),
        starting=tuple(f"{row.service.name}: {row.runs_alembic.label}." for row in starting),
        starting_known=all(row.runs_alembic != AtStart.UNKNOWN for row in old),
        moving=(*read.running, *said(MOVING)),
    )
    verdict = assess_rollback(
        read.steps, read.risks, services=judged, unplanned=read.unplanned, half=read.half
    )
    if verdict.verdict == PENDING:
        return verdict
    return replace(verdict, steps=(*verdict.steps, *read.kept))


_STARTING = (AtStart.PRE_DEPLOY, AtStart.START)
