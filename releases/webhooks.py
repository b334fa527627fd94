"""GitHub's webhooks are hints: they only make the next reading come at once."""

from collections.abc import Mapping

from portal.outbound.parsing import get_path, text
from portal.webhooks.deliveries import Mark

EVENTS = (
    "branch_protection_rule",
    "check_run",
    "check_suite",
    "merge_group",
    "pull_request",
    "pull_request_review",
    "push",
    "repository_ruleset",
    "status",
    "workflow_run",
)
# UPPER on both sides as `__iexact` has it.
_OURS = (
    "project_id IN (SELECT id FROM environments_project WHERE UPPER(%s) IN (UPPER(repository),"
    " UPPER(renamed_to)))"
)


def on_github(event: str, payload: Mapping[str, object]) -> Mark | None:
    """Return the projects of the named repository; None for what we do not mirror."""
    name = text(get_path(payload, "repository", "full_name"), 201)
    return Mark("releases_githubsync", _OURS, (name,)) if name and event in EVENTS else None
