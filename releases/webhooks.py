"""GitHub's webhooks are hints: they only make the next reading come at once."""

from typing import Any

from django.db import connection
from django.utils import timezone

from portal.outside import dig, text

EVENTS = (
    "branch_protection_rule", "check_run", "check_suite", "merge_group", "pull_request", "pull_request_review", "push",
    "repository_ruleset", "status", "workflow_run",
)  # fmt: skip
# Composing this from models took as long as the rest of a delivery; UPPER on both sides as `__iexact` has it.
_MARK = """
UPDATE releases_githubsync SET wake_at = %s
WHERE project_id IN (SELECT id FROM environments_project WHERE UPPER(repository) = UPPER(%s))
"""


def on_github(event: str, payload: dict[str, Any]) -> bool:
    """Marks the projects of the named repository stale; False when it is none of ours, or nothing we mirror."""
    name = text(dig(payload, "repository", "full_name"), 201)
    if event not in EVENTS or not name:
        return False
    with connection.cursor() as cursor:
        cursor.execute(_MARK, [timezone.now(), name])
        return cursor.rowcount > 0
