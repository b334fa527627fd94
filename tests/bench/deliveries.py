"""How many webhooks a second the portal accepts, beside the two writes each of them makes, done
raw.

The portal runs as it is served (`manage.py web`), on a PostgreSQL that keeps what it was told
(fsync on); four senders post signed deliveries over kept connections. Raw: four connections make
the same INSERT and the same UPDATE, a transaction for each. Run by `make bench`, or `python -m
tests.bench.deliveries 2000`. Ends with 1 below 0.3.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from uuid import uuid4

import psycopg

from portal.server.embedded_postgres import running
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SENDERS, ROUNDS, LEAST = 4, 3, 0.3
SECRET = "bench-secret"
# Of the size that GitHub's payloads usually are.
PAYLOAD = {
    "repository": {"full_name": "acme/inspector"},
    "commits": [{"message": "x" * 250} for _ in range(32)],
}
BODY = json.dumps(PAYLOAD).encode()

INSERT = """
INSERT INTO portal_webhookdelivery
    (source, delivery, event, action, received_at, size, body, outcome, error, times)
VALUES ('github', %s, 'push', '', now(), %s, %s, 'handled', '', 1)
"""
UPDATE = """
UPDATE releases_githubsync SET wake_at = now()
WHERE project_id IN (SELECT id FROM environments_project WHERE UPPER(repository) =
UPPER('acme/inspector'))
"""


def main(count: int = 2000) -> int:
    """Prints a table; 1 when the portal accepts less than 0.3 of what raw writes reach, or
    refuses anything.
    """
    with (
        tempfile.TemporaryDirectory(prefix="portal-bench-") as var,
        running(Path(var) / "postgres") as server,
    ):
        port = free_port()
        env = os.environ | {
            "PORTAL_VAR_DIR": var,
            "DATABASE_URL": server.url,
            "ALLOW_SUPERUSER_DATABASE": "1",
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        }
        subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity=0"],
            check=True,
            env=env,
        )
        _make_project(server.url)
        command = [sys.executable, "manage.py", "web", "--host=127.0.0.1", f"--port={port}"]
        portal = subprocess.Popen(command, env=env, cwd=ROOT)
        try:
            _await(port)
            deliver, write = (
                (lambda part: _deliver(port, part)),
                (lambda part: _write(server.url, part)),
            )
            _rate(deliver, 100)
            rates = [(_rate(write, count), _rate(deliver, count)) for _ in range(ROUNDS)]
        finally:
            portal.terminate()
            portal.wait()
    return _report(
        count, median(raw for raw, _ in rates), median(accepted for _, accepted in rates)
    )


def _make_project(url: str) -> None:
    os.environ |= {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "portal.settings"}
    import django

    django.setup()
    from django.db import connection

    from releases.project_settings.connect import connect

    connect(name="inspector", repository="acme/inspector", railway_project_id="p")
    connection.close()


def _rate(work: Callable[[int], None], count: int) -> float:
    """`count` pieces of work by all senders together, a second."""
    started = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(work, [count // SENDERS] * SENDERS))
    return count // SENDERS * SENDERS / (time.perf_counter() - started)


def _deliver(port: int, count: int) -> None:
    import hashlib
    import hmac

    signature = "sha256=" + hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(count):
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": str(uuid4()),
            "X-Hub-Signature-256": signature,
        }
        line.request("POST", "/webhooks/github/", BODY, headers)
        answer = line.getresponse()
        answer.read()
        if answer.status != 202:
            raise SystemExit(f"A delivery was answered {answer.status}.")
    line.close()


def _write(url: str, count: int) -> None:
    kept = BODY[:16_000].decode()
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(count):
            with connection.transaction():
                connection.execute(INSERT, [str(uuid4()), len(BODY), kept])
                connection.execute(UPDATE)


def _await(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("The portal did not start.")


def _report(count: int, raw: float, accepted: float) -> int:
    ratio = accepted / raw
    print(
        f"{count} deliveries of {len(BODY)} bytes, {SENDERS} at a time, median of {ROUNDS} rounds"
    )
    print(f"  raw writes                    {raw:9.0f} /s")
    print(
        f"  deliveries accepted           {accepted:9.0f} /s   {ratio:5.2f} × raw   (at least"
        f" {LEAST})"
    )
    print("held" if ratio >= LEAST else "missed")
    return 0 if ratio >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
