"""The payloads of webhooks, shaped like the ones GitHub publishes, and who is sent them."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import check_shapes, pull_shapes, shapes
from .git import ZERO, Git
from .git_objects import Commit, Person
from .state import ACTIONS_APP, Viewer, stamp

if TYPE_CHECKING:
    from .hub import Hub

LISTED_COMMITS = 100


def wanted(hub: "Hub", event: str) -> list[dict[str, Any]]:
    """Return the active hooks that ask for an event."""
    return [h for h in hub.state["hooks"] if h["active"] and ({event, "*"} & set(h["events"]))]


def emit(hub: "Hub", event: str, viewer: Viewer, body: dict[str, Any]) -> None:
    """Send `body`, with repository and sender, to every hook that asks for it."""
    listeners = wanted(hub, event)
    if listeners:
        sender = shapes.user(hub, viewer.login or hub.owner)
        payload = {"repository": shapes.repository(hub), "sender": sender} | body
        for hook in listeners:
            hub.hooks.send(hook, event, payload)


def pull_request(
    hub: "Hub", action: str, pull: dict[str, Any], viewer: Viewer, **more: Any
) -> None:
    if wanted(hub, "pull_request"):
        body = {
            "action": action,
            "number": pull["number"],
            "pull_request": pull_shapes.full(hub, pull),
        }
        emit(hub, "pull_request", viewer, body | more)


def review(hub: "Hub", pull: dict[str, Any], review_row: dict[str, Any], viewer: Viewer) -> None:
    shape = pull_shapes.review(hub, review_row) | {"state": review_row["state"].lower()}
    body = {"action": "submitted", "review": shape, "pull_request": pull_shapes.simple(hub, pull)}
    emit(hub, "pull_request_review", viewer, body)


def check_run(hub: "Hub", action: str, check: dict[str, Any], viewer: Viewer) -> None:
    """Send the run's own event; one that completes its suite also tells of the suite and of the
    workflow's run.
    """
    if not any(wanted(hub, event) for event in ("check_run", "check_suite", "workflow_run")):
        return
    rows = [row for row in hub.state["checks"] if row["suite_id"] == check["suite_id"]]
    suite = check_shapes.check_suite(hub, rows)
    shape = check_shapes.check_run(hub, check) | {"check_suite": suite}
    emit(hub, "check_run", viewer, {"action": action, "check_run": shape})
    if action == "completed" and suite["status"] == "completed":
        emit(hub, "check_suite", viewer, {"action": action, "check_suite": suite})
        if check["app_id"] == ACTIONS_APP.id:
            both = {
                "workflow": check_shapes.workflow(hub),
                "workflow_run": check_shapes.workflow_run(hub, rows),
            }
            emit(hub, "workflow_run", viewer, {"action": action} | both)


def status(hub: "Hub", status_row: dict[str, Any], viewer: Viewer) -> None:
    heads = hub.state["heads"].items()
    branches = [
        {
            "name": name,
            "commit": {"sha": sha, "url": f"{hub.api}/commits/{sha}"},
            "protected": False,
        }
        for name, sha in heads
        if sha == status_row["sha"]
    ]
    body = {
        "id": status_row["id"],
        "sha": status_row["sha"],
        "name": hub.full_name,
        "avatar_url": None,
        "target_url": status_row["target_url"],
        "context": status_row["context"],
        "description": status_row["description"],
        "state": status_row["state"],
        "commit": shapes.commit(hub, hub.git.commit(status_row["sha"])),
        "branches": branches,
        "created_at": status_row["at"],
        "updated_at": status_row["at"],
    }
    emit(hub, "status", viewer, body)


def pushed(hub: "Hub", branch: str, before: str | None, after: str | None, viewer: Viewer) -> None:
    """Send the `push` event of a branch that was made, moved or deleted (None on either side)."""
    if not wanted(hub, "push"):
        return
    git = hub.git
    forced = bool(before and after and not git.is_ancestor(before, after))
    listed: list[dict[str, Any]] = []
    if after:
        span = [f"{before}..{after}"] if before else ["-1", after]
        commits = git.commits("--reverse", f"--max-count={LISTED_COMMITS}", *span, "--")
        files = touched(git, span)
        listed = [_pushed_commit(hub, commit, files.get(commit.sha, {})) for commit in commits]
    head = (
        _pushed_commit(hub, git.commit(after), touched(git, ["-1", after]).get(after, {}))
        if after
        else None
    )
    span_url = f"{hub.web}/compare/{before[:12]}...{after[:12]}" if before and after else ""
    person = hub.person(viewer.login or hub.owner)
    body = {
        "ref": f"refs/heads/{branch}",
        "before": before or ZERO,
        "after": after or ZERO,
        "repository": _push_repository(hub),
        "pusher": {"name": person.name, "email": person.email},
        "created": before is None,
        "deleted": after is None,
        "forced": forced,
        "base_ref": None,
        "compare": span_url or f"{hub.web}/commit/{after}",
        "commits": listed,
        "head_commit": head,
    }
    emit(hub, "push", viewer, body)


def touched(git: Git, span: list[str]) -> dict[str, dict[str, list[str]]]:
    """Return files added, removed and modified by each commit of a span, against its first
    parent.
    """
    arguments = ["--format=%x01%H", "--name-status", "--no-renames", "-m", "--first-parent"]
    text = git.text(
        "-c",
        "core.quotePath=false",
        "log",
        f"--max-count={LISTED_COMMITS}",
        *arguments,
        *span,
        "--",
    )
    words = {"A": "added", "D": "removed"}
    by_commit: dict[str, dict[str, list[str]]] = {}
    for block in text.split("\x01")[1:]:
        sha, *lines = block.split("\n")
        files: dict[str, list[str]] = {"added": [], "removed": [], "modified": []}
        for line in filter(None, lines):
            letter, path = line.split("\t", 1)
            files[words.get(letter, "modified")].append(path)
        by_commit[sha] = files
    return by_commit


def _push_repository(hub: "Hub") -> dict[str, Any]:
    """Return the repository as push events have it: times as numbers, and a few fields of their
    own.
    """
    repo = shapes.repository(hub)
    owner = hub.person(hub.owner)
    names = ("created_at", "pushed_at")
    times = {name: int(datetime.fromisoformat(repo[name]).timestamp()) for name in names}
    return (
        repo
        | times
        | {
            "url": hub.web,
            "owner": repo["owner"] | {"name": owner.name, "email": owner.email},
            "stargazers": 0,
            "master_branch": repo["default_branch"],
        }
    )


def _pushed_commit(hub: "Hub", commit: Commit, files: dict[str, list[str]]) -> dict[str, Any]:
    def who(person: Person) -> dict[str, str]:
        return {"name": person.name, "email": person.email, "username": hub.login_of(person.email)}

    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": True,
        "message": commit.message,
        "timestamp": stamp(commit.committer.at),
        "url": f"{hub.web}/commit/{commit.sha}",
        "author": who(commit.author),
        "committer": who(commit.committer),
        "added": [],
        "removed": [],
        "modified": [],
    } | files
