import hashlib
import json
import threading
import time
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as checking
from hypothesis import strategies as st

from environments.models import Project, RailwaySync
from portal.models.audit import AuditEvent
from portal.models.webhooks import WebhookDelivery
from portal.webhooks import deliveries, receiving
from portal.webhooks.secrets import github_signature
from releases.models.pull_requests import GitHubSync

CLIENT = Client(raise_request_exception=False)
RAILWAY_SECRET = "railway-secret"
SECRET = "It's a Secret to Everybody"
LONG_AGO = timezone.now() - timedelta(days=1)
PUSH = {"ref": "refs/heads/staging", "repository": {"full_name": "Acme/Inspector"}}
DEPLOYED = {"type": "Deployment.deployed", "resource": {"project": {"id": "railway-1"}}}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def configured(settings, monkeypatch):
    settings.GITHUB_WEBHOOK_SECRET, settings.RAILWAY_WEBHOOK_SECRET = SECRET, RAILWAY_SECRET
    monkeypatch.setattr(receiving, "_noted", {})


@pytest.fixture
def project():
    project = Project.objects.create(
        name="inspector",
        slug="inspector",
        repository="acme/inspector",
        railway_project_id="railway-1",
    )
    for sync in (GitHubSync, RailwaySync):
        sync.objects.create(project=project, wake_at=LONG_AGO)
    return project


def github(body, *, guid="g-1", event="push", secret=SECRET, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-GitHub-Delivery": guid, "X-GitHub-Event": event} | headers
    headers.setdefault("X-Hub-Signature-256", github_signature(secret, raw))
    return post("/webhooks/github/", raw, headers=headers)


def railway(body, *, secret=RAILWAY_SECRET):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return post(f"/webhooks/railway/{secret}/", raw)


def post(path, raw, **more):
    # Django's client leaves out the length of an empty body, which no real sender does.
    return CLIENT.post(
        path, raw, content_type="application/json", CONTENT_LENGTH=str(len(raw)), **more
    )


def stale(sync) -> bool:
    return sync.objects.get().wake_at > LONG_AGO


def test_the_signature_is_the_one_github_publishes_as_an_example():
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    assert github_signature(SECRET, b"Hello, World!") == f"sha256={digest}"


def test_a_genuine_delivery_is_kept_and_marks_its_project_stale(project):
    answer = github(PUSH | {"action": "x"})

    kept = WebhookDelivery.objects.get()
    assert answer.status_code == 202
    assert (kept.source, kept.delivery, kept.event, kept.action) == ("github", "g-1", "push", "x")
    assert (kept.outcome, kept.times, json.loads(kept.body)) == (
        "handled",
        1,
        PUSH | {"action": "x"},
    )
    assert stale(GitHubSync) and not stale(RailwaySync)


def test_a_delivery_of_railway_marks_its_project_stale(project):
    answer = railway(DEPLOYED)

    kept = WebhookDelivery.objects.get()
    assert answer.status_code == 202
    assert (kept.source, kept.event, kept.outcome) == ("railway", "Deployment.deployed", "handled")
    assert kept.delivery == hashlib.sha256(json.dumps(DEPLOYED).encode()).hexdigest()
    assert stale(RailwaySync) and not stale(GitHubSync)


def test_an_accepted_delivery_costs_one_statement(project, django_assert_max_num_queries):
    with django_assert_max_num_queries(1):
        assert github(PUSH).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        PUSH | {"repository": {"full_name": "acme/other"}},
        {},
        {"repository": None},
        {"repository": {"full_name": 7}},
    ],
)
def test_what_concerns_no_project_of_ours_is_kept_and_ignored(project, body):
    assert github(body).status_code == 202
    assert WebhookDelivery.objects.get().outcome == "ignored"
    assert not stale(GitHubSync)


