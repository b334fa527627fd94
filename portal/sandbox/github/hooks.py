"""Webhook deliveries: signed, sent from one background thread, never retried by itself (as on
GitHub).
"""

import hashlib
import hmac
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from .state import stamp

KEPT = 200
Delivery = dict[str, Any]
Hook = dict[str, Any]


def signature(secret: str, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Hooks:
    """Sends deliveries in order and keeps the last of each hook, one file each, under `directory`.

    `drop_next(n)` loses the next n deliveries on the way, `repeat_next(n)` sends each of the next n
    twice,
    `shuffle_next(n)` holds n back and sends them in reverse.
    """

    def __init__(self, directory: Path, clock: Callable[[], datetime]) -> None:
        self.directory, self.clock = directory, clock
        directory.mkdir(parents=True, exist_ok=True)
        self._queue: queue.Queue[tuple[Hook, Delivery] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._drop = self._repeat = self._hold = 0
        self._held: list[tuple[Hook, Delivery]] = []
        self._last_id = time.time_ns() // 1000

    def drop_next(self, count: int) -> None:
        self._drop = count

    def repeat_next(self, count: int) -> None:
        self._repeat = count

    def shuffle_next(self, count: int) -> None:
        self._hold = count

    def send(self, hook: Hook, event: str, payload: dict[str, Any]) -> Delivery:
        """Queue one delivery of `payload` to `hook`."""
        return self._queued(hook, event, payload, str(uuid.uuid4()), again=False)

    def send_again(self, hook: Hook, delivery: Delivery) -> Delivery:
        """Queue it once more: a new delivery with the same GUID."""
        payload = delivery["request"]["payload"]
        return self._queued(hook, delivery["event"], payload, delivery["guid"], again=True)

    def wait(self, seconds: float = 10) -> None:
        """Return when everything queued was tried; raise `TimeoutError` after `seconds`."""
        end = time.monotonic() + seconds
        while self._queue.unfinished_tasks:
            if time.monotonic() > end:
                raise TimeoutError(f"Webhook deliveries were still under way after {seconds} s.")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the thread after what is queued."""
        if self._thread:
            self._queue.put(None)
            self._thread.join(timeout=15)
            self._thread = None

    def deliveries(self, hook_id: int) -> list[Delivery]:
        """Return what was tried for a hook, newest first."""
        kept_deliveries = [
            json.loads(path.read_text()) for path in self.directory.glob(f"{hook_id}-*.json")
        ]
        return sorted(kept_deliveries, key=lambda delivery: delivery["id"], reverse=True)

    def _queued(
        self, hook: Hook, event: str, payload: dict[str, Any], guid: str, *, again: bool
    ) -> Delivery:
        self._last_id += 1
        delivery = {
            "id": self._last_id,
            "guid": guid,
            "event": event,
            "action": payload.get("action"),
            "redelivery": again,
            "installation_id": None,
            "repository_id": payload["repository"]["id"],
            "request": {"headers": {}, "payload": payload},
        }
        self._queue.put((hook, delivery))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="github-hooks")
            self._thread.start()
        return delivery

    def _work(self) -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            while (item := self._queue.get()) is not None:
                try:
                    self._handle(client, item)
                finally:
                    self._queue.task_done()
            self._queue.task_done()

    def _handle(self, client: httpx.Client, item: tuple[Hook, Delivery]) -> None:
        if self._hold:
            self._hold -= 1
            self._held.append(item)
            if self._hold:
                return
            held, self._held = self._held[::-1], []
            for delivery in held:
                self._deliver(client, *delivery)
            return
        self._deliver(client, *item)

    def _deliver(self, client: httpx.Client, hook: Hook, delivery: Delivery) -> None:
        if self._drop:
            self._drop -= 1
            self._keep(hook, delivery, 0, "timed out", 10.0, {}, "")
            return
        self._post(client, hook, delivery)
        if self._repeat:
            self._repeat -= 1
            self._post(client, hook, delivery)

    def _post(self, client: httpx.Client, hook: Hook, delivery: Delivery) -> None:
        body = json.dumps(delivery["request"]["payload"]).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/sandbox",
            "X-GitHub-Event": delivery["event"],
            "X-GitHub-Delivery": delivery["guid"],
            "X-GitHub-Hook-ID": str(hook["id"]),
            "X-GitHub-Hook-Installation-Target-ID": str(delivery["repository_id"]),
            "X-GitHub-Hook-Installation-Target-Type": "repository",
        }
        if hook["secret"]:
            headers["X-Hub-Signature-256"] = signature(hook["secret"], body)
        delivery["request"]["headers"] = headers
        start = time.monotonic()
        try:
            answer = client.post(hook["url"], content=body, headers=headers)
            code, word, text = answer.status_code, "OK", answer.text[:2000]
            if code >= 300:
                word = f"Invalid HTTP Response: {code}"
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            code, word, text = 0, f"failed to connect to host: {type(failure).__name__}", ""
        self._keep(hook, delivery, code, word, time.monotonic() - start, headers, text)

    def _keep(
        self,
        hook: Hook,
        delivery: Delivery,
        code: int,
        word: str,
        seconds: float,
        headers: dict[str, str],
        text: str,
    ) -> None:
        kept = delivery | {
            "delivered_at": stamp(self.clock()),
            "duration": round(seconds, 3),
            "status": word,
            "status_code": code,
            "response": {"headers": {}, "payload": text},
        }
        path = self.directory / f"{hook['id']}-{delivery['id']}.json"
        path.write_text(json.dumps(kept))
        for old in sorted(self.directory.glob(f"{hook['id']}-*.json"))[:-KEPT]:
            old.unlink()
