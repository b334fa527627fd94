"""The watch beside the web server: reports, evaluates checks, does urgent jobs without a worker."""

import logging
import threading
import time

from django.db import DatabaseError, close_old_connections, connection
from django.http import HttpRequest
from django.utils import timezone

from portal import jobs
from portal.health import incidents, reports
from portal.jobs import running, sweep
from portal.models.health import Incident

log = logging.getLogger(__name__)


_open: tuple[Incident, ...] = ()


def beat(role: str) -> None:
    """Report this process and evaluate the checks if it is time. Raise `DatabaseError`."""
    global _open
    reports.report(role)
    incidents.look(timezone.now())
    _open = tuple(
        Incident.objects.filter(closed_at=None).exclude(announced_at=None).order_by("opened_at")
    )


def on_pages(request: HttpRequest) -> dict[str, object]:
    """Context processor: the open incidents as of this process's last beat, without a query."""
    return {"portal_incidents": _open}


def start_beside_web() -> None:
    """Start the watch as a thread of this web process, which ends with it."""
    threading.Thread(target=_watch, name="health", daemon=True).start()


def _watch() -> None:
    while True:
        close_old_connections()
        try:
            beat("web")
            if not reports.worker_lives():
                do_urgent_jobs()
        except DatabaseError as error:
            what = str(error).strip().partition("\n")[0]
            log.warning("The health watch could not ask the database: %s", what)
            connection.close()
        except Exception:
            log.exception("The health watch failed once; it goes on.")
            connection.close()
        time.sleep(reports.REPORT_SECONDS)


def do_urgent_jobs() -> None:
    """Run the due jobs of urgent kinds here, such as telling people that no worker lives."""
    now = timezone.now()
    for model in (model for model in jobs.job_models() if model.urgent):
        for pk in list(sweep.due(model, now).values_list("pk", flat=True)[:50]):
            running.wake(model._meta.label, pk)
