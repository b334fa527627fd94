"""Queues one repair at a person's request."""

from datetime import datetime

from django.utils import timezone

from environments.models import Project, Repair, RepairKind, ServiceInstance
from portal import audit
from portal.audit import Actor
from portal.jobs import wake_now
from portal.ui.actions import Refused, refuse_second


def _is_there(instance: ServiceInstance) -> None:
    """Refuse for what Railway no longer has."""
    for row in (instance.service, instance.environment):
        if row.gone_at:
            raise Refused(f"{row} was deleted on Railway, so there is nothing to repair.")


def _repair(
    project: Project,
    kind: RepairKind,
    event: str,
    message: str,
    *,
    actor: Actor,
    now: datetime | None,
    instance: ServiceInstance | None = None,
    subject: str = "",
    wanted: str = "",
    before: str = "",
    release: str = "",
) -> Repair:
    """Queue one repair, unless the same is under way. `release`: the name of its release."""
    now = now or timezone.now()
    with refuse_second("The same repair is already running. Wait for it to end."):
        repair = Repair.objects.create(
            project=project,
            kind=kind,
            instance=instance,
            subject=subject or str(instance or ""),
            wanted=wanted,
            before=before,
            for_release=release,
            requested_by=actor,
            created_at=now,
            wake_at=now,
        )
    wake_now(repair, now=now)
    audit.record(
        event, actor=actor, subject=repair, sentence=message, data={"wanted": wanted}, now=now
    )
    return repair
