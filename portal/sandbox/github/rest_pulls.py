"""REST: pull requests, their reviews, and the comments and labels of their issues."""

from typing import TYPE_CHECKING, Any

from portal.sandbox.server import Response

from . import merging, pull_shapes, pulls, shapes
from .routes import Ask, paged, repo
from .state import Refused, find, invalid, stamp

if TYPE_CHECKING:
    from .hub import Hub

LISTED_COMMITS = 250


@repo("GET", "/pulls")
def list_pulls(hub: "Hub", ask: Ask) -> Response:
    query = ask.request.query
    state = query.get("state", "open")
    # As on GitHub, a head that does not name its owner filters nothing.
    owner, colon, head = query.get("head", "").partition(":")
    rows = [
        pull
        for pull in hub.state["pulls"]
        if state in ("all", pull["state"])
        and query.get("base") in (None, "", pull["base"])
        and (not colon or (owner == hub.owner and head == pull["head"]))
    ]
    key = "updated_at" if query.get("sort") == "updated" else "created_at"
    down = (
        query.get("direction", "desc" if query.get("sort", "created") == "created" else "asc")
        == "desc"
    )
    rows.sort(key=lambda pull: (pull[key], pull["number"]), reverse=down)
    page = paged(hub, ask, rows)
    assert isinstance(page.body, list)  # noqa: S101
    return Response(200, [pull_shapes.simple(hub, pull) for pull in page.body], page.headers)


@repo("POST", "/pulls")
def create_pull(hub: "Hub", ask: Ask) -> Response:
    body = ask.need("head", "base")
    if not body.get("title"):
        raise invalid("PullRequest", "title", "missing_field")
    head, base, title = (str(body[name]) for name in ("head", "base", "title"))
    more = {"body": body.get("body") or "", "draft": bool(body.get("draft"))}
    pull = pulls.opened(hub, ask.viewer, head=head, base=base, title=title, **more)
    return Response(
        201, pull_shapes.full(hub, pull), {"Location": f"{hub.api}/pulls/{pull['number']}"}
    )


def _pull(hub: "Hub", ask: Ask, part: str = "number") -> pulls.Pull:
    return pulls.get(hub, ask.number(part))


@repo("GET", "/pulls/{number}")
def get_pull(hub: "Hub", ask: Ask) -> Response:
    return Response(200, pull_shapes.full(hub, _pull(hub, ask)))


@repo("PATCH", "/pulls/{number}")
def update_pull(hub: "Hub", ask: Ask) -> Response:
    pull, body = _pull(hub, ask), ask.body()
    pull |= {name: body[name] for name in ("title", "body") if body.get(name) is not None}
    pull["updated_at"] = stamp(hub.clock())
    if body.get("base"):
        if body["base"] not in hub.state["heads"]:
            raise invalid("PullRequest", "base")
        pull |= {"base": body["base"], "base_sha": hub.state["heads"][body["base"]]}
    if body.get("state") == "closed" and pull["state"] == "open":
        pulls.close(hub, pull, ask.viewer)
    elif body.get("state") == "open" and pull["state"] == "closed":
        if pull["merged_at"] or pull["head"] not in hub.state["heads"]:
            raise invalid(
                "PullRequest",
                "state",
                message="state cannot be changed. The pull request is closed.",
            )
        pull |= {"state": "open", "closed_at": None, "head_sha": hub.state["heads"][pull["head"]]}
        hub.pull_event("reopened", pull, ask.viewer)
    elif body:
        hub.pull_event("edited", pull, ask.viewer, changes={})
    return Response(200, pull_shapes.full(hub, pull))


@repo("GET", "/pulls/{number}/commits")
def list_pull_commits(hub: "Hub", ask: Ask) -> Response:
    pull = _pull(hub, ask)
    span = ["--reverse", "--topo-order", f"{pull['base_sha']}..{pull['head_sha']}", "--"]
    commits = hub.git.commits(*span)[:LISTED_COMMITS]
    return paged(hub, ask, [shapes.commit(hub, commit) for commit in commits])


