"""The few web pages that links in answers lead to, so that a person trying the portal out finds something."""

from html import escape
from typing import TYPE_CHECKING

from portal.sandbox.server import Response

from . import checks
from .state import find

if TYPE_CHECKING:
    from .standin import GitHubStandIn

STYLE = "body{font:16px/1.5 system-ui;max-width:46rem;margin:3rem auto;padding:0 1rem}pre{white-space:pre-wrap}"


def page(hub: "GitHubStandIn", path: str) -> Response | None:
    """The page or archive at a path beside the API; None when there is none."""
    prefix = f"/{hub.full_name}/"
    if path == prefix.rstrip("/"):
        return _html(hub.full_name, "<p>This repository is served by the sandbox.</p>")
    if not path.startswith(prefix):
        return None
    kind, _, rest = path[len(prefix) :].partition("/")
    if kind == "legacy.tar.gz" and hub.git.resolve(rest):
        folder = f"--prefix={hub.owner}-{hub.name}-{rest[:7]}/"
        return Response(200, hub.git.run("archive", "--format=tar.gz", folder, rest).stdout, _type("application/gzip"))
    if kind == "pull" and rest.isdigit():
        return _pull(hub, int(rest))
    if kind == "commit" and (sha := hub.git.resolve(rest)):
        text = hub.git.text("show", "--stat", sha, "--")
        return _html(f"Commit {sha[:12]}", f"<pre>{escape(text)}</pre>")
    if kind == "compare" and "..." in rest:
        base, head = (hub.git.resolve(name) for name in rest.split("...")[:2])
        if base and head:
            text = hub.git.text("log", "--oneline", f"{base}..{head}", "--")
            return _html(f"Compare {escape(rest)}", f"<pre>{escape(text)}</pre>")
    return None


def _pull(hub: "GitHubStandIn", number: int) -> Response | None:
    pull = find(hub.state["pulls"], number=number)
    if pull is None:
        return None
    state = "merged" if pull["merged_at"] else pull["state"]
    rows = [(row["name"], row["conclusion"] or row["status"]) for row in checks.latest_checks(hub, pull["head_sha"])]
    rows += [(row["context"], row["state"]) for row in checks.latest_statuses(hub, pull["head_sha"])]
    listed = "".join(f"<li>{escape(name)}: {escape(word)}</li>" for name, word in rows)
    about = f"{pull['user']} wants {pull['head']} in {pull['base']}: {state}, head {pull['head_sha'][:12]}"
    body = f"<p>{escape(about)}</p><pre>{escape(pull['body'])}</pre><h2>Checks</h2><ul>{listed}</ul>"
    return _html(escape(f"{pull['title']} #{number}"), body)


def _type(name: str) -> dict[str, str]:
    return {"Content-Type": name}


def _html(title: str, body: str) -> Response:
    head = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
    text = f"{head}<h1>{title}</h1>{body}"
    return Response(200, text.encode(), _type("text/html; charset=utf-8"))
