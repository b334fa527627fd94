"""GitHub's webhooks are hints: they only make the next reading come at once."""

from typing import Any

from django.utils import timezone

from environments.models import Project
from releases.models import GitHubSync

EVENTS = {
    "push", "pull_request", "pull_request_review", "check_run", "check_suite", "status", "workflow_run",
    "branch_protection_rule", "repository_ruleset", "merge_group",
}  # fmt: skip


def on_github(event: str, payload: dict[str, Any]) -> None:
    """Marks the projects of the named repository stale."""
    repository = payload.get("repository")
    name = repository.get("full_name") if isinstance(repository, dict) else None
    if event not in EVENTS or not isinstance(name, str):
        return
    projects = Project.objects.filter(repository__iexact=name[:250]).values("pk")
    GitHubSync.objects.filter(project__in=projects).update(wake_at=timezone.now())