@pytest.mark.parametrize("event", ["ping", "star", "a_new_event"])
def test_an_event_that_mirrors_nothing_is_kept_and_ignored(project, event):
    assert github(PUSH, event=event).status_code == 202
    assert WebhookDelivery.objects.get().outcome == "ignored"
    assert not stale(GitHubSync)


# Forged


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "0" * 64,
        "sha256=" + "é" * 64,
        "x" * 5000,
    ],
)
def test_a_forged_delivery_is_refused_and_not_kept(project, signature):
    answer = github(PUSH, **{"X-Hub-Signature-256": signature})

    assert answer.status_code == 401
    assert not WebhookDelivery.objects.exists()
    assert not stale(GitHubSync)


def test_a_body_changed_on_the_way_is_refused(project):
    genuine = github_signature(SECRET, json.dumps(PUSH).encode())

    assert (
        github(PUSH | {"ref": "refs/heads/main"}, **{"X-Hub-Signature-256": genuine}).status_code
        == 401
    )


@pytest.mark.parametrize(
    "secret", ["other", "railway-secre", "railway-secret2", "é", "%00", "%ed%a0%80"]
)
def test_the_address_of_railway_is_refused_with_another_secret(project, secret):
    assert railway(DEPLOYED, secret=secret).status_code == 401
    assert not WebhookDelivery.objects.exists()
    assert not stale(RailwaySync)


def test_forgeries_are_refused_before_they_are_parsed(project):
    answer = github(b"[" * 100_000, secret="other")

    assert answer.status_code == 401


def test_a_flood_of_forgeries_is_one_audit_event_in_ten_minutes(project):
    for _ in range(20):
        github(PUSH, secret="other")
    receiving.note_forgery("github", "10.0.0.1", clock=time.monotonic() + 601)

    first, second = AuditEvent.objects.filter(action="webhook.refused").order_by("position")
    assert (first.outcome, first.data["since"], second.data["since"]) == ("refused", 0, 19)
    assert "19 more" in second.sentence
    assert SECRET not in first.sentence + first.data_json


def test_a_forgery_is_refused_even_when_it_cannot_be_noted(monkeypatch):
    def denied(*args, **arguments):
        raise DatabaseError("the head of the chain is taken")

    monkeypatch.setattr(receiving.audit, "record", denied)

    assert github(PUSH, secret="other").status_code == 401


# Repeated


def test_a_repeated_delivery_is_acknowledged_and_changes_nothing(project):
    github(PUSH)
    railway(DEPLOYED)
    for sync in (GitHubSync, RailwaySync):
        sync.objects.update(wake_at=LONG_AGO)

    answers = [github(PUSH), railway(DEPLOYED)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert list(WebhookDelivery.objects.values_list("times", flat=True)) == [2, 2]
    assert not stale(GitHubSync) and not stale(RailwaySync)


def test_a_delivery_whose_handler_failed_is_kept_as_failed_and_taken_when_it_comes_again(
    project, settings
):
    handlers = settings.WEBHOOK_HANDLERS
    settings.WEBHOOK_HANDLERS = handlers | {"github": "tests.portal.test_webhooks.broken"}
    failed = github(PUSH)
    kept = WebhookDelivery.objects.get()
    settings.WEBHOOK_HANDLERS = handlers

    again = github(PUSH)

    assert (failed.status_code, kept.outcome, kept.error) == (
        500,
        "failed",
        "ZeroDivisionError: division by zero",
    )
    assert again.status_code == 202
    kept.refresh_from_db()
    assert (kept.outcome, kept.error, kept.times) == ("handled", "", 2)
    assert stale(GitHubSync)


def broken(event, payload):
    return 1 / 0


def test_what_was_handled_stays_so_when_it_comes_again_and_the_handler_fails(project, settings):
    github(PUSH)
    settings.WEBHOOK_HANDLERS = {"github": "tests.portal.test_webhooks.broken"}

    assert github(PUSH).status_code == 200
    assert WebhookDelivery.objects.get().outcome == "handled"


def test_without_a_handler_a_delivery_is_kept_and_ignored(settings):
    settings.WEBHOOK_HANDLERS = {}

    assert github(PUSH).status_code == 202
    assert WebhookDelivery.objects.get().outcome == "ignored"


@pytest.mark.django_db(transaction=True)
def test_of_equal_deliveries_at_the_same_time_one_is_new(project):
    answers = []

    def deliver():
        answers.append(github(PUSH).status_code)
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200] * 7 + [202]
    assert WebhookDelivery.objects.get().times == 8


