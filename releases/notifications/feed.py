"""Reads the audit trail and makes notices of its events.

The trail has no gaps, so none is missed or made twice.
"""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from portal.jobs import Outcome, Requeue, holds
from portal.models.audit import AuditEvent, AuditHead
from releases.models import Channel, Notice, NotificationFeed
from releases.notifications.kinds.registry import KINDS, Kind
from releases.notifications.message import awaited, message_of

SECONDS, RESTING_SECONDS = 5.0, 60.0
AT_ONCE = 200  # events in one transaction
KEPT = timedelta(days=30)  # notices that have ended


def begin(now: datetime | None = None) -> None:
    """Make the row that reads the trail, from now on, and have it read soon."""
    now = now or timezone.now()
    head = AuditHead.objects.values_list("position", flat=True).first() or 0
    NotificationFeed.objects.get_or_create(single=True, defaults={"position": head, "wake_at": now})
    NotificationFeed.objects.filter(wake_at__gt=now).update(wake_at=now)


def step(job: NotificationFeed, *, now: datetime) -> Outcome:
    """Read the next events; make a notice for each channel that wants one."""
    channels = list(Channel.objects.select_related("project", "person"))
    with transaction.atomic():
        if not holds(job):
            return Requeue(0)
        later = AuditEvent.objects.filter(position__gt=job.position)
        events = list(later.order_by("position")[:AT_ONCE])
        if events:
            rows = [notice for event in events for notice in notices(event, channels, now)]
            Notice.objects.bulk_create(rows, ignore_conflicts=True)
            NotificationFeed.objects.filter(pk=job.pk).update(position=events[-1].position)
        Notice.objects.filter(finished_at__lt=now - KEPT).delete()
    if len(events) == AT_ONCE:
        return Requeue(0)
    return Requeue(SECONDS if channels else RESTING_SECONDS, "The trail is read for notifications.")


def notices(event: AuditEvent, channels: list[Channel], now: datetime) -> Iterator[Notice]:
    """Yield a notice for each channel that wants to be told of `event`, of the first such kind."""
    kinds = [kind for kind in KINDS.values() if kind.tells(event)]
    for channel in channels if kinds else ():
        kind = next((kind for kind in kinds if _wants(channel, kind, event)), None)
        if kind is not None:
            yield Notice(
                channel=channel,
                kind=kind.name,
                position=event.position,
                payload=asdict(message_of(event, kind)),
                created_at=now,
                wake_at=now,
            )


def _wants(channel: Channel, kind: Kind, event: AuditEvent) -> bool:
    """Return whether the channel is told this kind, of this project, and its person is meant."""
    if kind.name not in channel.kinds:
        return False
    if channel.project and event.scope and channel.project.slug != event.scope:
        return False
    if channel.person is None:
        return True
    permission = kind.awaits.get(event.action)
    return channel.person.is_active and (
        permission is None or channel.person in awaited(permission, event)
    )
