"""The job that checks every credential."""

from dataclasses import asdict
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from environments.connections import check, connection
from environments.models import ConnectionCheck, CredentialWatch
from portal import audit
from portal.jobs import Outcome, Requeue, holds, wake_now

CONNECTIONS_SECONDS = 3600.0


def check_connections(job: ConnectionCheck, *, now: datetime) -> Outcome:
    """Look once at every credential; one event when what they can do has changed."""
    results = [asdict(result) for result in check.diagnose()]
    watch, _ = CredentialWatch.objects.get_or_create(single=True)
    with transaction.atomic():
        if not holds(job):
            return Requeue(0)
        ConnectionCheck.objects.filter(pk=job.pk).update(found=results, checked_at=timezone.now())
        states = {result["name"]: result["state"] for result in results}
        if states != {result["name"]: result["state"] for result in job.found}:
            failed = [result for result in results if result["state"] == connection.FAIL]
            bad = [f"{result['name']}: {result['sentence']}" for result in failed]
            audit.record_by_portal(
                "connections.checked",
                job,
                " ".join(bad) or "Every credential has the required permissions.",
                outcome="found" if bad else "done",
                data={"states": states},
                now=now,
            )
            wake_now(watch, now=now)
    return Requeue(CONNECTIONS_SECONDS, "Connections checked.")
