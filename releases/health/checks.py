"""Checks of what is read from GitHub."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings

from environments.health.checks import sync_result
from portal.health.registry import Result, check
from releases.models.pull_requests import GitHubSync


@check("GitHub readings", unit="seconds")
def github_sync(now: datetime) -> Iterator[Result]:
    """When each project was last read from GitHub, and what stood in the way since."""
    old = now - timedelta(seconds=max(120.0, 4 * settings.SYNC_SECONDS))
    for job in GitHubSync.objects.select_related("project"):
        late = job.synced_at is None or job.synced_at < old
        yield sync_result("GitHub", job.project, job.synced_at, job.problem, late=late, now=now)
