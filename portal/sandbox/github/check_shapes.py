"""Check runs, the suites they make up, and the workflow runs behind them, as REST objects."""

from typing import TYPE_CHECKING

from .required_checks import GOOD
from .shapes import Shape, app, repository
from .state import APPS, PORTAL_APP, node_id, stamp

if TYPE_CHECKING:
    from .hub import Hub


def check_run(hub: "Hub", check: Shape) -> Shape:
    url = f"{hub.api}/check-runs/{check['id']}"
    output = {"title": None, "summary": None, "text": None} | check["output"]
    return {
        "id": check["id"],
        "name": check["name"],
        "node_id": node_id("CheckRun", check["id"]),
        "head_sha": check["head_sha"],
        "external_id": check["external_id"],
        "url": url,
        "html_url": f"{hub.web}/runs/{check['id']}",
        "details_url": check["details_url"] or f"{hub.web}/runs/{check['id']}",
        "status": check["status"],
        "conclusion": check["conclusion"],
        "started_at": check["started_at"],
        "completed_at": check["completed_at"],
        "output": output | {"annotations_count": 0, "annotations_url": f"{url}/annotations"},
        "check_suite": {"id": check["suite_id"]},
        "app": app(hub, APPS.get(check["app_id"], PORTAL_APP)),
        "pull_requests": pulls_at(hub, check["head_sha"]),
    }


def pulls_at(hub: "Hub", sha: str) -> list[Shape]:
    """Return the open pull requests whose head is this commit, in the short form that checks
    carry.
    """
    repo = {"id": hub.repository_id, "url": hub.api, "name": hub.name}
    return [
        {
            "id": pull["id"],
            "number": pull["number"],
            "url": f"{hub.api}/pulls/{pull['number']}",
            "head": {"ref": pull["head"], "sha": sha, "repo": repo},
            "base": {"ref": pull["base"], "sha": pull["base_sha"], "repo": repo},
        }
        for pull in hub.state["pulls"]
        if pull["state"] == "open" and pull["head_sha"] == sha
    ]


def branch_at(hub: "Hub", sha: str) -> str | None:
    """Return a branch whose tip is this commit."""
    return next((name for name, tip in hub.state["heads"].items() if tip == sha), None)


def check_suite(hub: "Hub", rows: list[Shape]) -> Shape:
    """Return the suite that check runs of one app on one commit make up, as webhooks carry it."""
    first, (status, conclusion) = rows[0], suite_state(rows)
    return {
        "id": first["suite_id"],
        "node_id": node_id("CheckSuite", first["suite_id"]),
        "head_branch": branch_at(hub, first["head_sha"]),
        "head_sha": first["head_sha"],
        "status": status,
        "conclusion": conclusion,
        "url": f"{hub.api}/check-suites/{first['suite_id']}",
        "before": None,
        "after": first["head_sha"],
        "pull_requests": pulls_at(hub, first["head_sha"]),
        "app": app(hub, APPS.get(first["app_id"], PORTAL_APP)),
        "created_at": first["started_at"],
        "updated_at": max(row["completed_at"] or row["started_at"] for row in rows),
        "latest_check_runs_count": len({row["name"] for row in rows}),
        "check_runs_url": f"{hub.api}/check-suites/{first['suite_id']}/check-runs",
        "head_commit": simple_commit(hub, first["head_sha"]),
    }


def suite_state(rows: list[Shape]) -> tuple[str, str | None]:
    """Return status and conclusion of a suite from the newest run of each name."""
    latest = {row["name"]: row for row in rows}.values()
    if any(row["status"] != "completed" for row in latest):
        return "in_progress", None
    bad = next((row["conclusion"] for row in latest if row["conclusion"] not in GOOD), None)
    return "completed", bad or "success"


def simple_commit(hub: "Hub", sha: str) -> Shape:
    commit = hub.git.commit(sha)
    people = {"author": commit.author, "committer": commit.committer}
    return {
        "id": sha,
        "tree_id": commit.tree,
        "message": commit.message,
        "timestamp": stamp(commit.committer.at),
        **{role: {"name": who.name, "email": who.email} for role, who in people.items()},
    }


def workflow(hub: "Hub") -> Shape:
    path = ".github/workflows/ci.yml"
    return {
        "id": 1,
        "node_id": node_id("Workflow", 1),
        "name": "CI",
        "path": path,
        "state": "active",
        "created_at": hub.state["created_at"],
        "updated_at": hub.state["created_at"],
        "url": f"{hub.api}/actions/workflows/1",
        "html_url": f"{hub.web}/blob/{hub.state['default_branch']}/{path}",
        "badge_url": f"{hub.web}/workflows/CI/badge.svg",
    }


def workflow_run(hub: "Hub", rows: list[Shape]) -> Shape:
    """Return the run of the workflow that a suite of GitHub Actions' check runs stands for."""
    first, (status, conclusion) = rows[0], suite_state(rows)
    run_id = first["suite_id"]
    url, suite = f"{hub.api}/actions/runs/{run_id}", f"{hub.api}/check-suites/{run_id}"
    commit_ = simple_commit(hub, first["head_sha"])
    return {
        "id": run_id,
        "name": "CI",
        "node_id": node_id("WorkflowRun", run_id),
        "head_branch": branch_at(hub, first["head_sha"]),
        "head_sha": first["head_sha"],
        "path": ".github/workflows/ci.yml",
        "display_title": commit_["message"].split("\n")[0],
        "run_number": 1,
        "run_attempt": 1,
        "event": "push",
        "status": status,
        "conclusion": conclusion,
        "workflow_id": 1,
        "check_suite_id": run_id,
        "check_suite_node_id": node_id("CheckSuite", run_id),
        "check_suite_url": suite,
        "workflow_url": f"{hub.api}/actions/workflows/1",
        "previous_attempt_url": None,
        "url": url,
        "html_url": f"{hub.web}/actions/runs/{run_id}",
        "pull_requests": pulls_at(hub, first["head_sha"]),
        "created_at": first["started_at"],
        "run_started_at": first["started_at"],
        "updated_at": max(row["completed_at"] or row["started_at"] for row in rows),
        **{
            f"{end}_url": f"{url}/{end}" for end in ("logs", "artifacts", "cancel", "rerun", "jobs")
        },
        "head_commit": commit_,
        "repository": repository(hub),
        "head_repository": repository(hub),
    }
