"""Closing a finding by a person's reason."""

from datetime import datetime

from django.utils import timezone

from environments.models import Finding
from portal import audit
from portal.audit import Actor
from portal.ui.actions import Refused, action, require_reason


@action("finding.resolved", "environments.resolve_finding")
def resolve_finding(
    finding: Finding, *, actor: Actor, reason: str, now: datetime | None = None
) -> None:
    """Closes a finding by a person's word.

    What comparison still sees is opened again by the next reading; what was done around the portal
    is not: it is one event, and settled.
    """
    now = now or timezone.now()
    require_reason(reason)
    changed = Finding.objects.filter(pk=finding.pk, closed_at=None).update(
        closed_at=now, closed_by=actor, reason=reason[:2000]
    )
    if not changed:
        raise Refused("This finding is already closed.")
    audit.record(
        "finding.resolved", actor=actor, subject=finding, sentence=f"“{reason[:500]}”", now=now
    )
