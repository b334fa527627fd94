"""How long a preview waits for Railway, and how it reports a failure."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from environments.models import Preview, PreviewState
from portal import audit
from portal.jobs import Outcome, Requeue


def patience() -> timedelta:
    """Return how long what was asked for is waited for before it counts as never done."""
    return timedelta(seconds=settings.PREVIEW_PATIENCE_SECONDS)


def fail(job: Preview, message: str, now: datetime) -> Outcome:
    """Say what is wrong and go on looking, slowly: a push, a person or Railway may fix it."""
    if job.state != PreviewState.FAILED:
        with transaction.atomic():
            job.keep(state=PreviewState.FAILED)
            audit.record_by_portal("preview.failed", job, message, outcome="failed", now=now)
    return Requeue(30, message)
