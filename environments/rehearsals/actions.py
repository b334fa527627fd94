"""Starting and cancelling rehearsals."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from environments.models import Database, Direction, Environment, Rehearsal
from portal import audit
from portal.audit import Actor
from portal.jobs import wake_now
from portal.ui.actions import Refused, action


@action("rehearsal.requested", "environments.migrate_environment")
def start_rehearsal(
    environment: Environment,
    *,
    database: Database,
    actor: Actor,
    commit: str,
    direction: str = Direction.UPGRADE,
    release: str = "",
    now: datetime | None = None,
) -> Rehearsal:
    """Queue a rehearsal of `commit`'s migrations, or of one revision back, over a copy of the
    database's schema. `release`: the name of the release that it is part of.
    """
    now = now or timezone.now()
    if not database.alembic:
        why = f"{environment.project} has no Alembic directory configured"
        raise Refused(f"{why}, so there is nothing to rehearse.")
    wanted = {"commit": commit, "direction": direction, "release": release}
    rehearsal = queue_rehearsal(environment, database, **wanted, by=actor, now=now)
    if rehearsal is None:
        raise Refused("The same rehearsal is already running. Wait for it to end.")
    place = " ".join(filter(None, [str(environment), database.called]))
    message = f"Rehearse {Direction(direction).label} at {commit[:7]} for {place}."
    audit.record(
        "rehearsal.requested",
        actor=actor,
        subject=rehearsal,
        sentence=message,
        data={"commit": commit},
        now=now,
    )
    return rehearsal


def queue_rehearsal(
    environment: Environment,
    database: Database,
    *,
    commit: str,
    direction: str = Direction.UPGRADE,
    by: Actor = None,
    release: str = "",
    now: datetime,
) -> Rehearsal | None:
    """Return a new rehearsal, woken; None while the same is under way."""
    try:
        with transaction.atomic():
            rehearsal = Rehearsal.objects.create(
                environment=environment,
                database=database,
                commit=commit,
                direction=direction,
                for_release=release,
                requested_by=by,
                created_at=now,
                wake_at=now,
            )
    except IntegrityError:
        return None
    wake_now(rehearsal, now=now)
    return rehearsal


@action("rehearsal.cancelled", "environments.migrate_environment")
def cancel_rehearsal(rehearsal: Rehearsal, *, actor: Actor, now: datetime | None = None) -> None:
    """Ask the worker to stop the rehearsal; nothing of it is left."""
    now = now or timezone.now()
    rows = Rehearsal.objects.filter(pk=rehearsal.pk, cancel_requested_at=None, finished_at=None)
    if not rows.update(cancel_requested_at=now):
        raise Refused("This rehearsal has ended or is already stopping.")
    wake_now(rehearsal, now=now)
    message = f"Stop the {rehearsal}."
    audit.record("rehearsal.cancelled", actor=actor, subject=rehearsal, sentence=message, now=now)
