"""Have both mirrors of a project kept fresh while a release or a person needs them."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from environments.models import Project
from environments.quota import pace
from releases.models.pull_requests import GitHubSync


def watch(project: Project, *, now: datetime) -> None:
    """Have Railway and GitHub read often for some minutes, and soon if long unread."""
    if pace.watch(project, now=now):
        old = now - timedelta(seconds=2 * settings.SYNC_SECONDS)
        sync = GitHubSync.objects.filter(project=project, wake_at__gt=now)
        sync.filter(Q(synced_at=None) | Q(synced_at__lt=old)).update(wake_at=now)
