"""GraphQL: executes any document that is valid under `schema.graphql`.

Answers are plain dicts; a value that is a function is asked only when the document selects it.
"""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphql import ExecutionResult, GraphQLSchema, build_schema, execute_sync

from portal.sandbox import documents
from portal.sandbox.server import Request, Response

from . import graph_rules, judging, pulls
from .graph_checks import rollup
from .graph_pages import Node, actor, connection, error_shape, fault
from .state import Refused, Viewer, find, node_id, stamp

if TYPE_CHECKING:
    from .hub import Hub


@functools.cache
def schema() -> GraphQLSchema:
    return build_schema(Path(__file__).with_name("schema.graphql").read_text())


def answer(hub: "Hub", request: Request, viewer: Viewer) -> Response:
    """Answer with HTTP 200 always, errors beside the data, as GitHub does; 400 for a body that
    holds no query.
    """
    try:
        body = request.json()
    except ValueError:
        raise Refused(400, "Problems parsing JSON") from None
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise Refused(400, "A query attribute must be specified and must be a string.")
    root = {
        "rateLimit": lambda info: _rate(hub),
        "repository": lambda info, owner, name: _repository(hub, owner, name),
        "revertPullRequest": lambda info, input: _revert(hub, viewer, input),
    }
    document, errors = documents.read(schema(), body["query"])
    if document is None or errors:
        result = ExecutionResult(None, errors)
    else:
        result = execute_sync(
            schema(),
            document,
            root_value=root,
            variable_values=body.get("variables"),
            operation_name=body.get("operationName"),
        )
    shape: Node = {} if result.data is None and result.errors else {"data": result.data}
    if result.errors:
        shape["errors"] = [error_shape(error) for error in result.errors]
    return Response(200, shape)


def _revert(hub: "Hub", viewer: Viewer, given: Node) -> Node:
    """Return a pull request that takes back what a merged one brought, as the button of that name
    does.
    """
    known = hub.state["pulls"]
    pull = next(
        (p for p in known if node_id("PullRequest", p["id"]) == given["pullRequestId"]), None
    )
    if pull is None:
        raise fault("NOT_FOUND", "Could not resolve to a node with the global id.")
    try:
        with hub.change(viewer):
            made = pulls.reverted(hub, pull, viewer, given.get("title"), given.get("body") or "")
    except Refused as refusal:
        raise fault("UNPROCESSABLE", refusal.message) from None
    return {"pullRequest": _pull(hub, pull), "revertPullRequest": _pull(hub, made)}


def _rate(hub: "Hub") -> Node:
    rate = hub.rate["graphql"]
    used = {"used": rate.used + 1, "remaining": max(0, rate.remaining - 1)}
    return {"limit": rate.limit, "cost": 1, "nodeCount": 0, "resetAt": stamp(rate.reset)} | used


def _repository(hub: "Hub", owner: str, name: str) -> Node:
    # Renames are followed, as on GitHub: `nameWithOwner` says what it is called now.
    if f"{owner}/{name}".lower() not in (
        name.lower() for name in [hub.full_name, *hub.state["old_names"]]
    ):
        sentence = f"Could not resolve to a Repository with the name '{owner}/{name}'."
        raise fault("NOT_FOUND", sentence)
    return {
        "id": node_id("Repository", hub.repository_id),
        "nameWithOwner": hub.full_name,
        "mergeCommitAllowed": hub.state["settings"]["allow_merge_commit"],
        "squashMergeAllowed": hub.state["settings"]["allow_squash_merge"],
        "rebaseMergeAllowed": hub.state["settings"]["allow_rebase_merge"],
        "deleteBranchOnMerge": hub.state["settings"]["delete_branch_on_merge"],
        "pullRequest": lambda info, number: _one_pull(hub, number),
        "ref": lambda info, **args: _ref(hub, args["qualifiedName"]),
        "pullRequests": lambda info, **args: _pulls(hub, **args),
    }


def _one_pull(hub: "Hub", number: int) -> Node:
    pull = find(hub.state["pulls"], number=number)
    if pull is None:
        raise fault("NOT_FOUND", f"Could not resolve to a PullRequest with the number of {number}.")
    return _pull(hub, pull)


def _ref(hub: "Hub", qualified: str) -> Node | None:
    branch = qualified.removeprefix("refs/heads/")
    sha = hub.state["heads"].get(branch)
    if sha is None:
        return None
    return {
        "name": branch,
        "target": _target(hub, sha),
        "compare": lambda info, headRef: _compared(hub, sha, headRef),
        "branchProtectionRule": lambda info: graph_rules.protection(hub, branch),
        "refUpdateRule": lambda info: graph_rules.update_rule(hub, branch),
        "rules": lambda info, **args: connection(
            "rules", graph_rules.rules_of(hub, branch), **args
        ),
    }


