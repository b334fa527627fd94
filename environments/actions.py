"""What people and other jobs can do to an environment."""

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.models import Environment, Finding, MigrationRun
from portal import audit
from portal.actions import Refused, action
from portal.jobs import wake_now


@action("migration.requested", "environments.migrate_environment")
def start_migration(
    environment: Environment, *, actor: Any, commit: str, reason: str = "", now: datetime | None = None
) -> MigrationRun:
    """Queues one run of Alembic that brings `environment`'s database to the heads of `commit`."""
    now = now or timezone.now()
    if not environment.project.alembic:
        raise Refused(f"{environment.project} has no Alembic directory configured, so there is nothing to migrate.")
    try:
        with transaction.atomic():
            run = MigrationRun.objects.create(
                environment=environment, commit=commit, requested_by=actor, created_at=now, wake_at=now
            )
    except IntegrityError:
        raise Refused(f"{environment}'s database is being migrated already; wait for that run to end.") from None
    wake_now(run, now=now)
    said = f"Migrate {environment}'s database to {commit[:7]}{': ' + reason if reason else ''}."
    audit.record("migration.requested", actor=actor, subject=run, sentence=said, data={"commit": commit}, now=now)
    return run


@action("migration.cancelled", "environments.migrate_environment")
def cancel_migration(run: MigrationRun, *, actor: Any, now: datetime | None = None) -> None:
    """Asks the worker to stop the run; the database is read afterwards."""
    now = now or timezone.now()
    if not MigrationRun.objects.filter(pk=run.pk, cancel_requested_at=None, finished_at=None).update(
        cancel_requested_at=now
    ):
        raise Refused("This run has ended, or is being stopped already.")
    audit.record("migration.cancelled", actor=actor, subject=run, sentence=f"Stop the {run}.", now=now)


@action("finding.resolved", "environments.resolve_finding")
def resolve_finding(finding: Finding, *, actor: Any, reason: str, now: datetime | None = None) -> None:
    """Closes a finding by a person's word. What comparison still sees is opened again by the next reading."""
    now = now or timezone.now()
    if not reason.strip():
        raise Refused("Say why this finding can be closed.")
    changed = Finding.objects.filter(pk=finding.pk, closed_at=None).update(
        closed_at=now, closed_by=actor, reason=reason[:2000]
    )
    if not changed:
        raise Refused("This finding is closed already.")
    audit.record("finding.resolved", actor=actor, subject=finding, sentence=f"“{reason[:500]}”", now=now)
