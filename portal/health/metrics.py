"""Metrics for Prometheus: what the checks found, what jobs wait, and how quickly this web server
answers.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from portal.health.registry import Reading, State, run, worst
from portal.jobs import job_models
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


def timed(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: how long each page takes, by the name of its address and never by the address
    itself.
    """

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
    registry.register(_Rows(now))
    return generate_latest(registry) + generate_latest(_process)


class _Rows:
    """A collector of what rows say, asked once."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        readings = run(self.now)
        yield GaugeMetricFamily(
            "portal_up",
            "1 while the portal can serve people.",
            value=float(worst(readings, needed=True) is not State.FAILING),
        )
        version = GaugeMetricFamily(
            "portal_build_info", "The version that answers.", labels=["version"]
        )
        version.add_metric([VERSION], 1)
        yield version
        yield from _checks(readings)
        if worst(readings, needed=True) is not State.FAILING:
            yield _jobs()
            open_ones = Incident.objects.filter(closed_at=None).exclude(announced_at=None).count()
            yield GaugeMetricFamily(
                "portal_open_incidents", "Incidents that are announced and open.", value=open_ones
            )


def _checks(readings: list[Reading]) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "portal_check_state", "0 ok, 1 unknown, 2 warning, 3 failing.", labels=["check", "subject"]
    )
    values = GaugeMetricFamily(
        "portal_check_value", "What the check measured.", labels=["check", "subject", "unit"]
    )
    order = list(State)
    for reading in readings:
        states.add_metric(
            [reading.check.name, reading.result.subject], order.index(reading.result.state)
        )
        if reading.result.value is not None:
            values.add_metric(
                [reading.check.name, reading.result.subject, reading.check.unit],
                reading.result.value,
            )
    yield states
    yield values


def _jobs() -> Metric:
    jobs = GaugeMetricFamily("portal_jobs", "Jobs, by kind and status.", labels=["kind", "status"])
    for model in job_models():
        counts = model._default_manager.values_list("status").annotate(count=Count("pk")).order_by()
        for status, count in counts:
            jobs.add_metric([model._meta.label_lower, status], count)
    return jobs
