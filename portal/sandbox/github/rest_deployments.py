"""REST: deployments, their statuses, and the environments they name."""

from typing import TYPE_CHECKING, Any

from portal.sandbox.server import Response

from . import checks, events, shapes
from .checks import DESCRIPTION_LENGTH, Row
from .rest_repository import commit_named
from .routes import Ask, paged, repo
from .state import Refused, find, invalid, node_id, stamp

if TYPE_CHECKING:
    from .hub import Hub

DEPLOYMENT_STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")


def deployment_shape(hub: "Hub", row: Row) -> Row:
    url = f"{hub.api}/deployments/{row['id']}"
    copied = (
        "id",
        "sha",
        "ref",
        "task",
        "payload",
        "environment",
        "description",
        "created_at",
        "updated_at",
    )
    return {name: row[name] for name in copied} | {
        "url": url,
        "node_id": node_id("Deployment", row["id"]),
        "original_environment": row["environment"],
        "creator": shapes.user(hub, row["user"]),
        "statuses_url": f"{url}/statuses",
        "repository_url": hub.api,
        "performed_via_github_app": None,
        "transient_environment": row["transient"],
        "production_environment": row["production"],
    }


@repo("POST", "/deployments")
def create_deployment(hub: "Hub", ask: Ask) -> Response:
    body, now = ask.need("ref"), stamp(hub.clock())
    sha = commit_named(hub, body["ref"])
    if len(body.get("description") or "") > DESCRIPTION_LENGTH:
        raise invalid("Deployment", "description", "too_long")
    _judge_contexts(hub, body.get("required_contexts"), sha, body["ref"])
    environment = body.get("environment") or "production"
    row = {
        "id": hub.new_id(),
        "sha": sha,
        "ref": body["ref"],
        "task": body.get("task") or "deploy",
        "payload": body.get("payload") or {},
        "environment": environment,
        "description": body.get("description") or None,
        "transient": bool(body.get("transient_environment")),
        "production": body.get("production_environment", environment == "production"),
        "created_at": now,
        "updated_at": now,
        "user": ask.viewer.login,
    }
    hub.state["deployments"].append(row)
    shape = deployment_shape(hub, row)
    events.emit(hub, "deployment", ask.viewer, {"action": "created", "deployment": shape})
    return Response(201, shape)


def _judge_contexts(hub: "Hub", wanted: list[str] | None, sha: str, ref: str) -> None:
    """409 unless the named contexts passed; None means all there are, [] asks for none."""
    rows = checks.latest_statuses(hub, sha)
    names = [row["context"] for row in rows] if wanted is None else wanted
    good = {row["context"] for row in rows if row["state"] == "success"}
    if not set(names) <= good:
        raise Refused(409, f"Conflict: Commit status checks failed for {ref}.")


@repo("GET", "/deployments")
def list_deployments(hub: "Hub", ask: Ask) -> Response:
    query = ask.request.query
    wanted = {
        name: query[name] for name in ("sha", "ref", "task", "environment") if query.get(name)
    }
    rows = [
        r for r in reversed(hub.state["deployments"]) if all(r[k] == v for k, v in wanted.items())
    ]
    return paged(hub, ask, [deployment_shape(hub, row) for row in rows])


def _deployment(hub: "Hub", ask: Ask) -> Row:
    row = find(hub.state["deployments"], id=ask.number("deployment_id"))
    if row is None:
        raise Refused(404, "Not Found")
    return row


@repo("GET", "/deployments/{deployment_id}")
def get_deployment(hub: "Hub", ask: Ask) -> Response:
    return Response(200, deployment_shape(hub, _deployment(hub, ask)))


def deployment_status_shape(hub: "Hub", row: Row) -> Row:
    url = f"{hub.api}/deployments/{row['deployment_id']}"
    copied = (
        "id",
        "state",
        "description",
        "environment",
        "target_url",
        "log_url",
        "environment_url",
    )
    return {name: row[name] for name in copied} | {
        "url": f"{url}/statuses/{row['id']}",
        "node_id": node_id("DeploymentStatus", row["id"]),
        "creator": shapes.user(hub, row["user"]),
        "created_at": row["at"],
        "updated_at": row["at"],
        "performed_via_github_app": None,
        "deployment_url": url,
        "repository_url": hub.api,
    }


@repo("GET", "/deployments/{deployment_id}/statuses")
def list_deployment_statuses(hub: "Hub", ask: Ask) -> Response:
    _deployment(hub, ask)
    rows = [
        r
        for r in hub.state["deployment_statuses"]
        if r["deployment_id"] == ask.number("deployment_id")
    ]
    return paged(hub, ask, [deployment_status_shape(hub, row) for row in reversed(rows)])


@repo("POST", "/deployments/{deployment_id}/statuses")
def create_deployment_status(hub: "Hub", ask: Ask) -> Response:
    deployment, body = _deployment(hub, ask), ask.need("state")
    if body["state"] not in DEPLOYMENT_STATES:
        raise invalid("DeploymentStatus", "state")
    if body["state"] == "success" and body.get("auto_inactive", True):
        _retire_others(hub, deployment, ask.viewer.login)
    row = _add_status(hub, deployment, ask.viewer.login, **body)
    shape = deployment_status_shape(hub, row)
    pair = {"deployment_status": shape, "deployment": deployment_shape(hub, deployment)}
    events.emit(hub, "deployment_status", ask.viewer, {"action": "created"} | pair)
    return Response(201, shape)


def _add_status(hub: "Hub", deployment: Row, login: str, **body: Any) -> Row:
    row = {
        "id": hub.new_id(),
        "deployment_id": deployment["id"],
        "state": body["state"],
        "environment": body.get("environment") or deployment["environment"],
        "at": stamp(hub.clock()),
        "user": login,
        **{n: body.get(n) or "" for n in ("description", "log_url", "environment_url")},
    }
    row["target_url"] = body.get("target_url") or row["log_url"]
    hub.state["deployment_statuses"].append(row)
    deployment["updated_at"] = row["at"]
    return row


def _retire_others(hub: "Hub", deployment: Row, login: str) -> None:
    """Let a success make older deployments to the same environment inactive, unless told
    otherwise.
    """
    for other in hub.state["deployments"]:
        same = other["environment"] == deployment["environment"] and not other["transient"]
        if same and other["id"] != deployment["id"] and not other["production"]:
            _add_status(hub, other, login, state="inactive")


@repo("GET", "/environments")
def list_environments(hub: "Hub", ask: Ask) -> Response:
    first = {row["environment"]: row for row in reversed(hub.state["deployments"])}
    rows = [
        {
            "id": row["id"],
            "node_id": node_id("Environment", row["id"]),
            "name": name,
            "url": f"{hub.api}/environments/{name}",
            "html_url": f"{hub.web}/deployments/{name}",
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
        }
        for name, row in first.items()
    ]
    return paged(hub, ask, rows, "environments")
