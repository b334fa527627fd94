"""The few web pages that links in answers lead to, so that a person trying the portal out finds
something.
"""

import re
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from portal.sandbox.server import Request, Response

from . import checks, judging
from .state import find

if TYPE_CHECKING:
    from .hub import Hub
    from .standin import GitHubStandIn

STYLE = (
    "body{font:16px/1.5 system-ui;max-width:46rem;margin:3rem auto;padding:0"
    " 1rem}pre{white-space:pre-wrap}"
)
LOGIN = re.compile(r"[A-Za-z0-9-]{1,39}")
REVIEW = """<form method=post action="{path}">
<p><label>Review as <input name=login value=reviewer required
  pattern="[A-Za-z0-9-]{{1,39}}"></label>
<button name=state value=APPROVED>Approve</button>
<button name=state value=CHANGES_REQUESTED>Request changes</button></form>"""


def reviewed(hub: "GitHubStandIn", request: Request) -> Response | None:
    """Take a review given by the form of a pull request's page, as the person named in it; None for
    other requests.
    """
    match = re.fullmatch(rf"/{re.escape(hub.full_name)}/pull/(\d+)/reviews", request.path)
    pull = match and find(hub.state["pulls"], number=int(match[1]), state="open")
    if request.method != "POST" or not pull:
        return None
    form = {
        name: values[-1]
        for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()
    }
    login, state = form.get("login", ""), form.get("state", "")
    if (
        login == pull["user"]
        or not LOGIN.fullmatch(login)
        or state not in ("APPROVED", "CHANGES_REQUESTED")
    ):
        return Response(
            422,
            b"Name another person than the author, and approve or request changes.",
            _type("text/plain"),
        )
    hub.add_review(pull["number"], login, state)
    return Response(303, b"", {"Location": request.path.removesuffix("/reviews")})


def page(hub: "Hub", path: str) -> Response | None:
    """Show the page or archive at a path beside the API; None when there is none."""
    prefix = f"/{hub.full_name}/"
    if path == prefix.rstrip("/"):
        return _html(hub.full_name, "<p>This repository is served by the sandbox.</p>")
    if not path.startswith(prefix):
        return None
    kind, _, rest = path[len(prefix) :].partition("/")
    if kind == "legacy.tar.gz" and hub.git.resolve(rest):
        folder = f"--prefix={hub.owner}-{hub.name}-{rest[:7]}/"
        return Response(
            200,
            hub.git.run("archive", "--format=tar.gz", folder, rest).stdout,
            _type("application/gzip"),
        )
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


def _pull(hub: "Hub", number: int) -> Response | None:
    pull = find(hub.state["pulls"], number=number)
    if pull is None:
        return None
    state = "merged" if pull["merged_at"] else pull["state"]
    rows = [
        (row["name"], row["conclusion"] or row["status"])
        for row in checks.latest_checks(hub, pull["head_sha"])
    ]
    rows += [
        (row["context"], row["state"]) for row in checks.latest_statuses(hub, pull["head_sha"])
    ]
    listed = "".join(f"<li>{escape(name)}: {escape(word)}</li>" for name, word in rows)
    review_form = REVIEW.format(path=f"/{hub.full_name}/pull/{number}/reviews")
    rows = [
        (review["user"], review["state"].lower().replace("_", " "))
        for review in judging.latest_reviews(hub, pull)
    ]
    reviews = "".join(f"<li>{escape(name)}: {escape(word)}</li>" for name, word in rows)
    about = (
        f"{pull['user']} wants {pull['head']} in {pull['base']}: {state}, head"
        f" {pull['head_sha'][:12]}"
    )
    body = (
        f"<p>{escape(about)}</p><pre>{escape(pull['body'])}</pre><h2>Checks</h2><ul>{listed}</ul>"
    )
    body += f"<h2>Reviews</h2><ul>{reviews}</ul>" + (review_form if pull["state"] == "open" else "")
    return _html(escape(f"{pull['title']} #{number}"), body)


def _type(name: str) -> dict[str, str]:
    return {"Content-Type": name}


def _html(title: str, body: str) -> Response:
    head = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
    text = f"{head}<h1>{title}</h1>{body}"
    return Response(200, text.encode(), _type("text/html; charset=utf-8"))
