"""REST of trees, files and archives of the repository."""

import base64
from typing import TYPE_CHECKING, Any

from portal.sandbox.server import Response

from .git_objects import GitError
from .rest_repository import commit_named
from .routes import Ask, repo
from .state import Refused

if TYPE_CHECKING:
    from .standin import GitHubStandIn

LISTED_ENTRIES = 100_000


INLINE_BYTES = 1024 * 1024


@repo("GET", "/git/trees/{ref}")
def get_tree(hub: "GitHubStandIn", ask: Ask) -> Response:
    name = ask.part["ref"]
    sha = hub.git.resolve(name) or name
    flags = ["-r", "-t"] if ask.request.query.get("recursive") else []
    try:
        tree = hub.git.text("rev-parse", "--verify", f"{sha}^{{tree}}").strip()
        entries = hub.git.text("ls-tree", "-z", "--long", *flags, tree).split("\0")[:-1]
    except GitError:
        raise Refused(404, "Not Found") from None
    rows = [_entry(hub, line) for line in entries[:LISTED_ENTRIES]]
    url = f"{hub.api}/git/trees/{tree}"
    return Response(
        200, {"sha": tree, "url": url, "tree": rows, "truncated": len(entries) > len(rows)}
    )


def _entry(hub: "GitHubStandIn", line: str) -> dict[str, Any]:
    words, path = line.split("\t", 1)
    mode, kind, sha, size = words.split()
    shape = {
        "path": path,
        "mode": mode,
        "type": kind,
        "sha": sha,
        "url": f"{hub.api}/git/{kind}s/{sha}",
    }
    return shape | ({"size": int(size)} if size.isdigit() else {})


@repo("GET", "/contents/{path}")
def get_contents(hub: "GitHubStandIn", ask: Ask) -> Response:
    return _contents(hub, ask, ask.part["path"].strip("/"))


@repo("GET", "/contents/?")
def get_root(hub: "GitHubStandIn", ask: Ask) -> Response:
    return _contents(hub, ask, "")


def _contents(hub: "GitHubStandIn", ask: Ask, path: str) -> Response:
    ref = ask.request.query.get("ref") or hub.state["default_branch"]
    sha = commit_named(hub, ref, 404)
    try:
        kind = hub.git.text("cat-file", "-t", f"{sha}:{path}").strip()
    except GitError:
        raise Refused(404, "Not Found") from None
    if kind == "tree":
        lines = hub.git.text("ls-tree", "-z", "--long", f"{sha}:{path}").split("\0")[:-1]
        rows = [
            _file(hub, f"{path}/{row['path']}".strip("/"), row, ref) for row in map(_of(hub), lines)
        ]
        return Response(200, rows[:1000])
    content = hub.git.run("cat-file", "blob", f"{sha}:{path}").stdout
    if "raw" in ask.request.headers.get("accept", ""):
        return Response(200, content, {"Content-Type": "application/vnd.github.raw; charset=utf-8"})
    blob = hub.git.text("rev-parse", f"{sha}:{path}").strip()
    shape = _file(hub, path, {"type": "blob", "sha": blob, "size": len(content)}, ref)
    inline = len(content) <= INLINE_BYTES
    text = base64.encodebytes(content).decode() if inline else ""
    return Response(200, shape | {"encoding": "base64" if inline else "none", "content": text})


def _of(hub: "GitHubStandIn") -> Any:
    return lambda line: _entry(hub, line)


def _file(hub: "GitHubStandIn", path: str, row: dict[str, Any], ref: str) -> dict[str, Any]:
    url, html = f"{hub.api}/contents/{path}?ref={ref}", f"{hub.web}/blob/{ref}/{path}"
    git = f"{hub.api}/git/{row['type']}s/{row['sha']}"
    return {
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "sha": row["sha"],
        "size": row.get("size", 0),
        "type": {"tree": "dir", "commit": "submodule"}.get(row["type"], "file"),
        "url": url,
        "html_url": html,
        "git_url": git,
        "download_url": None if row["type"] == "tree" else f"{hub.web}/raw/{ref}/{path}",
        "_links": {"self": url, "git": git, "html": html},
    }


@repo("GET", "/tarball/{ref}")
def get_tarball(hub: "GitHubStandIn", ask: Ask) -> Response:
    sha = commit_named(hub, ask.part["ref"], 404)
    return Response(302, b"", {"Location": f"{hub.web}/legacy.tar.gz/{sha}"})
