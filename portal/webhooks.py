"""Webhooks in: proven genuine before anything is read, kept once, answered at once.

A delivery is a hint. Its handler (`settings.WEBHOOK_HANDLERS`) only names rows that are stale,
marked in the statement that keeps the delivery, so one that is lost, repeated, reordered or
replayed costs time and never correctness; docs/webhooks.md.
"""

import hashlib
import hmac
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.module_loading import import_string
from django.views.decorators.http import require_POST

from portal import audit
from portal.logs import trace
from portal.models.webhooks import WebhookDelivery
from portal.outbound.parsing import JsonObject, text
from portal.redaction import HIDDEN
from portal.visible import visible

MAX_BYTES = 25 * 1024 * 1024 + 64 * 1024  # GitHub sends at most 25 MB; some slack for how it counts
LARGE_BYTES = 1024 * 1024
KEPT_LETTERS = 16_000
KEPT_DAYS = 30  # longer than anybody delivers again (GitHub: 3 days)
NOTED_SECONDS = 600.0

_Outcome = WebhookDelivery.Outcome
_SIGNATURE = re.compile(r"sha256=[0-9a-fA-F]{64}")
_GUID = re.compile(r"[0-9A-Za-z-]{1,100}")
_IN_AN_ADDRESS = re.compile(r"[0-9A-Za-z._~-]+")
# The objects of a large body take several times its size: read one such body at a time.
_reading_large = threading.Lock()

log = logging.getLogger(__name__)


class Mark(NamedTuple):
    """Jobs that are due at once: those rows of `table` for which the SQL condition `where` holds
    with `values`.
    """

    table: str
    where: str
    values: tuple[Any, ...]


Handler = Callable[[str, JsonObject], Mark | None]


class _Unacceptable(Exception):
    """The request is answered with this status and sentence, and nothing of it is kept."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class _Delivery:
    """A genuine delivery. `payload` None: it could not be read, and `problem` says why."""

    source: str
    id: str
    event: str
    body: bytes
    payload: dict[str, object] | None
    problem: str = ""


def ahead_of_people(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: deliveries go to their views past all that only people need, sessions and
    messages among it.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/webhooks/"):
            return get_response(request)
        try:
            found = resolve(request.path_info)
        except Resolver404:
            return get_response(
                request
            )  # which answers with a page for people, under their policies
        return found.func(request, *found.args, **found.kwargs)

    return handle


@require_POST
def receive_github(request: HttpRequest) -> HttpResponse:
    """A delivery of GitHub, proven by `X-Hub-Signature-256` over the raw body with
    GITHUB_WEBHOOK_SECRET.

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
        guid, event = (
            request.headers.get("X-GitHub-Delivery", ""),
            text(request.headers.get("X-GitHub-Event"), 100),
        )
        if not _GUID.fullmatch(guid) or not event:
            raise _Unacceptable(400, "X-GitHub-Delivery or X-GitHub-Event is missing: send both.")
        payload, problem = _read(body)
        return _receive(
            _Delivery("github", guid, event, body, payload, problem), now=timezone.now()
        )
    except _Unacceptable as reason:
        return _answer(reason.status, str(reason))


def receive_railway(request: HttpRequest, secret: str) -> HttpResponse:
    """A delivery of Railway, which signs nothing: `secret` of the address must be
    RAILWAY_WEBHOOK_SECRET.

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
        return _receive(
            _Delivery("railway", digest, event, body, payload, problem), now=timezone.now()
        )
    except _Unacceptable as reason:
        return _answer(reason.status, str(reason))


def github_signature(secret: str, body: bytes) -> str:
    """The value of `X-Hub-Signature-256` (GitHub: Validating webhook deliveries)."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def secret_fault(setting: str) -> str:
    """What is wrong with a webhook secret of the settings, in a sentence; empty when nothing is."""
    secret = getattr(settings, setting)
    if not secret:
        return f"This portal takes no such webhooks yet: set {setting}."
    if secret != secret.strip():
        return f"{setting} begins or ends with a space or line break: set it again without that."
    if setting == "RAILWAY_WEBHOOK_SECRET" and not _IN_AN_ADDRESS.fullmatch(secret):
        return f"{setting} is part of an address: use only letters, digits and . _ ~ -"
    return ""


