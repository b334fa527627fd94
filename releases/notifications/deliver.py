"""Delivers one notice: tries for a day while the other side is out of order, then says why."""

from datetime import datetime

from portal.jobs import Finished, JobStatus, Outcome, Requeue
from portal.outbound.http import ApiError
from portal.secrets import Unreadable
from releases.models import Channel, Notice
from releases.notifications.message import Message
from releases.notifications.transports import TRANSPORTS, Undeliverable

PAUSES = (10.0, 30.0, 120.0, 600.0, 1800.0)  # seconds; then an hour each
MOST_TRIES = 5 + 23


def step(job: Notice, *, now: datetime) -> Outcome:
    """Send the notice once.

    The same notice keeps its id, by which a receiver tells a repetition.
    """
    tries = job.tries + 1
    Notice.objects.filter(pk=job.pk).update(tries=tries)
    try:
        channel = Channel.objects.get(pk=job.channel_id)
        TRANSPORTS[channel.transport](channel, f"notice-{job.pk}", Message(**job.payload), now)
    except (Undeliverable, Unreadable) as refusal:
        return Finished(JobStatus.FAILED, str(refusal))
    except ApiError as error:
        if tries >= MOST_TRIES:
            return Finished(JobStatus.FAILED, f"Given up after {tries} tries: {error.sentence}")
        pause = PAUSES[job.tries] if job.tries < len(PAUSES) else 3600.0
        Channel.objects.filter(pk=job.channel_id).update(problem=error.sentence)
        return Requeue(max(pause, error.retry_after or 0.0), error.sentence)
    return Finished(JobStatus.SUCCEEDED, "Delivered.")
