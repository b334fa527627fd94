"""REST: commit statuses, check runs and workflow runs."""

from typing import TYPE_CHECKING

from portal.sandbox.server import Response

from . import check_shapes, checks, pull_shapes, shapes
from .checks import DESCRIPTION_LENGTH, Row
from .rest_repository import commit_named, get_commit
from .routes import Ask, paged, repo
from .state import ACTIONS_APP, PORTAL_APP, Refused, find, invalid, node_id

if TYPE_CHECKING:
    from .hub import Hub


@repo("POST", "/statuses/{sha}")
def create_status(hub: "Hub", ask: Ask) -> Response:
    body, sha = ask.need("state"), ask.part["sha"]
    if not hub.git.resolve(sha):
        raise Refused(422, f"No commit found for SHA: {sha}")
    if body["state"] not in checks.STATES:
        raise invalid("Status", "state")
    description = body.get("description")
    if len(description or "") > DESCRIPTION_LENGTH:
        sentence = f"description is too long (maximum is {DESCRIPTION_LENGTH} characters)"
        raise invalid("Status", "description", message=sentence)
    context = body.get("context") or "default"
    for name, value in (("description", description), ("context", context)):
        if any(ord(letter) > 0xFFFF for letter in value or ""):
            raise invalid("Status", name, message=f"{name} doesn't accept 4-byte Unicode")
    if (
        sum((row["sha"], row["context"]) == (sha, context) for row in hub.state["statuses"])
        >= hub.most_statuses
    ):
        sentence = "This SHA and context has reached the maximum number of statuses."
        raise invalid("Status", "", message=sentence)
    row = checks.add_status(
        hub,
        ask.viewer,
        sha,
        context=context,
        state=body["state"],
        description=description,
        target_url=body.get("target_url"),
    )
    shape = shapes.status(hub, row) | {"creator": shapes.user(hub, row["user"])}
    return Response(201, shape, {"Location": shape["url"]})


@repo("GET", "/commits/{ref}/statuses")
def list_statuses(hub: "Hub", ask: Ask) -> Response:
    sha = commit_named(hub, ask.part["ref"])
    rows = [row for row in reversed(hub.state["statuses"]) if row["sha"] == sha]
    shown = [shapes.status(hub, row) | {"creator": shapes.user(hub, row["user"])} for row in rows]
    return paged(hub, ask, shown)


@repo("GET", "/commits/{ref}/status")
def combined_status(hub: "Hub", ask: Ask) -> Response:
    sha = commit_named(hub, ask.part["ref"], 404)
    rows = checks.latest_statuses(hub, sha)
    page = paged(hub, ask, [shapes.status(hub, row) for row in rows])
    shape = {
        "state": checks.combined([row["state"] for row in rows]),
        "statuses": page.body,
        "sha": sha,
        "total_count": len(rows),
        "repository": shapes.repository(hub),
        "commit_url": f"{hub.api}/commits/{sha}",
        "url": f"{hub.api}/commits/{sha}/status",
    }
    return Response(200, shape, page.headers)


# --- check runs


def _readable(hub: "Hub") -> None:
    if not hub.checks_readable:
        raise Refused(403, "Resource not accessible by personal access token")


@repo("GET", "/commits/{ref}/check-runs")
def list_checks(hub: "Hub", ask: Ask) -> Response:
    _readable(hub)
    sha, query = commit_named(hub, ask.part["ref"]), ask.request.query
    rows = checks.latest_checks(hub, sha)
    if query.get("filter") == "all":
        rows = [row for row in hub.state["checks"] if row["head_sha"] == sha]
    wanted: Row = {"name": query.get("check_name"), "status": query.get("status")}
    wanted["app_id"] = int(query["app_id"]) if query.get("app_id", "").isdigit() else None
    rows = [
        r for r in rows if all(value is None or r[key] == value for key, value in wanted.items())
    ]
    return paged(
        hub, ask, [check_shapes.check_run(hub, row) for row in reversed(rows)], "check_runs"
    )


repo("GET", "/commits/{ref}/pulls")(
    lambda hub, ask: paged(
        hub, ask, [pull_shapes.simple(hub, p) for p in pulls_of(hub, ask.part["ref"])]
    )
)


