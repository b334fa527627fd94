import hashlib
import hmac
import json
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import path
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from portal import webhooks
from portal.models import AuditEvent, WebhookDelivery

urlpatterns = [
    path("webhooks/github", webhooks.receive_github),
    path("webhooks/railway", webhooks.receive_railway),
    path("webhooks/railway/<str:secret>", webhooks.receive_railway),
]
KEY = "It's a Secret to Everybody"
seen = []


def remember(event, payload):
    seen.append((event, payload))


def fail(event, payload):
    AuditEvent.objects.count()
    raise KeyError("pull_request")


def write_what_came(event, payload):
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::text, %s::jsonb", [str(payload.get("title", "")), json.dumps(payload)])


@pytest.fixture(autouse=True)
def configured(settings, db):
    settings.ROOT_URLCONF = __name__
    settings.GITHUB_WEBHOOK_SECRET = settings.RAILWAY_WEBHOOK_SECRET = KEY
    settings.WEBHOOK_HANDLERS = {"github": f"{__name__}.remember", "railway": f"{__name__}.remember"}
    seen.clear()
    cache.clear()


def github(body, *, guid="5f2e", event="pull_request", signature=None, **headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    signed = "sha256=" + hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
    return Client(enforce_csrf_checks=True).post(
        "/webhooks/github",
        body,
        content_type="application/json",
        headers={
            "X-GitHub-Delivery": guid,
            "X-GitHub-Event": event,
            "X-Hub-Signature-256": signed if signature is None else signature,
            **headers,
        },
    )


def railway(body, secret=KEY):
    return Client(enforce_csrf_checks=True).post(
        f"/webhooks/railway/{secret}", body, content_type="application/json"
    )


def test_it_stores_a_signed_delivery_and_calls_the_handler():
    answer = github({"action": "closed", "number": 7})

    delivery = WebhookDelivery.objects.get()
    assert answer.status_code == 200
    assert seen == [("pull_request", {"action": "closed", "number": 7})]
    assert (delivery.source, delivery.delivery, delivery.event) == ("github", "5f2e", "pull_request")
    assert (delivery.action, delivery.outcome) == ("closed", "handled")


def test_it_checks_the_signature_as_github_documents_it():
    answer = github(
        b"Hello, World!",
        signature="sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )

    assert answer.status_code == 400  # genuine, though not JSON
    assert WebhookDelivery.objects.get().outcome == "unreadable"


@pytest.mark.parametrize("signature", ["", "sha256=", "sha256=00", "sha1=abc", "é", "sha256=" + "0" * 64])
def test_it_refuses_a_forged_delivery_and_stores_nothing_of_it(signature):
    answer = github({"action": "closed"}, signature=signature)

    assert answer.status_code == 401
    assert not seen
    assert not WebhookDelivery.objects.exists()


def test_a_flood_of_forged_deliveries_leaves_one_audit_event():
    for number in range(20):
        github({"n": number}, signature="sha256=00")

    event = AuditEvent.objects.get()
    assert (event.action, event.outcome) == ("webhook.refused", "refused")


def test_it_takes_a_delivery_only_once():
    github({"action": "closed"})
    answer = github({"action": "closed"})

    assert answer.status_code == 200
    assert len(seen) == WebhookDelivery.objects.count() == 1


def test_a_delivery_whose_handler_failed_is_kept_and_accepted_again(settings):
    settings.WEBHOOK_HANDLERS = {"github": f"{__name__}.fail"}
    failed = github({"action": "closed"})
    kept = WebhookDelivery.objects.get()
    settings.WEBHOOK_HANDLERS = {"github": f"{__name__}.remember"}

    again = github({"action": "closed"})

    assert (failed.status_code, kept.outcome, kept.error) == (422, "failed", "KeyError: 'pull_request'")
    assert (again.status_code, len(seen)) == (200, 1)
    assert WebhookDelivery.objects.values_list("outcome", "times").get() == ("handled", 2)


@pytest.mark.parametrize("call", [lambda: github({}), lambda: railway(b"{}")])
def test_without_a_secret_it_says_so_and_takes_nothing(settings, call):
    settings.GITHUB_WEBHOOK_SECRET = settings.RAILWAY_WEBHOOK_SECRET = " "

    answer = call()

    assert answer.status_code == 503
    assert b"WEBHOOK_SECRET is not set" in answer.content


def test_it_takes_25_megabytes_and_keeps_the_beginning():
    body = json.dumps({"action": "opened", "filler": "x" * (25 * 1000 * 1000)}).encode()

    answer = github(body)

    delivery = WebhookDelivery.objects.get()
    assert answer.status_code == 200
    assert (delivery.size, len(delivery.body)) == (len(body), webhooks.KEPT_CHARS)


def test_it_refuses_more_than_github_ever_sends_without_reading_it():
    request = HttpRequest()
    request.method = "POST"
    request.META["CONTENT_LENGTH"] = str(webhooks.MOST_BYTES + 1)

    assert webhooks.receive_github(request).status_code == 413


@pytest.mark.parametrize("length", ["-1", "x"])
def test_a_false_content_length_is_refused_not_a_failure(length):
    assert github({}, **{"Content-Length": length}).status_code in {400, 401}


def test_a_body_that_breaks_off_is_refused():
    request = RequestFactory().post(
        "/webhooks/github", **{"wsgi.input": BytesIO(b"{}"), "CONTENT_LENGTH": "999"}
    )

    assert webhooks.receive_github(request).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"a":',
        b'{"a":NaN}',
        b"\xff\xfe",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"a":' + b"9" * 10_000 + b"}",
        b"payload=%7B%7D",
    ],
)
def test_what_is_signed_but_unreadable_is_stored_as_such(body):
    answer = github(body)

    assert answer.status_code == 400
    assert WebhookDelivery.objects.get().outcome == "unreadable"


