"""Checks and statuses of a commit, as GraphQL shows them."""

from typing import TYPE_CHECKING, Any

from graphql import GraphQLResolveInfo

from . import checks, required_checks
from .graph_pages import Node, actor, connection, fault
from .state import ACTIONS_APP, APPS, PORTAL_APP, find, node_id

if TYPE_CHECKING:
    from .standin import GitHubStandIn


def rollup(hub: "GitHubStandIn", sha: str) -> Node | None:
    states = [state for _, _, state in required_checks.results(hub.state, sha)]
    if not states:
        return None
    return {
        "state": checks.combined(states).upper(),
        "contexts": lambda info, **window: connection("contexts", _contexts(hub, sha), **window),
    }


def _contexts(hub: "GitHubStandIn", sha: str) -> list[Any]:
    """Check runs and statuses; unreadable check runs are errors in their places, as GitHub
    answers them.
    """
    sealed = fault("FORBIDDEN", "Resource not accessible by personal access token")
    runs = [
        _check(hub, row) if hub.checks_readable else sealed
        for row in checks.latest_checks(hub, sha)
    ]
    return runs + [_status(hub, row) for row in checks.latest_statuses(hub, sha)]


def _check(hub: "GitHubStandIn", row: Node) -> Node:
    app = APPS.get(row["app_id"], PORTAL_APP)
    run = {"event": "push", "workflow": {"name": "CI"}} if app == ACTIONS_APP else None
    return {
        "__typename": "CheckRun",
        "databaseId": row["id"],
        "name": row["name"],
        "status": row["status"].upper(),
        "conclusion": row["conclusion"] and row["conclusion"].upper(),
        "startedAt": row["started_at"],
        "completedAt": row["completed_at"],
        "detailsUrl": row["details_url"] or f"{hub.web}/runs/{row['id']}",
        "isRequired": _required(hub, row["name"]),
        "checkSuite": {"app": {"databaseId": app.id, "slug": app.slug}, "workflowRun": run},
    }


def _status(hub: "GitHubStandIn", row: Node) -> Node:
    return {
        "__typename": "StatusContext",
        "id": node_id("Status", row["id"]),
        "context": row["context"],
        "creator": actor(row["user"]),
        "state": row["state"].upper(),
        "description": row["description"],
        "targetUrl": row["target_url"],
        "createdAt": row["at"],
        "isRequired": _required(hub, row["context"]),
    }


def _required(hub: "GitHubStandIn", context: str) -> Any:
    def resolve(
        info: GraphQLResolveInfo,
        pullRequestNumber: int | None = None,
        pullRequestId: str | None = None,
    ) -> bool:
        known = hub.state["pulls"]
        pull = find(known, number=pullRequestNumber) or next(
            (p for p in known if node_id("PullRequest", p["id"]) == pullRequestId), None
        )
        if pull is None:
            raise fault("UNPROCESSABLE", "A pull request ID or pull request number is required.")
        return context in required_checks.required_checks(hub.state, pull["base"])

    return resolve
