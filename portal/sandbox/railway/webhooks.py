"""Webhooks as Railway sends them: unsigned, unordered, at least once, given up after three more
tries.
"""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from .movement import settle
from .world import Row, World

SECONDS = 30.0
RETRIES = 3
SEVERITIES = {"failed": "CRITICAL", "crashed": "CRITICAL", "needs_approval": "WARNING"}


class Sender:
    """A thread that moves deployments along and hands what happened to the rules' addresses."""

    def __init__(self, world: World, retry_seconds: float = 0.2) -> None:
        self.world = world
        self.retry_seconds = retry_seconds
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self.world.stirred.set()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.world.stirred.wait(1)
            self.world.stirred.clear()
            with self.world.lock:
                settle(self.world)
                if self.world.dirty:
                    self.world.save()
                happened, self.world.outbox = self.world.outbox, []
                deliveries = [
                    row for event, deployment in happened for row in self._due(event, deployment)
                ]
                moving = bool(self.world.data["moving"])
            for url, headers, payload in deliveries:
                self._pool.submit(self._deliver, url, headers, payload)
            if moving:
                self.world.stirred.set()
                self._stopping.wait(min(0.1, max(0.01, self.world.seconds_per_state / 4)))

    def _due(self, event: str, deployment: Row) -> list[tuple[str, dict[str, str], Row]]:
        """Return address, headers and payload of each delivery, lost and repeated ones accounted
        for.
        """
        environment = self.world.data["environments"].get(deployment["environmentId"])
        if environment is None:
            return []
        payload = _payload(self.world, event, deployment, environment)
        due = [
            (channel["config"]["url"], channel["config"].get("headers") or {}, payload)
            for rule in self.world.rows("rules")
            if _wants(rule, event, deployment, environment)
            for channel in rule["channels"]
            if channel["config"].get("type") == "webhook"
        ]
        knobs = self.world.data["knobs"]
        if due and knobs.get("drop_webhooks", 0) > 0:
            knobs["drop_webhooks"] -= 1
            return []
        return due * (1 + knobs.get("repeat_webhooks", 0))

    def _deliver(self, url: str, headers: dict[str, str], payload: Row) -> None:
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "railway-sandbox"} | headers
        for attempt in range(1 + RETRIES):
            if self._stopping.is_set():
                return
            try:
                answer = httpx.post(
                    url, content=body, headers=headers, timeout=SECONDS, trust_env=False
                )
                if answer.is_success:
                    return
            except (httpx.HTTPError, httpx.InvalidURL):
                pass
            time.sleep(self.retry_seconds * 2**attempt)


def _wants(rule: Row, event: str, deployment: Row, environment: Row) -> bool:
    return (
        rule["projectId"] in (None, deployment["projectId"])
        and event.lower() in {name.lower() for name in rule["eventTypes"]}
        and (rule["ephemeralEnvironments"] or not environment["isEphemeral"])
    )


def _payload(world: World, event: str, deployment: Row, environment: Row) -> Row:
    project = world.get("projects", deployment["projectId"])
    service = world.get("services", deployment["serviceId"])
    meta = deployment["meta"]
    details = {
        name: meta.get(name) for name in ("branch", "commitHash", "commitAuthor", "commitMessage")
    }
    name = event.rpartition(".")[2]
    return {
        "type": event,
        "details": (
            {"id": deployment["id"], "source": "GitHub", "status": deployment["status"]} | details
        ),
        "resource": {
            "workspace": {key: world.data["workspace"][key] for key in ("id", "name")},
            "project": {key: project[key] for key in ("id", "name")},
            "environment": {key: environment[key] for key in ("id", "name", "isEphemeral")},
            "service": {key: service[key] for key in ("id", "name")},
            "deployment": {"id": deployment["id"]},
        },
        "severity": SEVERITIES.get(name, "INFO"),
        "timestamp": deployment["statusUpdatedAt"],
    }
