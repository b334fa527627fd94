"""Has the migrations of a release planned and rehearsed."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import transaction

from environments.databases import pending
from environments.models import (
    VALID,
    Database,
    Direction,
    Environment,
    EnvironmentDatabase,
    EnvironmentKind,
    MigrationPlan,
    Rehearsal,
    databases_of,
    places_of,
)
from environments.rehearsals.actions import queue_rehearsal
from portal.jobs import JobStatus, Outcome, wake_now
from releases.gates.databases import heads_of, migrations_of
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release, ReleaseStatus


def plan(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Have the collected migrations planned for each database, by a job of its own: once, and again
    for another order of deploying or when the database is elsewhere than the plan says. What
    staging ran keeps the SQL that was planned.
    """
    if not release.is_in_preparation or not release.migrations or release.migrations_problem:
        return None
    databases = databases_of(release.project)
    for database in databases:
        if migrations_of(release, database, databases):
            _plan_one(release, database, heads_of(release, database, databases) or (), now)
    return None


def _plan_one(release: Release, database: Database, heads: Sequence[str], now: datetime) -> None:
    order = database.schema_order
    with transaction.atomic():
        plan, created = MigrationPlan.objects.select_related("database").get_or_create(
            project=release.project,
            database=database,
            commit=release.candidate,
            base=release.base,
            defaults={"created_at": now, "wake_at": now, "for_release": release.name},
        )
        stale = not created and not plan.is_open and plan.met.get("order", order) != order
        stale = stale or (plan.status == JobStatus.SUCCEEDED and pending.moved(plan, heads))
        if stale:
            MigrationPlan.objects.filter(pk=plan.pk).update(
                status=JobStatus.QUEUED, started_at=None, finished_at=None
            )
        elif plan.status == JobStatus.SUCCEEDED:
            pending.keep_rendered(plan)
        if created or stale:
            wake_now(plan, now=now)


def rehearse_release(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Have the collected migrations rehearsed for each database that they are still to run in: once
    for every revision it is at, and again after a day. A rehearsal that somebody cancelled is left
    to people.
    """
    if not settings.REHEARSE or release.status != ReleaseStatus.OPEN:
        return None
    known = release.collected == release.candidate and not release.migrations_problem
    if not known or not release.migrations:
        return None
    # Staging may be at revisions that a hotfix's branch does not know.
    databases, kinds = databases_of(release.project), [EnvironmentKind.PRODUCTION]
    if not release.is_hotfix:
        kinds.append(EnvironmentKind.STAGING)
    environments = Environment.objects.filter(project=release.project, kind__in=kinds, gone_at=None)
    # Production first, for which the gate waits.
    places = places_of(environments.order_by("kind"), databases)
    newest = _newest_rehearsals(release, places)
    for place in places:
        heads, at = heads_of(release, place.database, databases), place.revisions
        behind = heads is not None and at is not None and sorted(at) != sorted(heads)
        brings = migrations_of(release, place.database, databases)
        last = newest.get((place.environment_id, place.database_id))
        if brings and behind and _is_outdated(last, place, now):
            commit, name = release.candidate, release.name
            queue_rehearsal(place.environment, place.database, commit=commit, release=name, now=now)
    return None


def _newest_rehearsals(
    release: Release, places: Sequence[EnvironmentDatabase]
) -> dict[tuple[int, int], Rehearsal]:
    """Return the candidate's newest rehearsal in each place, by environment and database."""
    rows = Rehearsal.objects.filter(
        environment__in=[place.environment_id for place in places],
        commit=release.candidate,
        direction=Direction.UPGRADE,
    ).order_by("environment_id", "database_id", "-pk")
    newest = rows.distinct("environment_id", "database_id")
    fields = ("environment", "database", "status", "start", "finished_at")
    return {(row.environment_id, row.database_id): row for row in newest.only(*fields)}


def _is_outdated(row: Rehearsal | None, place: EnvironmentDatabase, now: datetime) -> bool:
    if row is None:
        return True
    if row.is_open or row.status == JobStatus.CANCELLED or row.finished_at is None:
        return False
    moved = row.start is not None and sorted(row.start) != sorted(place.revisions or ())
    read_since = place.revisions_at is not None and place.revisions_at > row.finished_at
    return (moved and read_since) or now - row.finished_at > VALID