@repo("GET", "/pulls/{number}/files")
def list_pull_files(hub: "Hub", ask: Ask) -> Response:
    pull = _pull(hub, ask)
    fork = hub.git.merge_base(pull["base_sha"], pull["head_sha"]) or pull["base_sha"]
    changes = hub.git.changes(fork, pull["head_sha"])
    return paged(hub, ask, [shapes.change(hub, change, pull["head_sha"]) for change in changes])


@repo("GET", "/pulls/{number}/merge")
def is_merged(hub: "Hub", ask: Ask) -> Response:
    if not _pull(hub, ask)["merged_at"]:
        raise Refused(404, "Not Found")
    return Response(204)


@repo("PUT", "/pulls/{number}/merge")
def merge(hub: "Hub", ask: Ask) -> Response:
    body = ask.body()
    method = body.get("merge_method") or "merge"
    if method not in ("merge", "squash", "rebase"):
        raise invalid("PullRequest", "merge_method")
    made = merging.merge(
        hub,
        _pull(hub, ask),
        ask.viewer,
        method=method,
        sha=body.get("sha"),
        title=body.get("commit_title"),
        message=body.get("commit_message"),
    )
    return Response(
        200, {"sha": made, "merged": True, "message": "Pull Request successfully merged"}
    )


@repo("PUT", "/pulls/{number}/update-branch")
def update_branch(hub: "Hub", ask: Ask) -> Response:
    pull = _pull(hub, ask)
    merging.update_branch(hub, pull, ask.viewer, ask.body().get("expected_head_sha"))
    url = f"{hub.web}/pull/{pull['number']}"
    return Response(202, {"message": "Updating pull request branch.", "url": url})


@repo("GET", "/pulls/{number}/reviews")
def list_reviews(hub: "Hub", ask: Ask) -> Response:
    number = _pull(hub, ask)["number"]
    rows = [row for row in hub.state["reviews"] if row["number"] == number]
    return paged(hub, ask, [pull_shapes.review(hub, row) for row in rows])


# --- comments and labels


@repo("GET", "/issues/comments/{comment_id}")
def get_comment(hub: "Hub", ask: Ask) -> Response:
    return Response(200, pull_shapes.comment(hub, _comment(hub, ask)))


def _comment(hub: "Hub", ask: Ask) -> dict[str, Any]:
    row = find(hub.state["comments"], id=ask.number("comment_id"))
    if row is None:
        raise Refused(404, "Not Found")
    return row


@repo("PATCH", "/issues/comments/{comment_id}")
def edit_comment(hub: "Hub", ask: Ask) -> Response:
    row = _comment(hub, ask)
    row |= {"body": ask.need("body")["body"], "updated_at": stamp(hub.clock())}
    return Response(200, pull_shapes.comment(hub, row))


@repo("GET", "/issues/{number}/comments")
def list_comments(hub: "Hub", ask: Ask) -> Response:
    number = _pull(hub, ask)["number"]
    rows = [row for row in hub.state["comments"] if row["number"] == number]
    return paged(hub, ask, [pull_shapes.comment(hub, row) for row in rows])


@repo("POST", "/issues/{number}/comments")
def create_comment(hub: "Hub", ask: Ask) -> Response:
    pull, now = _pull(hub, ask), stamp(hub.clock())
    row = {
        "id": hub.new_id(),
        "number": pull["number"],
        "body": ask.need("body")["body"],
        "user": ask.viewer.login,
        "created_at": now,
        "updated_at": now,
    }
    hub.state["comments"].append(row)
    pull["updated_at"] = now
    shape = pull_shapes.comment(hub, row)
    return Response(201, shape, {"Location": shape["url"]})


@repo("POST", "/issues/{number}/labels")
def add_labels(hub: "Hub", ask: Ask) -> Response:
    pull = _pull(hub, ask)
    body = ask.request.json()
    wanted = body if isinstance(body, list) else ask.need("labels")["labels"]
    names = [name if isinstance(name, str) else name["name"] for name in wanted]
    pull["labels"] += [name for name in dict.fromkeys(names) if name not in pull["labels"]]
    pull["updated_at"] = stamp(hub.clock())
    return Response(200, [shapes.label(hub, name) for name in pull["labels"]])
