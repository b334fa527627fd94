"""What machines and people ask about the portal's health.

Machines are answered past sessions, whatever the host.
"""

import hmac
import threading
import time
from itertools import groupby

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from portal.health import metrics, registry
from portal.health.registry import Reading, State
from portal.logs.trace import View
from portal.models.health import Incident
from portal.outbound import http
from portal.ui.site import page

KEPT_SECONDS = 2.0  # a reading is reused this long: many requests then cost one query
_reading = threading.Lock()
_last: tuple[float, list[Reading]] = (float("-inf"), [])


def ahead_of_hosts(get_response: View) -> View:
    """Middleware: platforms ask without TLS, by hosts such as healthcheck.railway.app."""
    views = {"/health/live": live, "/health/ready": ready, "/metrics": metrics_page}

    def handle(request: HttpRequest) -> HttpResponse:
        return views.get(request.path_info, get_response)(request)

    return handle


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Answer 200 while this process answers at all; asks nobody else."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 while people can be served, else 503; the state of every check as JSON.

    With `?all` also 503 while any check fails: for a monitor that knows nothing but the status.
    What the checks found in detail is told to those who may read the metrics.
    """
    readings = _readings()
    state = registry.worst(readings)
    needed = registry.worst(readings, needed=True)
    bad = (state if "all" in request.GET else needed) is State.FAILING
    checks = _in_detail(readings) if _may_read(request) else _in_short(readings)
    body = {"status": state, "ready": needed is not State.FAILING, "checks": checks}
    return JsonResponse(body, status=503 if bad else 200)


@never_cache
@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Show metrics to who sends METRICS_TOKEN as bearer, or while none is set, to this machine."""
    if not _may_read(request):
        sentence = "Send METRICS_TOKEN as bearer token, or ask from the portal's own machine.\n"
        return HttpResponse(sentence, status=403, content_type="text/plain")
    return HttpResponse(
        metrics.exposition(timezone.now()), content_type="text/plain; version=0.0.4"
    )


@page
def status_page(request: HttpRequest) -> HttpResponse:
    """Show the same checks for people, with open and recent incidents."""
    if not request.user.has_perm("releases.view_release"):
        raise PermissionDenied
    readings = _readings()
    recent = Incident.objects.exclude(announced_at=None).order_by("-opened_at")[:20]
    context = {
        "readings": readings,
        "worst": registry.worst(readings),
        "incidents": recent,
        "now": timezone.now(),
    }
    return render(request, "portal/health/status.html", context)


def _readings() -> list[Reading]:
    global _last
    with _reading:
        if time.monotonic() - _last[0] > KEPT_SECONDS:
            _last = (time.monotonic(), registry.run(timezone.now()))
        return _last[1]


def _in_detail(readings: list[Reading]) -> list[dict[str, object]]:
    columns = ("subject", "state", "sentence", "value")
    return [
        {"check": reading.check.name} | {name: getattr(reading.result, name) for name in columns}
        for reading in readings
    ]


def _in_short(readings: list[Reading]) -> list[dict[str, object]]:
    """Return the worst state of each check."""
    each = groupby(readings, key=lambda reading: reading.check.name)
    return [{"check": name, "state": registry.worst(group)} for name, group in each]


def _may_read(request: HttpRequest) -> bool:
    """Return whether the token is sent or, while none is set, this machine asks past no proxy."""
    if settings.METRICS_TOKEN:
        message = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(
            message.encode("utf-8", "replace"), settings.METRICS_TOKEN.encode()
        )
    forwarded = ("X-Forwarded-For", "Forwarded", "X-Real-IP", settings.CLIENT_ADDRESS_HEADER)
    return http.is_loopback(request.META.get("REMOTE_ADDR")) and not any(
        name in request.headers for name in forwarded
    )


@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 “ok” when the database answers, else 503 and one sentence."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        message = "The portal's database does not answer.\n"
        return HttpResponse(message, status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")
