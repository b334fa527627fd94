"""Railway's webhooks are unsigned hints: they only make the next reading come at once."""

from typing import Any

from django.utils import timezone

from environments.models import Project, RailwaySync


def on_railway(event: str, payload: dict[str, Any]) -> None:
    """Marks the named project stale. Old payloads carry the project at the top level (PITFALLS 51)."""
    resource = payload.get("resource")
    project = resource.get("project") if isinstance(resource, dict) else payload.get("project")
    railway_id = project.get("id") if isinstance(project, dict) else None
    if not isinstance(railway_id, str):
        return
    mark_stale(railway_id)


def mark_stale(railway_project_id: str) -> None:
    """The worker reads this project next."""
    ids = Project.objects.filter(railway_project_id=railway_project_id).values("pk")
    RailwaySync.objects.filter(project__in=ids).update(wake_at=timezone.now())
