"""Checks that the overview did not contain, read commit by commit while the rate limit allows.

A fine-grained token is shown no check runs; then commit statuses and the jobs of GitHub Actions
stand in for them.
"""

from collections.abc import Sequence
from dataclasses import replace

from environments.github import GitHub, Overview, Pull
from environments.models import Project
from portal.outbound.http import ApiError
from releases.models.pull_requests import PullRequest

# Open pull requests for each reading; each takes up to four calls. A release's own are always read.
EACH_TIME = 2


def read_hidden(github: GitHub, project: Project, overview: Overview) -> Overview:
    """Return `overview` with the checks of releases and of those longest unread."""
    named = tuple(_read(github, pull) for pull in overview.named)
    wanted = _longest_unread(project, overview.open_pulls)
    opened = tuple(
        _read(github, pull) if pull.number in wanted else pull for pull in overview.open_pulls
    )
    return replace(overview, named=named, open_pulls=opened)


def _longest_unread(project: Project, pulls: Sequence[Pull]) -> set[int]:
    """Return the hidden ones that were read longest ago, never read ones first."""
    hidden = {pull.number: pull.head_sha for pull in pulls if pull.checks is None}
    if not hidden:
        return set()
    rows = PullRequest.objects.filter(project=project, number__in=hidden).only(
        "number", "head_sha", "checks_at"
    )
    read = {
        row.number: row.checks_at
        for row in rows
        if row.head_sha == hidden[row.number] and row.checks_at
    }
    never = [number for number in hidden if number not in read]
    return set([*never, *sorted(read, key=lambda number: read[number])][:EACH_TIME])


def _read(github: GitHub, pull: Pull) -> Pull:
    if pull.checks is not None or pull.state != "open":
        return pull
    try:
        return replace(pull, checks=github.checks(pull.head_sha))
    except ApiError:
        # The rest of the reading is worth keeping; what is known of the checks grows old.
        return pull
