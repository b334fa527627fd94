"""Railway's webhooks are unsigned hints: they only make the next reading come at once."""

from typing import Any

from django.utils import timezone

from environments.models import Project, RailwaySync
from portal.outside import dig, text

# Changes of deployments; Railway's spelling varies in case. Monitor and volume alerts change nothing mirrored.
EVENTS = tuple(
    f"Deployment.{word}"
    for word in (
        "building", "deploying", "deployed", "redeployed", "failed", "crashed", "oom_killed", "slept", "resumed",
        "restarted", "removed", "waiting", "needs_approval", "queued",
    )
)  # fmt: skip


def on_railway(event: str, payload: dict[str, Any]) -> bool:
    """Marks the named project stale; False when it is none of ours. Old payloads name it at the top level."""
    return mark_stale(text(dig(payload, "resource", "project", "id") or dig(payload, "project", "id"), 64))


def mark_stale(railway_project_id: str) -> bool:
    """The worker reads this project next."""
    if not railway_project_id:
        return False
    ids = Project.objects.filter(railway_project_id=railway_project_id).values("pk")
    return bool(RailwaySync.objects.filter(project__in=ids).update(wake_at=timezone.now()))
