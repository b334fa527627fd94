"""Brings a preview's own databases to the head of the pull request."""

from datetime import datetime

from django.db import transaction

from environments.databases.address import NoDatabase, url_of
from environments.models import Database, MigrationRun, Preview, databases_of, place_of, places_of
from environments.models import Environment as EnvironmentRow
from environments.previews.failing import fail
from environments.previews.on_railway import Seen
from environments.railway import Environment as Place
from environments.schema.run.address import DatabaseError, same_database
from portal import audit
from portal.jobs import JobStatus, Outcome, Requeue, wake_now


def migrate(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Bring the preview's own databases to the pull request's head, if the project wants that."""
    databases = databases_of(job.project) if job.project.preview_migrates else []
    if not databases:
        return None
    row = EnvironmentRow.objects.filter(
        project=job.project, railway_id=job.environment_id, gone_at=None
    ).first()
    if row is None:
        return Requeue(3, "Reading the new environment…")
    for database in databases:
        if outcome := _migrate_one(job, row, database, now):
            return outcome
    return None


def _migrate_one(
    job: Preview, row: EnvironmentRow, database: Database, now: datetime
) -> Outcome | None:
    """One database of it; None once that is at the head."""
    whose = f"{job}'s database{f' {database.called}' if database.called else ''}"
    runs = MigrationRun.objects.filter(environment=row, database=database, commit=job.head)
    run = runs.order_by("-pk").first()
    if run is None:
        if problem := _not_its_own(row, database):
            return fail(job, problem, now)
        with transaction.atomic():
            at = {"commit": job.head, "created_at": now, "wake_at": now}
            run = MigrationRun.objects.create(
                environment=row, database=database, runner=database.runner, **at
            )
            wake_now(run, now=now)
            message = f"Migrate {whose} to {job.head[:7]}."
            audit.record_by_portal("migration.requested", run, message, now=now)
    if run.is_open:
        return Requeue(2, f"{whose} is being migrated.")
    if run.status != JobStatus.SUCCEEDED:
        return fail(job, f"{whose} was not migrated: {run.sentence}", now)
    return None


def _not_its_own(preview: EnvironmentRow, database: Database) -> str:
    """Return why the database must not be touched: another environment's, or not known."""
    long_lived = EnvironmentRow.objects.present().long_lived().filter(project=preview.project)
    others = places_of(long_lived.select_related("project"), databases_of(preview.project))
    try:
        url = url_of(place_of(preview, database))
        for place in others:
            if same_database(url, url_of(place)):
                why = "which the portal does not migrate for a preview"
                return f"{preview} uses {place}, {why}. Give previews a separate database."
    except (NoDatabase, DatabaseError) as error:
        return f"{preview}'s database was not migrated: {error}"
    return ""