def _target(hub: "Hub", sha: str) -> Node:
    tree = {"oid": lambda info: hub.git.tree(sha)}
    return {"__typename": "Commit", "oid": sha, "tree": tree}


def _compared(hub: "Hub", base: str, named: str) -> Node | None:
    """Nothing where the other ref is not there, or where both have no commit in common."""
    head = hub.git.resolve(named)
    if head is None or hub.git.merge_base(base, head) is None:
        return None
    ahead, behind = hub.git.ahead_behind(base, head)
    ends = {"baseTarget": _target(hub, base), "headTarget": _target(hub, head)}
    return {"aheadBy": ahead, "behindBy": behind} | ends


# --- pull requests


def _pulls(
    hub: "Hub",
    states: list[str] | None = None,
    baseRefName: str | None = None,
    orderBy: Node | None = None,
    **window: Any,
) -> Node:
    rows = [
        pull
        for pull in hub.state["pulls"]
        if (not states or _state(pull) in states) and baseRefName in (None, pull["base"])
    ]
    keys = {"UPDATED_AT": "updated_at", "CREATED_AT": "created_at", "COMMENTS": "number"}
    key = keys[orderBy["field"]] if orderBy else "number"
    down = bool(orderBy) and orderBy["direction"] == "DESC"  # type: ignore[index]  # mypy loses the test
    rows.sort(key=lambda pull: (pull[key], pull["number"]), reverse=down)
    page = connection("pullRequests", rows, **window)
    return page | {"nodes": [_pull(hub, pull) for pull in page["nodes"]]}


def _state(pull: Node) -> str:
    return "MERGED" if pull["merged_at"] else pull["state"].upper()


def _pull(hub: "Hub", pull: Node) -> Node:
    words = {True: "MERGEABLE", False: "CONFLICTING", None: "UNKNOWN"}
    labels = [{"name": name, "color": "ededed"} for name in pull["labels"]]
    return {
        "id": node_id("PullRequest", pull["id"]),
        "fullDatabaseId": str(pull["id"]),
        "number": pull["number"],
        "title": pull["title"],
        "url": f"{hub.web}/pull/{pull['number']}",
        "author": actor(pull["user"]),
        "createdAt": pull["created_at"],
        "updatedAt": pull["updated_at"],
        "state": _state(pull),
        "commits": lambda info, **window: connection("commits", _commits(hub, pull), **window),
        "reviewThreads": lambda info, **window: connection(
            "reviewThreads", _threads(hub, pull), **window
        ),
        "isDraft": pull["draft"],
        "isCrossRepository": False,
        "baseRefName": pull["base"],
        "baseRefOid": pull["base_sha"],
        "headRefName": pull["head"],
        "headRefOid": pull["head_sha"],
        "headRepository": lambda info: _repository(hub, hub.owner, hub.name),
        "mergeable": lambda info: words[judging.mergeable(hub, pull)],
        "mergeStateStatus": lambda info: judging.merge_state(hub, pull),
        "reviewDecision": lambda info: judging.review_decision(hub, pull),
        "changedFiles": lambda info: pulls.totals(hub, pull)[0],
        "additions": lambda info: pulls.totals(hub, pull)[1],
        "deletions": lambda info: pulls.totals(hub, pull)[2],
        "autoMergeRequest": None,
        "labels": lambda info, **window: connection("labels", labels, **window),
        "latestOpinionatedReviews": lambda info, writersOnly=False, **window: connection(
            "latestOpinionatedReviews",
            [_review(r) for r in judging.latest_reviews(hub, pull)],
            **window,
        ),
        "statusCheckRollup": lambda info: rollup(hub, pull["head_sha"]),
    }


def _commits(hub: "Hub", pull: Node) -> list[Node]:
    shas = hub.git.text(
        "rev-list", "--reverse", f"{pull['base_sha']}..{pull['head_sha']}", "--"
    ).split()
    return [
        {"commit": {"__typename": "Commit", "oid": sha, "signature": _signature(hub, sha)}}
        for sha in shas
    ]


def _signature(hub: "Hub", sha: str) -> Node | None:
    return {"__typename": "GpgSignature", "isValid": True} if judging.signed(hub, sha) else None


def _threads(hub: "Hub", pull: Node) -> list[Node]:
    return [
        {"isResolved": thread["resolved"]}
        for thread in hub.state["threads"]
        if thread["number"] == pull["number"]
    ]


def _review(review: Node) -> Node:
    return {
        "author": actor(review["user"]),
        "state": review["state"],
        "submittedAt": review["at"],
        "commit": {"oid": review["sha"]},
    }


# --- checks
