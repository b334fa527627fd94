"""How many deliveries a second are taken, beside the same insert alone: `python -m tests.bench.webhooks`.

One client, no HTTP server between: this is the price of the signature, the JSON and the transaction.
Exit status 1 below a fifth of the bare insert.
"""

# ruff: noqa: T201 -- a measurement is printed

from tests.scratch import scratch_database  # first: it sets Django up

# isort: split
import hashlib
import hmac
import json
import statistics
import sys
import time

from django.conf import settings
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone

from portal.webhooks import receive_github

KEY = "a secret for this measurement"


def main(deliveries: int = 2000) -> int:
    """Prints both rates; returns the exit status."""
    settings.GITHUB_WEBHOOK_SECRET = KEY
    body = json.dumps({"action": "synchronize", "filler": "x" * 10_000}).encode()
    signature = "sha256=" + hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
    taken, bare = [], []
    for number in range(deliveries):
        request = RequestFactory().post(
            "/webhooks/github",
            body,
            content_type="application/json",
            headers={
                "X-Hub-Signature-256": signature,
                "X-GitHub-Event": "pull_request",
                "X-GitHub-Delivery": f"delivery-{number}",
            },
        )
        began = time.perf_counter()
        answer = receive_github(request)
        taken.append(time.perf_counter() - began)
        assert answer.status_code == 200
        bare.append(insert_alone(number, body.decode()))
    ratio = statistics.median(bare) / statistics.median(taken)
    for name, times in (("taken", taken), ("insert alone", bare)):
        middle, high = statistics.median(times), sorted(times)[-deliveries // 100]
        print(f"  {name:14} {1 / middle:8,.0f} /s   p99 {high * 1000:.1f} ms")
    print(f"  {ratio:.2f} of the insert alone")
    return int(ratio < 0.2)


def insert_alone(number: int, body: str) -> float:
    values = [
        "github",
        f"bare-{number}",
        "pull_request",
        "synchronize",
        timezone.now(),
        len(body),
        body,
        "handled",
    ]
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO portal_webhookdelivery"
            " (source, delivery, event, action, received_at, size, body, outcome, error, times)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '', 1)",
            values,
        )
    return time.perf_counter() - began


if __name__ == "__main__":
    with scratch_database():
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
