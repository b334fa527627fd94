"""The bad days that the sandbox's stand-ins offer, and the action that begins one."""

import json
from dataclasses import dataclass

from django.conf import settings

from environments.models import Project
from portal import audit
from portal.audit import Actor
from portal.outbound import http
from portal.outbound.http import ApiError
from portal.ui.actions import Refused, action

SERVICE = "sandbox"


@dataclass(frozen=True)
class Day:
    """A bad day: `happens` says what goes wrong, `practise` what to do about it in the portal."""

    name: str
    title: str
    happens: str
    practise: str


def offered() -> list[Day]:
    """Return the days that can begin here. Raise `Refused` while the stand-ins do not answer."""
    return _asked("GET")


@action("sandbox.day_begun", "releases.cut_release")
def begin(project: Project, *, actor: Actor, name: str) -> None:
    """Let the day `name` begin. Raise `Refused` with the reason when it cannot."""
    title = next((day.title for day in offered() if day.name == name), None)
    if title is None:
        raise Refused("There is no such day.")
    message, data = f"{actor} began a day to practise: {title}.", {"day": name}
    audit.record("sandbox.day_begun", actor=actor, subject=project, sentence=message, data=data)
    # Last: what the stand-ins refuse is rolled back with its event.
    _asked("POST", json.dumps({"day": name}).encode())


def _asked(method: str, body: bytes | None = None) -> list[Day]:
    if not settings.SANDBOX:  # nothing of the kind is ever asked of GitHub itself
        raise Refused("Days to practise exist in the sandbox only.")
    url = f"{settings.GITHUB_API_URL}/_sandbox/days"
    try:
        reply = http.send(SERVICE, method, url, write=method == "POST", content=body)
        answer = reply.json()
    except (ApiError, ValueError):
        raise Refused("The sandbox's stand-ins do not answer; start the portal again.") from None
    if reply.status == 400 and isinstance(answer, dict):
        raise Refused(str(answer.get("message")))
    if reply.status != 200 or not isinstance(answer, list):
        raise Refused("This sandbox offers no days: it serves a repository of your own.")
    return [Day(**row) for row in answer]