# Not configured, not acceptable


@pytest.mark.parametrize(
    ("secret", "words"),
    [("", "set GITHUB_WEBHOOK_SECRET"), ("secret\n", "line break"), (" secret", "space")],
)
def test_an_unusable_secret_is_named_in_a_sentence(settings, secret, words):
    settings.GITHUB_WEBHOOK_SECRET = secret

    answer = github(PUSH)

    assert answer.status_code == 503
    assert words in answer.text


def test_an_empty_secret_of_railway_opens_nothing(settings):
    settings.RAILWAY_WEBHOOK_SECRET = ""

    assert railway(DEPLOYED, secret="").status_code == 404
    assert railway(DEPLOYED, secret="x").status_code == 503


def test_a_database_that_cannot_keep_it_asks_for_it_again(project, monkeypatch):
    def denied(*arguments):
        raise DatabaseError("disk full")

    monkeypatch.setattr(receiving, "keep", denied)

    assert github(PUSH).status_code == 503


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_cut_meanwhile_costs_no_delivery(project):
    github(PUSH)
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    other.close()

    answer = github(PUSH, guid="g-2")

    assert answer.status_code == 202
    assert WebhookDelivery.objects.count() == 2


def test_what_is_beside_them_is_a_page_under_the_content_policy():
    answer = CLIENT.post("/webhooks/nothing-here/")

    assert answer.status_code == 404
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_only_posting_is_answered():
    assert CLIENT.get("/webhooks/github/").status_code == 405
    assert CLIENT.get(f"/webhooks/railway/{RAILWAY_SECRET}/").status_code == 405


def test_the_secret_in_the_address_is_in_no_log_and_no_answer(settings, caplog):
    caplog.set_level("DEBUG")
    settings.WEBHOOK_HANDLERS = {"railway": "tests.portal.test_webhooks.broken"}

    answers = [railway(b"{"), railway(DEPLOYED), CLIENT.get(f"/webhooks/railway/{RAILWAY_SECRET}/")]

    assert [answer.status_code for answer in answers] == [400, 500, 405]
    assert caplog.records
    assert RAILWAY_SECRET not in caplog.text + "".join(answer.text for answer in answers)


def test_25_megabytes_are_accepted_and_the_beginning_is_kept(project):
    start = json.dumps(PUSH)[:-1].encode() + b', "x": "'
    body = start + b"x" * (25 * 1024 * 1024 - len(start) - 2) + b'"}'

    answer = github(body)

    kept = WebhookDelivery.objects.get()
    assert answer.status_code == 202
    assert (kept.size, len(kept.body), kept.outcome) == (
        25 * 1024 * 1024,
        deliveries.KEPT_LETTERS,
        "handled",
    )


def test_more_than_github_ever_sends_is_refused_unread(project, rf):
    request = rf.post("/webhooks/github/", b"", content_type="application/json")
    request.META |= {
        "CONTENT_LENGTH": str(26 * 1024 * 1024),
        "HTTP_X_HUB_SIGNATURE_256": "sha256=" + "0" * 64,
    }
    request.read = lambda *sizes: pytest.fail("it was read")

    assert receiving.receive_github(request).status_code == 413


@pytest.mark.parametrize(
    ("length", "status"), [("", 411), ("-1", 411), ("1e3", 411), ("٣", 411), ("9" * 5000, 413)]
)
def test_a_length_that_is_none_is_refused(rf, length, status):
    request = rf.post("/webhooks/github/", b"{}", content_type="application/json")
    request.META |= {"CONTENT_LENGTH": length, "HTTP_X_HUB_SIGNATURE_256": "sha256=" + "0" * 64}

    assert receiving.receive_github(request).status_code == status


