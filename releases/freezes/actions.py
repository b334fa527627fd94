"""Freezing a project, and lifting the freeze."""

from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from environments.models import Project
from portal import audit
from portal.audit import Actor
from portal.ui.actions import Refused, action, refuse_second, require_reason
from releases.models.freezes import Freeze
from releases.models.reconciler import ReleaseReconciler


@action("project.frozen", "releases.freeze_project")
def freeze(project: Project, *, actor: User, reason: str, now: datetime | None = None) -> Freeze:
    """Refuse promotions of `project` until the freeze is lifted."""
    now = now or timezone.now()
    require_reason(reason)
    with refuse_second("Promotions are frozen already."):
        row = Freeze.objects.create(
            project=project, reason=reason[:300], started_by=actor, started_at=now
        )
    _judge_again(project, now)
    audit.record(
        "project.frozen", actor=actor, subject=project, sentence=f"“{reason[:300]}”", now=now
    )
    return row


@action("project.unfrozen", "releases.freeze_project")
def lift_freeze(project: Project, *, actor: Actor, now: datetime | None = None) -> None:
    """Allow promotions again."""
    now = now or timezone.now()
    if not Freeze.objects.filter(project=project, lifted_at=None).update(lifted_at=now):
        raise Refused("Promotions are not frozen.")
    _judge_again(project, now)
    message = "Promotions are allowed again."
    audit.record("project.unfrozen", actor=actor, subject=project, sentence=message, now=now)


def _judge_again(project: Project, now: datetime) -> None:
    """Have the verdicts of the project's releases told again: GitHub must not stay green long."""
    ReleaseReconciler.objects.open().filter(release__project=project).update(wake_at=now)
