"""Closing a finding by a person's reason."""

from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from environments.models import Finding, Project
from portal import audit
from portal.audit import Actor
from portal.ui.actions import Refused, action, require_reason


@action("finding.resolved", "environments.resolve_finding")
def resolve_finding(
    finding: Finding, *, actor: Actor, reason: str, now: datetime | None = None
) -> None:
    """Close a finding by a person's word.

    What comparison still sees is opened again by the next reading; what was done around the portal
    is not: it is one event, and settled.
    """
    _resolve(finding, actor, reason, now or timezone.now())


@action("finding.resolved", "environments.resolve_finding")
def resolve_findings(
    project: Project,
    *,
    actor: Actor,
    findings: Sequence[int],
    reason: str,
    now: datetime | None = None,
) -> None:
    """Close several findings of the project, by their keys, for one reason: all or none."""
    now = now or timezone.now()
    rows = list(Finding.objects.filter(project=project, pk__in=findings).order_by("pk"))
    if not rows:
        raise Refused("Select at least one finding to resolve.")
    for finding in rows:
        _resolve(finding, actor, reason, now)


def _resolve(finding: Finding, actor: Actor, reason: str, now: datetime) -> None:
    require_reason(reason)
    changed = Finding.objects.filter(pk=finding.pk, closed_at=None).update(
        closed_at=now, closed_by=actor, reason=reason[:2000]
    )
    if not changed:
        raise Refused("This finding is already closed.")
    audit.record(
        "finding.resolved", actor=actor, subject=finding, sentence=f"“{reason[:500]}”", now=now
    )