def test_a_body_that_ends_early_is_asked_for_again(rf):
    request = rf.post("/webhooks/github/", b"{}", content_type="application/json")
    request.META |= {"CONTENT_LENGTH": "10", "HTTP_X_HUB_SIGNATURE_256": "sha256=" + "0" * 64}

    assert receiving.receive_github(request).status_code == 400


@pytest.mark.parametrize(
    ("guid", "event"), [("", "push"), ("g-1", ""), ("a b", "push"), ("g" * 101, "push")]
)
def test_a_genuine_delivery_without_its_headers_is_refused(guid, event):
    assert github(PUSH, guid=guid, event=event).status_code == 400
    assert not WebhookDelivery.objects.exists()


# Strange


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"7",
        b"[]",
        b'"text"',
        b"\xff\xfe\x00",
        b"{" + b"\x00",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"payload=%7B%7D",
        b"<html>",
        b'{"a": NaN',
        "{“a”: 1}".encode(),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_genuine_but_unreadable_is_kept_as_that(body):
    answers = [github(body), railway(body), github(body)]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert list(WebhookDelivery.objects.values_list("outcome", flat=True)) == [
        "unreadable",
        "unreadable",
    ]
    assert all(WebhookDelivery.objects.values_list("error", flat=True))


@pytest.mark.parametrize(
    "strange", ["\x00", "\ud800", "\ud800\udc00", "\u202e", "é" * 5000, "a\nb", "%", "_", "'"]
)
def test_strange_letters_are_no_trouble_anywhere(project, strange):
    body = {
        "action": strange,
        "type": strange,
        "repository": {"full_name": strange},
        "resource": {"project": {"id": strange}},
    }

    assert github(body).status_code == 202
    assert railway(body).status_code == 202
    assert WebhookDelivery.objects.filter(outcome="ignored").count() == 2


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(["action", "type", "repository", "resource", "project", "id", "full_name"])
PAYLOADS = st.dictionaries(
    NAMES, ANYTHING | st.dictionaries(NAMES, ANYTHING, max_size=3), max_size=5
)


@checking(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=PAYLOADS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200),
    event=st.text(max_size=9),
)
def test_no_genuine_delivery_is_answered_with_an_error_of_ours(project, body, event):
    guid = hashlib.sha256(body).hexdigest()
    header = event.encode("latin-1", "replace").decode("latin-1")

    for answer in (github(body, guid=guid, event=header or "push"), railway(body)):
        assert answer.status_code in (200, 202, 400), answer.text


@checking(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(body=st.binary(max_size=100), signature=st.text(max_size=80))
def test_nothing_without_the_secret_is_ever_kept(project, body, signature):
    header = signature.encode("latin-1", "replace").decode("latin-1")

    answer = github(body, **{"X-Hub-Signature-256": header})

    assert answer.status_code == 401
    assert not WebhookDelivery.objects.exists()


def test_deliveries_of_more_than_30_days_ago_are_forgotten():
    now = timezone.now()
    for number, days in enumerate([40, 31, 29, 0]):
        WebhookDelivery.objects.create(
            source="github",
            delivery=str(number),
            size=1,
            outcome="handled",
            received_at=now - timedelta(days=days),
        )

    assert deliveries.forget_old(now=now) == 2
    assert set(WebhookDelivery.objects.values_list("delivery", flat=True)) == {"2", "3"}


def test_where_nothing_is_old_forgetting_costs_one_statement_and_its_transaction(
    project, django_assert_num_queries
):
    for number in range(3):
        github(PUSH, guid=str(number))

    with django_assert_num_queries(
        3
    ):  # with the savepoint that the test's own transaction makes of it
        assert deliveries.forget_old(now=timezone.now()) == 0
