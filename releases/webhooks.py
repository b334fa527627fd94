"""GitHub's webhooks are hints: they only make the next reading come at once."""

from typing import Any

from django.utils import timezone

from environments.models import Project
from portal.outside import dig, text
from releases.models import GitHubSync

EVENTS = (
    "branch_protection_rule", "check_run", "check_suite", "merge_group", "pull_request", "pull_request_review", "push",
    "repository_ruleset", "status", "workflow_run",
)  # fmt: skip


def on_github(event: str, payload: dict[str, Any]) -> bool:
    """Marks the projects of the named repository stale; False when it is none of ours, or nothing we mirror."""
    name = text(dig(payload, "repository", "full_name"), 201)
    if event not in EVENTS or not name:
        return False
    projects = Project.objects.filter(repository__iexact=name).values("pk")
    return bool(GitHubSync.objects.filter(project__in=projects).update(wake_at=timezone.now()))
