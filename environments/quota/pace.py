"""How often a project's Railway is read: often while something moves or a release is prepared, else
seldom.

Railway counts requests by the hour. Webhooks that demonstrably announce what changes let the
readings rest longer.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol

from django.conf import settings
from django.db.models import Q

from environments.models import UNDER_WAY, DatabaseSync, Deployment, Project, RailwaySync
from environments.quota import allowance
from environments.railway import ProjectTree
from portal.models.webhooks import WebhookDelivery

WATCHED = timedelta(minutes=5)
STEADY, RESTING = (
    2,
    10,
)  # times SYNC_SECONDS: fresh enough for a gate, and often enough where webhooks arrive
DATABASES_RESTING = 20
MOVES_FOR = timedelta(
    minutes=30
)  # a deployment that takes longer hangs, and is checked at a steady pace
LOOKED_THROUGH = 200


def watch(project: Project, *, now: datetime) -> bool:
    """Have the project's rows kept fresh for some minutes from now on: a release or a person
    needs them. Return whether that is news.
    """
    sync = RailwaySync.objects.filter(project=project)
    soon = Q(watched_until=None) | Q(watched_until__lt=now + WATCHED / 2)
    is_news = bool(sync.filter(soon).update(watched_until=now + WATCHED))
    if is_news:
        old = now - timedelta(seconds=STEADY * settings.SYNC_SECONDS)
        sync.filter(Q(synced_at=None) | Q(synced_at__lt=old), wake_at__gt=now).update(wake_at=now)
        later = now + timedelta(seconds=STEADY * settings.SYNC_SECONDS)
        DatabaseSync.objects.filter(project=project, wake_at__gt=later).update(wake_at=now)
    return is_news


def of_railway(job: RailwaySync, newest: Iterable[Deployment], *, now: datetime) -> float:
    """Return the seconds until the project is read again, and keep them on the row.

    `newest`: the newest deployment of each service of staging and production.
    """
    watched = is_watched(job, now)
    if any(_is_moving(deployment, now) for deployment in newest):
        seconds = settings.SYNC_SECONDS
    elif watched or job.heard_at is None:
        seconds = STEADY * settings.SYNC_SECONDS
    else:
        seconds = RESTING * settings.SYNC_SECONDS
    seconds = allowance.pause(job.project, now, watched=watched, base=seconds)
    if job.pace != seconds:
        RailwaySync.objects.filter(pk=job.pk).update(pace=seconds)
    return seconds


def of_databases(project: Project, *, now: datetime) -> float:
    """Return the seconds until the databases are asked again for their revisions."""
    job = RailwaySync.objects.filter(project=project).first()
    return (STEADY if job and is_watched(job, now) else DATABASES_RESTING) * settings.SYNC_SECONDS


def is_watched(job: RailwaySync, now: datetime) -> bool:
    """Return whether a release or a person needs fresh rows."""
    watched_until = (
        RailwaySync.objects.filter(pk=job.pk).values_list("watched_until", flat=True).first()
    )
    return watched_until is not None and watched_until > now


class HasPace(Protocol):
    """A reading that keeps how many seconds it rests."""

    pace: float


def stale_since(job: HasPace, now: datetime) -> datetime:
    """Return the moment before which a reading is older than the pace explains."""
    return now - timedelta(seconds=max(120, 4 * settings.SYNC_SECONDS, 2 * job.pace))


def _is_moving(deployment: Deployment, now: datetime) -> bool:
    """Return whether it is under way, and does not hang."""
    began = deployment.created_at
    return deployment.status in UNDER_WAY and (began is None or began > now - MOVES_FOR)


def listen(job: RailwaySync, tree: ProjectTree, *, now: datetime) -> None:
    """Note whether a change of deployments was announced by a webhook.

    Call before the reading is written down.

    One that comes a moment after the reading counts too: the next reading judges.
    """
    seen = _digest(tree)
    changed = bool(job.seen) and job.seen != seen
    since = job.unheard_since or (job.synced_at if changed else None)
    heard_at, unheard = job.heard_at, None
    if since is not None and _announced(job.project, since):
        heard_at = now
    elif since is not None:
        unheard = since if job.unheard_since is None else None
        heard_at = heard_at if unheard else None
    if (seen, heard_at, unheard) != (job.seen, job.heard_at, job.unheard_since):
        RailwaySync.objects.filter(pk=job.pk).update(
            seen=seen, heard_at=heard_at, unheard_since=unheard
        )
        job.seen, job.heard_at, job.unheard_since = seen, heard_at, unheard


def _digest(tree: ProjectTree) -> str:
    states: Collection[str] = sorted(
        f"{deployment.id} {deployment.status} {deployment.stopped}"
        for environment in tree.environments
        for instance in environment.instances
        for deployment in (
            *instance.active_deployments,
            *filter(None, [instance.latest_deployment]),
        )
    )
    return sha256("\n".join(states).encode()).hexdigest()


def _announced(project: Project, since: datetime) -> bool:
    """Return whether Railway sent a webhook about the project since then, or just before."""
    rows = WebhookDelivery.objects.filter(source=WebhookDelivery.Source.RAILWAY).order_by("-pk")[
        :LOOKED_THROUGH
    ]
    early = since - timedelta(seconds=5)
    return any(
        received_at >= early and project.railway_project_id in body
        for received_at, body in rows.values_list("received_at", "body")
    )
