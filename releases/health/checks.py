"""Checks of what is read from GitHub."""

from collections.abc import Iterator
from datetime import datetime

from environments.health.checks import sync_result
from environments.quota import pace
from portal.health.registry import Result, check
from releases.models.pull_requests import GitHubSync


@check("GitHub readings", unit="seconds")
def github_sync(now: datetime) -> Iterator[Result]:
    """Report when each project was last read from GitHub, and what stood in the way since."""
    for job in GitHubSync.objects.select_related("project"):
        late = job.synced_at is None or job.synced_at < pace.stale_since(job, now)
        yield sync_result("GitHub", job.project, job.synced_at, job.problem, late=late, now=now)