def _secret(setting: str) -> str:
    if fault := secret_fault(setting):
        raise _Unacceptable(503, fault)
    return getattr(settings, setting)


def _body(request: HttpRequest) -> bytes:
    """The raw body, read by ourselves: Django's own limit (2.5 MB) is below what GitHub sends."""
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
    """The JSON object in a genuine body, or None and why there is none."""
    if len(body) > LARGE_BYTES:
        with _reading_large:
            return _parsed(body)
    return _parsed(body)


def _parsed(body: bytes) -> tuple[dict[str, object] | None, str]:
    try:
        payload = json.loads(body)
    except RecursionError:
        return None, "The body is nested too deeply."
    except ValueError:
        return None, "The body is not JSON: set the webhook's content type to application/json."
    if not isinstance(payload, dict):
        return None, "The body is JSON, but no object."
    return payload, ""


def _receive(delivery: _Delivery, *, now: datetime) -> HttpResponse:
    try:
        mark = _mark(delivery)
    except Exception as error:
        log.exception("The handler of %s failed.", delivery.source)
        return _failed(delivery, f"{type(error).__name__}: {error}", now)
    outcome = _Outcome.HANDLED if delivery.payload is not None else _Outcome.UNREADABLE
    try:
        pk, known = _keep(delivery, mark, outcome, delivery.problem, now)
        if not known and pk % 100 == 0:
            forget_old(now=now)
    except DatabaseError:
        return _not_kept(delivery)
    if delivery.payload is None:
        return _answer(400, delivery.problem)
    return _answer(200, "Known already.") if known else _answer(202, "Thank you.")


def _mark(delivery: _Delivery) -> Mark | None:
    """What the handler has a use for the delivery for."""
    path = settings.WEBHOOK_HANDLERS.get(delivery.source)
    if path is None or delivery.payload is None:
        return None
    handler: Handler = import_string(path)
    return handler(delivery.event, delivery.payload)


# One statement: the fewer the round trips, the more deliveries a second, and two equal ones need no
# lock of ours.
# Whoever comes second waits for the first's row. `mark` marks nothing for what was known before.
_KEEP = """
WITH before AS (
    SELECT outcome FROM portal_webhookdelivery WHERE source = %s AND delivery = %s
), marked AS (
    {mark}
)
INSERT INTO portal_webhookdelivery AS known
    (source, delivery, event, action, received_at, size, body, outcome, error, times)
VALUES (%s, %s, %s, %s, %s, %s, %s,
        CASE WHEN %s = 'handled' AND NOT EXISTS (SELECT FROM marked) THEN 'ignored' ELSE %s END,
        %s, 1)
ON CONFLICT (source, delivery) DO UPDATE SET
    times = known.times + 1,
    outcome = CASE known.outcome WHEN 'failed' THEN excluded.outcome ELSE known.outcome END,
    error = CASE known.outcome WHEN 'failed' THEN excluded.error ELSE known.error END
RETURNING id, times > 1 AND COALESCE((SELECT outcome FROM before), '') <> 'failed'
"""
_MARKED = """
UPDATE {table} SET wake_at = %s, trace = %s
WHERE {where} AND NOT EXISTS (SELECT FROM before WHERE outcome <> 'failed') RETURNING 1
"""


