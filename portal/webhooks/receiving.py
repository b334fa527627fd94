"""The views that take deliveries, and what they answer."""

import hashlib
import hmac
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.http import require_POST

from portal import audit
from portal.logs.trace import View
from portal.models.webhooks import WebhookDelivery
from portal.outbound.parsing import JsonObject, text
from portal.redaction import HIDDEN
from portal.webhooks.deliveries import Delivery, Mark, Outcome, forget_old, keep
from portal.webhooks.secrets import github_signature, secret_fault

MAX_BYTES = 25 * 1024 * 1024 + 64 * 1024  # GitHub sends at most 25 MB; some slack for how it counts
LARGE_BYTES = 1024 * 1024

_SIGNATURE = re.compile(r"sha256=[0-9a-fA-F]{64}")
_GUID = re.compile(r"[0-9A-Za-z-]{1,100}")
# The objects of a large body take several times its size: read one such body at a time.
_reading_large = threading.Lock()
NOTED_SECONDS = 600.0
_noting = threading.Lock()
# By source: when a forgery was last noted, and how many came since.
_noted: dict[str, tuple[float, int]] = {}

log = logging.getLogger(__name__)
Handler = Callable[[str, JsonObject], Mark | None]


class _Unacceptable(Exception):
    """The request is answered with this status and sentence, and nothing of it is kept."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def ahead_of_people(get_response: View) -> View:
    """Middleware: deliveries go to their views past all that only people need, as sessions."""

    def handle(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/webhooks/"):
            return get_response(request)
        try:
            match = resolve(request.path_info)
        except Resolver404:  # answered with a page for people, under their policies
            return get_response(request)
        return match.func(request, *match.args, **match.kwargs)

    return handle


@require_POST
def receive_github(request: HttpRequest) -> HttpResponse:
    """Take a delivery of GitHub, proven by the secret's `X-Hub-Signature-256` over the raw body.

    202 kept, 200 known already, 400 genuine but unreadable, 401 forged, 411 and 413 for its length,
    500 when a handler failed and 503 when not configured or without database: then it may be
    delivered again.
    """
    try:
        secret = _secret("GITHUB_WEBHOOK_SECRET")
        signature = request.headers.get("X-Hub-Signature-256", "")
        if not _SIGNATURE.fullmatch(signature):
            return _refused(request, "github")
        body = _body(request)
        if not hmac.compare_digest(github_signature(secret, body), signature.lower()):
            return _refused(request, "github")
        guid = request.headers.get("X-GitHub-Delivery", "")
        event = text(request.headers.get("X-GitHub-Event"), 100)
        if not _GUID.fullmatch(guid) or not event:
            raise _Unacceptable(400, "X-GitHub-Delivery or X-GitHub-Event is missing: send both.")
        return _receive(Delivery("github", guid, event, body, *_read(body)), now=timezone.now())
    except _Unacceptable as reason:
        return _answer(reason.status, str(reason))


def receive_railway(request: HttpRequest, secret: str) -> HttpResponse:
    """Take a delivery of Railway, which signs nothing: the address holds RAILWAY_WEBHOOK_SECRET.

    Answers as `receive_github` does. Railway gives no id, so the body's SHA-256 is taken for it.
    """
    # Django logs the path of whatever is not answered with success.
    request.path = request.path_info = f"/webhooks/railway/{HIDDEN}/"
    return _receive_railway(request, secret)


@require_POST
def _receive_railway(request: HttpRequest, secret: str) -> HttpResponse:
    try:
        expected = _secret("RAILWAY_WEBHOOK_SECRET")
        if not hmac.compare_digest(expected.encode(), secret.encode("utf-8", "replace")):
            return _refused(request, "railway")
        body = _body(request)
        payload, problem = _read(body)
        event = text(payload.get("type"), 100) if payload else ""
        digest = hashlib.sha256(body).hexdigest()
        delivery = Delivery("railway", digest, event, body, payload, problem)
        return _receive(delivery, now=timezone.now())
    except _Unacceptable as reason:
        return _answer(reason.status, str(reason))


def _secret(setting: str) -> str:
    if fault := secret_fault(setting):
        raise _Unacceptable(503, fault)
    return getattr(settings, setting)


def _body(request: HttpRequest) -> bytes:
    """Return the raw body, which may be larger than Django's own limit (2.5 MB)."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if not (length.isascii() and length.isdigit()):
        raise _Unacceptable(411, "The length of the body is missing: send Content-Length.")
    if len(length) > 12 or int(length) > MAX_BYTES:
        raise _Unacceptable(413, "The body is larger than the 25 MB that GitHub sends at most.")
    body = bytearray()
    try:
        while piece := request.read(64 * 1024):
            body += piece
    except OSError:  # the sender hung up
        body.clear()
    if len(body) != int(length):
        raise _Unacceptable(400, "The body ended early: send it again.")
    return bytes(body)