def test_what_postgresql_cannot_store_reaches_no_handler(settings):
    settings.WEBHOOK_HANDLERS = {"github": f"{__name__}.write_what_came"}

    answer = github(b'{"action":"\\ud800","title":"a\\u0000b","\\udfff":["\\u0000"]}', event="x\0y")

    assert answer.status_code == 200


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.binary(max_size=200) | anything | st.fixed_dictionaries({"action": anything, "type": anything}),
    guid=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=300),
)
def test_no_signed_body_makes_it_fail(body, guid):
    assert github(body, guid=guid).status_code in {200, 400}
    assert railway(body if isinstance(body, bytes) else json.dumps(body)).status_code in {200, 400}


def test_railway_knows_the_secret_in_the_url_and_a_repetition_by_its_body():
    body = json.dumps({"type": "Deployment.failed", "details": {"id": "1"}})

    answers = [railway(body).status_code, railway(body).status_code]

    assert answers == [200, 200]
    assert seen == [("Deployment.failed", {"type": "Deployment.failed", "details": {"id": "1"}})]


def test_railway_knows_the_secret_in_a_header():
    answer = Client().post(
        "/webhooks/railway", "{}", content_type="application/json", headers={"X-Webhook-Secret": KEY}
    )

    assert answer.status_code == 200


def test_railway_without_the_secret_is_refused():
    assert railway("{}", secret="guessed").status_code == 401
    assert not WebhookDelivery.objects.exists()


def test_what_nothing_handles_is_kept_as_ignored(settings):
    settings.WEBHOOK_HANDLERS = {}

    github({"zen": "Keep it logically awesome."}, event="ping")

    assert WebhookDelivery.objects.get().outcome == "ignored"


def test_old_deliveries_are_forgotten_and_new_ones_kept():
    github({}, guid="old")
    WebhookDelivery.objects.update(received_at=timezone.now() - timedelta(days=40))
    github({}, guid="new")

    forgotten = webhooks.forget(timezone.now() - timedelta(days=30))

    assert forgotten == 1
    assert WebhookDelivery.objects.get().delivery == "new"


def test_a_get_is_not_a_delivery():
    assert Client().get("/webhooks/github").status_code == 405