def _keep(
    delivery: _Delivery, mark: Mark | None, outcome: _Outcome, problem: str, now: datetime
) -> tuple[int, bool]:
    """Keeps a delivery and makes its mark, or counts it once more: its key, and whether it was
    known already.
    """
    action = text(delivery.payload.get("action"), 100) if delivery.payload else ""
    kept = visible(delivery.body[: 4 * KEPT_LETTERS].decode("utf-8", "replace")[:KEPT_LETTERS])[
        :KEPT_LETTERS
    ]
    which: list[object] = [delivery.source, delivery.id]
    marked, marking = "SELECT 1 WHERE false", list[Any]()
    if mark is not None:
        marked, marking = (
            _MARKED.format(table=mark.table, where=mark.where),
            [now, trace.current(), *mark.values],
        )
    values: list[object] = [
        *which,
        delivery.event,
        action,
        now,
        len(delivery.body),
        kept,
        outcome.value,
        outcome.value,
    ]
    statement, parameters = _KEEP.format(mark=marked), [*which, *marking, *values, problem]
    # Asking first whether the connection still stands would cost as much as this statement, which
    # may be sent twice.
    connection.health_check_done = True  # type: ignore[attr-defined]  # unknown to the stubs
    try:
        return _answer_to(statement, parameters)
    except OperationalError:
        if connection.in_atomic_block:
            raise
        connection.close()
        return _answer_to(statement, parameters)


def _answer_to(statement: str, values: list[Any]) -> tuple[int, bool]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def _failed(delivery: _Delivery, error: str, now: datetime) -> HttpResponse:
    try:
        _, known = _keep(delivery, None, _Outcome.FAILED, text(error, 500), now)
    except DatabaseError:
        return _not_kept(delivery)
    if known:
        return _answer(200, "Known already.")
    return _answer(
        500, "The portal could not use this delivery: its log says why; then deliver it again."
    )


def _not_kept(delivery: _Delivery) -> HttpResponse:
    log.exception("A webhook of %s could not be kept.", delivery.source)
    return _answer(503, "The portal cannot keep this delivery now: deliver it again later.")


def forget_old(*, now: datetime, at_most: int = 1000) -> int:
    """Deletes deliveries received more than 30 days ago, the oldest first, and returns how many."""
    before = now - timedelta(days=KEPT_DAYS)
    oldest = WebhookDelivery.objects.order_by("pk").values("pk")[:at_most]
    old = WebhookDelivery.objects.filter(pk__in=oldest, received_at__lt=before)
    with transaction.atomic():
        # Only what goes is locked and read: this runs within every hundredth delivery, and mostly
        # finds nothing.
        keys = list(old.select_for_update(skip_locked=True).values_list("pk", flat=True))
        return WebhookDelivery.objects.filter(pk__in=keys).delete()[0] if keys else 0


_noting = threading.Lock()
_noted: dict[
    str, tuple[float, int]
] = {}  # source: when a forgery was last noted, and how many came since


def _refused(request: HttpRequest, source: str) -> HttpResponse:
    try:
        note_forgery(source, text(request.META.get("REMOTE_ADDR"), 60), clock=time.monotonic())
    except DatabaseError:
        log.exception("A forged webhook of %s could not be noted.", source)
    return _answer(401, "This delivery is not genuine: the secrets of sender and portal differ.")


def note_forgery(source: str, address: str, *, clock: float) -> None:
    """One audit event for the first forged delivery in ten minutes (`clock`, in seconds); the
    others are counted.

    A flood therefore costs no database. Each process counts for itself.
    """
    with _noting:
        last, since = _noted.get(source, (float("-inf"), 0))
        if clock - last < NOTED_SECONDS:
            _noted[source] = (last, since + 1)
            return
        _noted[source] = (clock, 0)
    name = WebhookDelivery.Source(source).label
    more = f", and {since} more since the last such event" if since else ""
    sentence = (
        f"A webhook from {address or 'somewhere'} in the name of {name} was refused as"
        f" forged{more}."
    )
    data = {"source": source, "address": address, "since": since}
    with transaction.atomic():
        audit.record("webhook.refused", actor=None, outcome="refused", sentence=sentence, data=data)


def _answer(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")
