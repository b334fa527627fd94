"""What GitHub and Railway call: a genuine delivery is stored once and shown to its handler, or neither.

A webhook is only a hint that something moved; handlers mark rows as stale, and sync reads the truth. Handlers
are named in `settings.WEBHOOK_HANDLERS`, {"github": "releases.webhooks.on_github", …}, and called as
`handler(event, payload)`.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Never

from django.conf import settings
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from portal.audit import clean, record
from portal.models import WebhookDelivery

log = logging.getLogger(__name__)

# GitHub sends at most 25 MB (docs, "Webhook events and payloads"); the rest is slack for what counts as a MB.
MOST_BYTES = 26 * 1024 * 1024
KEPT_CHARS = 32_000
NAME_CHARS = 200
QUIET_SECONDS = 600

Outcome = WebhookDelivery.Outcome


@dataclass(frozen=True)
class Delivery:
    """One genuine delivery: `name` is GitHub's id or the body's digest; no `payload` means unreadable."""

    source: str
    name: str
    event: str
    body: bytes
    payload: dict[str, Any] | None
    received_at: datetime


class Refused(Exception):
    """The delivery is not taken; holds the answer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.answer = _answer(status, sentence)


@csrf_exempt
@require_POST
def receive_github(request: HttpRequest) -> HttpResponse:
    """Takes a delivery whose `X-Hub-Signature-256` fits GITHUB_WEBHOOK_SECRET.

    Answers 200 taken or already known, 400 unreadable, 401 forged, 413 too large, 422 the handler failed
    (GitHub then lists it as failed and it is taken again), 503 no secret configured or no database.
    """
    try:
        secret = _configured(settings.GITHUB_WEBHOOK_SECRET, "GITHUB_WEBHOOK_SECRET")
        body = _read(request)
        expected = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        if not _same(request.headers.get("X-Hub-Signature-256", ""), expected.encode()):
            _refuse_forged("github", "GitHub")
        return _take(
            Delivery(
                "github",
                clean(request.headers.get("X-GitHub-Delivery", ""), NAME_CHARS) or _digest(body),
                clean(request.headers.get("X-GitHub-Event", ""), NAME_CHARS),
                body,
                _parse(body),
                timezone.now(),
            )
        )
    except Refused as refused:
        return refused.answer


@csrf_exempt
@require_POST
def receive_railway(request: HttpRequest, secret: str = "") -> HttpResponse:
    """Takes a delivery that brings RAILWAY_WEBHOOK_SECRET in the header `X-Webhook-Secret`, else in its URL.

    Railway signs nothing and names no delivery, so the body's digest tells repetitions. Answers as
    `receive_github` does.
    """
    try:
        expected = _configured(settings.RAILWAY_WEBHOOK_SECRET, "RAILWAY_WEBHOOK_SECRET")
        if not _same(request.headers.get("X-Webhook-Secret") or secret, expected):
            _refuse_forged("railway", "Railway")
        body = _read(request)
        payload = _parse(body)
        event = clean(_text(payload, "type"), NAME_CHARS)
        return _take(Delivery("railway", _digest(body), event, body, payload, timezone.now()))
    except Refused as refused:
        return refused.answer


def forget(before: datetime) -> int:
    """Removes the deliveries received before a time, and returns how many; GitHub redelivers for 3 days."""
    return WebhookDelivery.objects.filter(received_at__lt=before).delete()[0]


def _configured(secret: str, name: str) -> bytes:
    if not secret.strip():
        raise Refused(503, f"{name} is not set, so no delivery can be trusted.")
    return secret.strip().encode()


def _read(request: HttpRequest) -> bytes:
    """The whole body, past Django's 2.5 MB limit for forms, but never more than `MOST_BYTES`."""
    try:
        size = int(request.META.get("CONTENT_LENGTH") or 0)
        if size > MOST_BYTES:
            raise Refused(413, f"The body is larger than {MOST_BYTES} bytes.")
        body = request.read(size) if size > 0 else b""
    except (ValueError, UnreadablePostError) as error:
        raise Refused(400, "The body could not be read.") from error
    if len(body) < size:
        raise Refused(400, "The body is shorter than its Content-Length.")
    return body


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), expected)


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _refuse_forged(source: str, vendor: str) -> Never:
    """Stores nothing of it but one audit event per source, process and ten minutes."""
    if cache.add(f"forged-webhook-{source}", True, QUIET_SECONDS):
        sentence = f"A delivery that claims to be from {vendor} does not know the secret; it was refused."
        try:
            with transaction.atomic():
                record(
                    "webhook.refused",
                    actor=None,
                    outcome="refused",
                    sentence=sentence,
                    data={"source": source},
                )
        except OperationalError:
            log.exception("A forged delivery could not be recorded.")
    raise Refused(401, "The signature or secret does not fit.")


def _parse(body: bytes) -> dict[str, Any] | None:
    """The JSON object, with what PostgreSQL cannot store replaced; None for anything else."""
    try:
        payload = json.loads(body.decode(), parse_constant=_no_constant)
        if not isinstance(payload, dict):
            return None
        # Only an escape can bring in a NUL or a lone surrogate; as they are, neither is JSON.
        return _storable(payload) if b"\\u" in body else payload
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode(errors="replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


def _take(delivery: Delivery) -> HttpResponse:
    """Stores the delivery and calls its handler, together or not at all; a known one is only counted."""
    if delivery.payload is None:
        _store(delivery, Outcome.UNREADABLE)
        return _answer(400, "The body is not a JSON object; choose the content type application/json.")
    handler = _handler(delivery.source)
    try:
        with transaction.atomic():
            if not _store(delivery, Outcome.HANDLED if handler else Outcome.IGNORED):
                return _answer(200, "This delivery is already known.")
            if handler:
                handler(delivery.event, delivery.payload)
    except (OperationalError, InterfaceError):
        log.exception("A delivery could not be stored.")
        return _answer(503, "The portal's database does not answer; deliver again later.")
    except Exception as error:
        log.exception("The handler of a delivery failed.")
        _store(delivery, Outcome.FAILED, error=clean(f"{type(error).__name__}: {error}", 1000))
        return _answer(422, "The delivery is kept, but its handler failed; deliver it again.")
    return _answer(200, "Taken.")


def _handler(source: str) -> Callable[[str, dict[str, Any]], None] | None:
    path = getattr(settings, "WEBHOOK_HANDLERS", {}).get(source)
    return import_string(path) if path else None


_STORE = """
INSERT INTO portal_webhookdelivery AS delivery
    (source, delivery, event, action, received_at, size, body, outcome, error, times)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 1)
ON CONFLICT (source, delivery) DO UPDATE
    SET times = delivery.times + 1, outcome = excluded.outcome, error = excluded.error
    WHERE delivery.outcome = 'failed'
RETURNING id
"""


def _store(delivery: Delivery, outcome: str, error: str = "") -> bool:
    """Whether it is new, or failed the last time. Waits while another request stores the same one."""
    values: list[str | int | datetime] = [
        delivery.source,
        delivery.name,
        delivery.event,
        clean(_text(delivery.payload, "action"), NAME_CHARS),
        delivery.received_at,
        len(delivery.body),
        delivery.body[:KEPT_CHARS].decode(errors="replace").replace("\0", "\ufffd"),
        outcome,
        error,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_STORE, values)
        return cursor.fetchone() is not None


def _text(payload: dict[str, Any] | None, key: str) -> str:
    value = payload.get(key) if payload else ""
    return value if isinstance(value, str) else ""


def _answer(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(sentence + "\n", status=status, content_type="text/plain; charset=utf-8")
