"""Which jobs are due or running, over all kinds of job, and whether the queue moves.

A worker looks every second, by one query: an idle portal has twenty kinds of job and nothing to do.
"""

import functools
from datetime import datetime, timedelta

from django.apps import apps
from django.db import connection, models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from portal.jobs import (
    OPEN,
    RENEW_SECONDS,
    Heartbeat,
    Job,
    JobStatus,
    job_models,
    queue,
    this_worker,
)

WAKE_AGAIN = timedelta(seconds=15)
FRESH_BEAT = timedelta(seconds=2 * RENEW_SECONDS)
EACH = 200  # of one kind, in one sweep

_OPEN = ", ".join(f"'{status}'" for status in OPEN)
_DUE = f"""status IN ({_OPEN}) AND wake_at <= clock.now
    AND (lease_until IS NULL OR lease_until < statement_timestamp())
    AND (woken_at IS NULL OR woken_at < clock.since)"""
_BUSY = f"""status = '{JobStatus.RUNNING}' AND lease_until IS NOT NULL
    AND heartbeat_at > clock.since AND holder = clock.me"""


def sweep(now: datetime | None = None) -> int:
    """Wake every job that is due and that nobody woke lately. Return how many."""
    now = now or timezone.now()
    lately = now - WAKE_AGAIN
    woken = 0
    for label, pk in _where(_DUE, now, since=lately):
        model = apps.get_model(label)
        # Claim the waking by UPDATE: another sweeper may have won.
        asleep = Q(woken_at=None) | Q(woken_at__lt=lately)
        if due(model, now).filter(asleep, pk=pk).update(woken_at=now):
            queue(model, pk)
            woken += 1
    return woken


def busy() -> frozenset[tuple[str, int]]:
    """Return the jobs that the processes of this worker run at this moment, by label and key."""
    now = timezone.now()
    return frozenset(_where(_BUSY, now, since=now - FRESH_BEAT))


def _where(condition: str, now: datetime, *, since: datetime) -> list[tuple[str, int]]:
    """Label and key of every job for which `condition` holds, by one query over all tables."""
    with connection.cursor() as cursor:
        cursor.execute(_everywhere(condition), [now, since, this_worker()])
        return cursor.fetchall()


@functools.cache
def _everywhere(condition: str) -> str:
    # Only our own names stand in it. The times are handed over once, not once for each table.
    query = "(SELECT '{}', id FROM {}, clock WHERE {} LIMIT {})"
    return "WITH clock AS (SELECT %s AS now, %s AS since, %s AS me) " + " UNION ALL ".join(
        query.format(model._meta.label, model._meta.db_table, condition, EACH)
        for model in job_models()
    )


def due(model: type[Job], now: datetime) -> models.QuerySet[Job]:
    """Return the jobs of this kind that are due and that nobody runs."""
    return model._default_manager.filter(
        Q(lease_until=None) | Q(lease_until__lt=Now()), status__in=OPEN, wake_at__lte=now
    )


def canary(token: str, name: str = "worker") -> None:
    """Write the proof of progress that the worker `name` awaits; forget workers of days ago."""
    now = timezone.now()
    Heartbeat.objects.update_or_create(name=name, defaults={"token": token, "at": now})
    Heartbeat.objects.filter(at__lt=now - timedelta(days=1)).delete()


def canary_seen(token: str) -> bool:
    """Return whether the canary `token` has flown."""
    return Heartbeat.objects.filter(token=token).exists()
