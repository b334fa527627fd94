"""Metrics for Prometheus: what the checks found, what jobs wait, and how quickly this web server
answers.
"""

import time
from datetime import datetime
from functools import partial

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest

from portal.health.registry import State, run, worst
from portal.jobs import job_models
from portal.logs.trace import View
from portal.models.health import Incident
from portal.version import VERSION

_process = CollectorRegistry()
ProcessCollector(registry=_process)
requests = Histogram(
    "portal_request_seconds",
    "Time that this web process took to answer, by page.",
    ["page", "status"],
    registry=_process,
)


def timed(get_response: View) -> View:
    """Middleware: how long each page takes, by the name of its address, never the address."""

    def handle(request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        response = get_response(request)
        match = request.resolver_match
        page = (match.url_name if match else "") or "other"
        requests.labels(page, str(response.status_code)).observe(time.perf_counter() - started)
        return response

    return handle


def exposition(now: datetime) -> bytes:
    """Return every metric in Prometheus' text format."""
    registry = CollectorRegistry()
    gauge = partial(Gauge, registry=registry)
    readings = run(now)
    serves = worst(readings, needed=True) is not State.FAILING
    gauge("portal_up", "1 while the portal can serve people.").set(serves)
    gauge("portal_build_info", "The version that answers.", ["version"]).labels(VERSION).set(1)
    states = gauge(
        "portal_check_state", "0 ok, 1 unknown, 2 warning, 3 failing.", ["check", "subject"]
    )
    values = gauge("portal_check_value", "What the check measured.", ["check", "subject", "unit"])
    for reading in readings:
        name, result = reading.check.name, reading.result
        states.labels(name, result.subject).set(list(State).index(result.state))
        if result.value is not None:
            values.labels(name, result.subject, reading.check.unit).set(result.value)
    if serves:
        jobs = gauge("portal_jobs", "Jobs, by kind and status.", ["kind", "status"])
        for model in job_models():
            rows = model._default_manager.values_list("status").annotate(Count("pk")).order_by()
            for status, count in rows:
                jobs.labels(model._meta.label_lower, status).set(count)
        open_ones = Incident.objects.filter(closed_at=None).exclude(announced_at=None).count()
        gauge("portal_open_incidents", "Incidents that are announced and open.").set(open_ones)
    return generate_latest(registry) + generate_latest(_process)
