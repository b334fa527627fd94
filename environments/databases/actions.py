"""Starting, cancelling and retrying migrations."""

from datetime import datetime

from django.utils import timezone

from environments.databases.failure import can_be_retried
from environments.models import Database, Direction, Environment, MigrationRun
from portal import audit
from portal.audit import Actor
from portal.jobs import JobStatus, wake_now
from portal.ui.actions import Refused, action, refuse_second


@action("migration.requested", "environments.migrate_environment")
def start_migration(
    environment: Environment,
    *,
    database: Database,
    actor: Actor,
    commit: str,
    reason: str = "",
    release: str = "",
    found: list[str] | None = None,
    now: datetime | None = None,
) -> MigrationRun:
    """Queue one run of Alembic that brings a database of `environment` to the heads of `commit`.

    `found`: the revisions it reported before `commit` was deployed, for a run that only verifies
    what Railway did. `release`: the name of the release that it is part of.
    """
    now = now or timezone.now()
    if not database.alembic:
        lacks = f"{environment.project} has no Alembic directory configured"
        raise Refused(f"{lacks}, so there is nothing to migrate.")
    if message := database.out_of_order:
        raise Refused(message)
    run = _queued(
        MigrationRun(
            environment=environment,
            database=database,
            runner=database.runner,
            commit=commit,
            found=found,
            for_release=release,
            requested_by=actor,
            created_at=now,
            wake_at=now,
        )
    )
    why = reason or (f"release {release}" if release else "")
    message = f"Migrate {database.of(environment)} to {commit[:7]}{': ' + why if why else ''}."
    data = {"commit": commit}
    audit.record(
        "migration.requested", actor=actor, subject=run, sentence=message, data=data, now=now
    )
    return run


def queue_downgrade(
    environment: Environment,
    database: Database,
    *,
    commit: str,
    target: str,
    file: dict[str, str],
    release: str = "",
    requested_by: Actor,
    approved_by: Actor,
    now: datetime,
) -> MigrationRun:
    """Queue one run that undoes the revision of `file` with the files of `commit`; two people stand
    for it.

    Part of an action, which has asked for their permissions. It runs in the portal, whatever brings
    the project's databases up: one revision and not the heads. Raise `Refused` while another run
    is under way.
    """
    return _queued(
        MigrationRun(
            environment=environment,
            database=database,
            commit=commit,
            direction=Direction.DOWNGRADE,
            target=[target],
            planned=[file],
            for_release=release,
            requested_by=requested_by,
            approved_by=approved_by,
            created_at=now,
            wake_at=now,
        )
    )


def _queued(run: MigrationRun) -> MigrationRun:
    """Save and wake the run; raise `Refused` while another one of its database is under way."""
    with refuse_second(
        f"{run.database.of(run.environment)} is already being migrated. Wait for that run to end."
    ):
        run.save(force_insert=True)
    wake_now(run, now=run.created_at)
    return run


@action("migration.cancelled", "environments.migrate_environment")
def cancel_migration(run: MigrationRun, *, actor: Actor, now: datetime | None = None) -> None:
    """Ask the worker to stop the run; the database is read afterwards."""
    now = now or timezone.now()
    going = MigrationRun.objects.filter(pk=run.pk, cancel_requested_at=None, finished_at=None)
    if not going.update(cancel_requested_at=now):
        raise Refused("This run has ended or is already stopping.")
    stop = f"Stop the {run}."
    audit.record("migration.cancelled", actor=actor, subject=run, sentence=stop, now=now)


@action("migration.retried", "environments.migrate_environment")
def retry_migration(
    run: MigrationRun, *, actor: Actor, now: datetime | None = None
) -> MigrationRun:
    """Queue a new run of the commit of one that did not succeed, from where the database is."""
    now = now or timezone.now()
    _require_retriable(run)
    fresh = start_migration(
        run.environment,
        database=run.database,
        actor=actor,
        commit=run.commit,
        reason=f"again, after run {run.pk}",
        release=run.for_release,
        now=now,
    )
    message = f"Migration {run.pk} is being retried from the database's revision."
    data = {"run": fresh.pk}
    audit.record(
        "migration.retried", actor=actor, subject=run, sentence=message, data=data, now=now
    )
    return fresh


def _require_retriable(run: MigrationRun) -> None:
    """Refuse a run that has not failed, is not the newest, or is not for this page to retry."""
    runs = MigrationRun.objects.filter(environment=run.environment, database=run.database)
    if run.is_open or run.status == JobStatus.SUCCEEDED:
        raise Refused("This run has not failed, so there is nothing to retry.")
    if runs.filter(pk__gt=run.pk).exists():
        raise Refused(
            f"{run.database.of(run.environment)} has been migrated since. Open the newest run."
        )
    if run.direction == Direction.DOWNGRADE:
        raise Refused("Two people approved this downgrade. Request it again on the release's page.")
    if not can_be_retried(run):
        raise Refused("This run is part of a promotion. Retry its step on the release's page.")
