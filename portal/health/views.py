"""What machines and people ask about the portal's health.

Machines are answered past sessions, whatever the host.
"""

import hmac
import threading
import time
from collections.abc import Callable

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
from portal.models.health import Incident
from portal.outbound import http
from portal.ui.site import page

KEPT_SECONDS = 2.0  # a reading is reused this long: many requests then cost one query
_reading = threading.Lock()
_last: tuple[float, list[Reading]] = (float("-inf"), [])


def ahead_of_hosts(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: platforms ask by hosts of their own, such as healthcheck.railway.app, and
    without TLS.
    """
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
    in_detail = _may_read(request)
    state = registry.worst(readings)
    needed = registry.worst(readings, needed=True)
    bad = (state if "all" in request.GET else needed) is State.FAILING
    body = {
        "status": state,
        "ready": needed is not State.FAILING,
        "checks": _as_json(readings, in_detail),
    }
    return JsonResponse(body, status=503 if bad else 200)


@never_cache
@require_safe
def metrics_page(request: HttpRequest) -> HttpResponse:
    """Show metrics to whoever sends METRICS_TOKEN as bearer, or asks from this machine while none
    is set.
    """
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


def _as_json(readings: list[Reading], in_detail: bool) -> list[dict[str, object]]:
    """Return one object for each result; without details one for each check, with its worst
    state.
    """
    if in_detail:
        return [
            {
                "check": reading.check.name,
                "subject": reading.result.subject,
                "state": reading.result.state,
                "sentence": reading.result.sentence,
                "value": reading.result.value,
            }
            for reading in readings
        ]
    names = dict.fromkeys(reading.check.name for reading in readings)
    return [
        {
            "check": name,
            "state": registry.worst(reading for reading in readings if reading.check.name == name),
        }
        for name in names
    ]


def _may_read(request: HttpRequest) -> bool:
    """Return whether the token is sent; while none is set, whether the request comes from this
    machine and past no proxy.
    """
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
        return HttpResponse(
            "The portal's database does not answer.\n", status=503, content_type="text/plain"
        )
    return HttpResponse("ok\n", content_type="text/plain")