def pulls_of(hub: "Hub", name: str) -> list[Row]:
    """Return the pull requests that brought a commit in, or hold it while open."""
    sha = commit_named(hub, name)
    pulls = []
    for pull in hub.state["pulls"]:
        inside = hub.git.is_ancestor(sha, pull["head_sha"]) and not hub.git.is_ancestor(
            sha, pull["base_sha"]
        )
        if sha == pull["merge_commit_sha"] or inside:
            pulls.append(pull)
    return pulls


repo("GET", "/commits/{ref}")(get_commit)


@repo("POST", "/check-runs")
def create_check(hub: "Hub", ask: Ask) -> Response:
    if ask.viewer.app_id is None:
        raise Refused(403, "You must authenticate via a GitHub App.")
    body = ask.need("name", "head_sha")
    commit_named(hub, body["head_sha"])
    row = checks.add_check(
        hub, ask.viewer, body["head_sha"], body["name"], app_id=PORTAL_APP.id, **_fields(body)
    )
    return Response(201, check_shapes.check_run(hub, row))


def _fields(body: Row) -> Row:
    names = (
        "status",
        "conclusion",
        "started_at",
        "completed_at",
        "details_url",
        "external_id",
        "output",
    )
    if body.get("status") == "completed" and not body.get("conclusion"):
        raise invalid("CheckRun", "conclusion", "missing_field")
    return {name: body[name] for name in names if name in body}


@repo("GET", "/check-runs/{check_run_id}")
def get_check(hub: "Hub", ask: Ask) -> Response:
    _readable(hub)
    return Response(200, check_shapes.check_run(hub, _check(hub, ask)))


def _check(hub: "Hub", ask: Ask) -> Row:
    row = find(hub.state["checks"], id=ask.number("check_run_id"))
    if row is None:
        raise Refused(404, "Not Found")
    return row


@repo("PATCH", "/check-runs/{check_run_id}")
def update_check(hub: "Hub", ask: Ask) -> Response:
    row, body = _check(hub, ask), ask.body()
    if row["app_id"] != ask.viewer.app_id:
        raise Refused(
            403,
            "Invalid app_id `"
            + str(row["app_id"])
            + "` - check run can only be modified by its app.",
        )
    checks.change_check(hub, ask.viewer, row, **_fields(body), name=body.get("name"))
    return Response(200, check_shapes.check_run(hub, row))


# --- workflow runs: what a token that cannot read check runs has instead


def _runs(hub: "Hub") -> dict[int, list[Row]]:
    """Check runs of GitHub Actions by suite: each suite is one run of the workflow."""
    by_suite: dict[int, list[Row]] = {}
    for row in hub.state["checks"]:
        if row["app_id"] == ACTIONS_APP.id:
            by_suite.setdefault(row["suite_id"], []).append(row)
    return by_suite


@repo("GET", "/actions/runs")
def list_runs(hub: "Hub", ask: Ask) -> Response:
    query = ask.request.query
    rows = [check_shapes.workflow_run(hub, rows) for rows in reversed(_runs(hub).values())]
    wanted = {"head_sha": "head_sha", "branch": "head_branch", "event": "event", "status": "status"}
    rows = [
        r
        for r in rows
        if all(r[key] == query[name] for name, key in wanted.items() if query.get(name))
    ]
    return paged(hub, ask, rows, "workflow_runs")


@repo("GET", "/actions/runs/{run_id}/jobs")
def list_jobs(hub: "Hub", ask: Ask) -> Response:
    run_id = ask.number("run_id")
    rows = _runs(hub).get(run_id)
    if rows is None:
        raise Refused(404, "Not Found")
    latest = {row["name"]: row for row in rows}.values()
    return paged(hub, ask, [_job(hub, run_id, row) for row in latest], "jobs")


def _job(hub: "Hub", run_id: int, row: Row) -> Row:
    copied = ("id", "name", "head_sha", "status", "conclusion", "started_at", "completed_at")
    return {name: row[name] for name in copied} | {
        "run_id": run_id,
        "run_url": f"{hub.api}/actions/runs/{run_id}",
        "node_id": node_id("Job", row["id"]),
        "url": f"{hub.api}/actions/jobs/{row['id']}",
        "html_url": f"{hub.web}/actions/runs/{run_id}/job/{row['id']}",
        "created_at": row["started_at"],
        "steps": [],
        "check_run_url": f"{hub.api}/check-runs/{row['id']}",
        "labels": ["ubuntu-latest"],
        **dict.fromkeys(
            ("runner_id", "runner_name", "runner_group_id", "runner_group_name", "head_branch")
        ),
        "workflow_name": "CI",
    }
