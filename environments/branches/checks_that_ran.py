"""Which checks run on pull requests into a long-lived branch. Only those can be required of it."""

from django.conf import settings

from environments.github import GitHub
from environments.models import Project

PULLS = 2  # the newest ones that are looked at


def on_changes_into(github: GitHub, project: Project, branch: str) -> list[str] | None:
    """Return the names of the checks that ran on the newest pull requests into `branch`, sorted.

    Without any, of its own head. Into production goes staging's head, so that counts there as well.
    None: this token may not read checks. Raise `ApiError`.
    """
    heads = github.newest_heads(branch, PULLS)
    is_production = branch == project.production_branch
    if is_production or not heads:
        own = github.branch_head(project.staging_branch if is_production else branch)
        heads = [*heads, *([own] if own else [])]
    results = [github.checks(head) for head in dict.fromkeys(heads)]
    if results and all(checks is None for checks in results):
        return None
    names = {check.name for checks in results for check in checks or ()}
    return sorted(names - {settings.STATUS_CONTEXT})
