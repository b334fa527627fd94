"""One id from a delivery or request through its job to the outward call; JSON lines; errors to a
DSN.
"""

import gzip
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from environments.models import RailwaySync
from portal import jobs
from portal.jobs import running
from portal.logs import trace
from portal.logs.json_lines import JsonFormatter
from portal.outbound import http
from portal.sandbox.server import Response, Server
from portal.webhooks.secrets import github_signature
from releases.models.pull_requests import GitHubSync
from tests.factory import make_project

ROOT = Path(__file__).resolve().parents[2]
DELIVERY = "72d3162e-cc78-11e3-81ab-4c9367dc0958"


@pytest.fixture
def lines():
    """The JSON lines that are logged."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    level, root.level = root.level, logging.INFO
    root.manager._clear_cache()
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def outside():
    server = Server(lambda request: Response(200, {})).start()
    yield server.url
    server.stop()


def asks(job, *, now):
    """A step that calls the outside."""
    http.send("Railway", "GET", os.environ["TESTS_OUTSIDE"], write=False)
    return jobs.Requeue(60)


@pytest.mark.django_db
def test_one_id_from_the_delivery_through_the_job_to_the_outward_call(
    lines, outside, settings, monkeypatch
):
    settings.GITHUB_WEBHOOK_SECRET = "s"
    monkeypatch.setenv("TESTS_OUTSIDE", outside)
    monkeypatch.setattr(GitHubSync, "step_function", "tests.portal.test_logs.asks")
    project = make_project()
    body = json.dumps(
        {"repository": {"full_name": project.repository}, "ref": "refs/heads/staging"}
    ).encode()

    Client().post(
        "/webhooks/github/",
        body,
        content_type="application/json",
        headers={
            "x-hub-signature-256": github_signature("s", body),
            "x-github-delivery": DELIVERY,
            "x-github-event": "push",
        },
    )
    job = GitHubSync.objects.get()
    running.wake(job._meta.label, job.pk)

    message = [line for line in lines() if line.get("trace") == DELIVERY]
    assert any(line["logger"] == "portal.logs.trace" for line in message)
    [call] = [line for line in message if line["logger"] == "portal.outbound.http"]
    assert call["job"] == f"releases.GitHubSync {job.pk}" and "200" in call["message"]
    assert GitHubSync.objects.get().trace == ""  # the next reading is by the clock


@pytest.mark.django_db
def test_a_request_gives_its_id_to_the_job_it_wakes_and_says_it_in_its_answer(lines):
    answer = Client(headers={"x-request-id": "given-12345"}).get("/healthz")
    assert answer.headers["X-Request-ID"] == "given-12345"
    for unfit in ("short", "a b c d e f g h", "x" * 65, "<script>alert</script>"):
        assert (
            Client(headers={"x-request-id": unfit}).get("/healthz").headers["X-Request-ID"] != unfit
        )

    make_project()
    job = RailwaySync.objects.get()
    with trace.within("request-id-1"):
        jobs.wake_now(job, now=timezone.now())
    assert RailwaySync.objects.get().trace == "request-id-1"


def test_a_line_is_one_object_without_raw_controls_or_secrets(lines):
    try:
        raise ValueError("a\x1b[31m /webhooks/railway/verysecret/ b\nc")
    except ValueError:
        logging.getLogger("x").exception("over\ntwo lines \x1b[31m /webhooks/railway/verysecret/")

    [line] = lines()
    assert (
        "verysecret" not in json.dumps(line) and "\x1b" not in line["message"] + line["exception"]
    )
    assert (
        line["level"] == "ERROR"
        and "ValueError" in line["exception"]
        and "\n" not in line["message"]
    )


@pytest.mark.slow
def test_errors_go_to_the_dsn_with_their_trace_and_without_secrets_or_variables():
    got = []

    def take(request):
        body = request.body
        got.append(gzip.decompress(body).decode() if body[:2] == b"\x1f\x8b" else body.decode())
        return Response(200, {})

    server = Server(take).start()
    code = (
        "import django; django.setup()\nimport logging, sentry_sdk\nfrom django.conf import"
        " settings\nfrom portal.logs import trace\ndef fails(password):\n    raise ValueError('It"
        " said ' + settings.GITHUB_TOKEN)\nwith trace.within('trace-of-error'):\n    try:"
        " fails('local-variable-secret')\n    except ValueError:"
        " logging.getLogger('x').exception('Broke with %s',"
        " settings.GITHUB_TOKEN)\nsentry_sdk.flush(5)\n"
    )
    env = os.environ | {
        "SENTRY_DSN": server.url.replace("://", "://key@") + "/1",
        "GITHUB_TOKEN": "github_pat_verysecret",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    server.stop()

    sent = "\n".join(got)
    assert "trace-of-error" in sent and "ValueError" in sent, done.stderr
    at = sent.find("verysecret")
    assert at == -1, sent[max(0, at - 300) : at + 50]
    assert "local-variable-secret" not in sent
