"""Commit statuses and check runs: how they are written, and what they add up to."""

from typing import TYPE_CHECKING, Any

from . import events
from .state import ACTIONS_APP, Viewer, find, stamp

if TYPE_CHECKING:
    from .hub import Hub

Row = dict[str, Any]

DESCRIPTION_LENGTH = 140
STATES = ("error", "failure", "pending", "success")


def add_status(
    hub: "Hub",
    viewer: Viewer,
    sha: str,
    *,
    context: str,
    state: str,
    description: str | None = None,
    target_url: str | None = None,
) -> Row:
    row = {
        "id": hub.new_id(),
        "sha": sha,
        "state": state,
        "context": context,
        "description": description,
        "target_url": target_url,
        "at": stamp(hub.clock()),
        "user": viewer.login,
    }
    hub.state["statuses"].append(row)
    events.status(hub, row, viewer)
    return row


def add_check(
    hub: "Hub", viewer: Viewer, sha: str, name: str, *, app_id: int = ACTIONS_APP.id, **more: Any
) -> Row:
    """Return a new check run, which replaces an older one of that name in every summary."""
    suite = find(hub.state["checks"], head_sha=sha, app_id=app_id)
    row: Row = {
        "id": hub.new_id(),
        "name": name,
        "head_sha": sha,
        "app_id": app_id,
        "suite_id": suite["suite_id"] if suite else hub.new_id(),
        "external_id": "",
        "details_url": None,
        "output": {},
        "status": "queued",
        "conclusion": None,
        "started_at": stamp(hub.clock()),
        "completed_at": None,
    }
    hub.state["checks"].append(row)
    change_check(hub, viewer, row, action="created", **more)
    return row


def change_check(hub: "Hub", viewer: Viewer, row: Row, *, action: str = "", **more: Any) -> None:
    """Write the given fields; a conclusion completes the run."""
    row |= {name: value for name, value in more.items() if value is not None}
    if row["conclusion"] and more.get("conclusion"):
        row["status"] = "completed"
    if row["status"] == "completed":
        row["completed_at"] = more.get("completed_at") or stamp(hub.clock())
        action = "completed"
    else:
        row |= {"conclusion": None, "completed_at": None}
    events.check_run(hub, action or "created", row, viewer)


def latest_checks(hub: "Hub", sha: str) -> list[Row]:
    """Return the newest run of each name and app."""
    newest = {(c["name"], c["app_id"]): c for c in hub.state["checks"] if c["head_sha"] == sha}
    return list(newest.values())


def latest_statuses(hub: "Hub", sha: str) -> list[Row]:
    """Return the newest status of each context, newest first."""
    newest = {s["context"]: s for s in hub.state["statuses"] if s["sha"] == sha}
    return sorted(newest.values(), key=lambda row: row["id"], reverse=True)


def combined(states: list[str]) -> str:
    """Return GitHub's one word for a commit's statuses; without any it says `pending`."""
    if {"error", "failure"} & set(states):
        return "failure"
    return "pending" if not states or "pending" in states else "success"