def _read(body: bytes) -> tuple[dict[str, object] | None, str]:
    """Return the JSON object in a genuine body, or None and why there is none."""
    try:
        with _reading_large if len(body) > LARGE_BYTES else nullcontext():
            payload = json.loads(body)
    except RecursionError:
        return None, "The body is nested too deeply."
    except ValueError:
        return None, "The body is not JSON: set the webhook's content type to application/json."
    if not isinstance(payload, dict):
        return None, "The body is JSON, but no object."
    return payload, ""


def _receive(delivery: Delivery, *, now: datetime) -> HttpResponse:
    try:
        mark = _mark(delivery)
    except Exception as error:
        log.exception("The handler of %s failed.", delivery.source)
        return _failed(delivery, f"{type(error).__name__}: {error}", now)
    outcome = Outcome.HANDLED if delivery.payload is not None else Outcome.UNREADABLE
    try:
        pk, known = keep(delivery, mark, outcome, delivery.problem, now)
        if not known and pk % 100 == 0:
            forget_old(now=now)
    except DatabaseError:
        return _not_kept(delivery)
    if delivery.payload is None:
        return _answer(400, delivery.problem)
    return _answer(200, "Known already.") if known else _answer(202, "Thank you.")


def _mark(delivery: Delivery) -> Mark | None:
    """Return what the delivery's handler marks."""
    path = settings.WEBHOOK_HANDLERS.get(delivery.source)
    if path is None or delivery.payload is None:
        return None
    handler: Handler = import_string(path)
    return handler(delivery.event, delivery.payload)


def _failed(delivery: Delivery, error: str, now: datetime) -> HttpResponse:
    try:
        _, known = keep(delivery, None, Outcome.FAILED, text(error, 500), now)
    except DatabaseError:
        return _not_kept(delivery)
    why = "The portal could not use this delivery: its log says why; then deliver it again."
    return _answer(200, "Known already.") if known else _answer(500, why)


def _not_kept(delivery: Delivery) -> HttpResponse:
    log.exception("A webhook of %s could not be kept.", delivery.source)
    return _answer(503, "The portal cannot keep this delivery now: deliver it again later.")


def _refused(request: HttpRequest, source: str) -> HttpResponse:
    try:
        note_forgery(source, text(request.META.get("REMOTE_ADDR"), 60), clock=time.monotonic())
    except DatabaseError:
        log.exception("A forged webhook of %s could not be noted.", source)
    return _answer(401, "This delivery is not genuine: the secrets of sender and portal differ.")


def _answer(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")


def note_forgery(source: str, address: str, *, clock: float) -> None:
    """Record one audit event for the first forged delivery in ten minutes (`clock`, in seconds);
    each process counts the others, so that a flood costs no database.
    """
    with _noting:
        last, since = _noted.get(source, (float("-inf"), 0))
        if clock - last < NOTED_SECONDS:
            _noted[source] = (last, since + 1)
            return
        _noted[source] = (clock, 0)
    name = WebhookDelivery.Source(source).label
    more = f", and {since} more since the last such event" if since else ""
    whose = f"from {address or 'somewhere'} in the name of {name}"
    sentence = f"A webhook {whose} was refused as forged{more}."
    data = {"source": source, "address": address, "since": since}
    with transaction.atomic():
        audit.record("webhook.refused", actor=None, outcome="refused", sentence=sentence, data=data)
