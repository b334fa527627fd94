"""REST: the repository, its branches, refs, commits, comparisons, trees and files."""

from typing import TYPE_CHECKING, Any

from portal.sandbox.server import Response

from . import push_rules, rules, shapes
from .git import SHA
from .git_objects import Person
from .routes import Ask, links, page_of, paged, repo
from .state import SETTINGS, Refused, invalid, node_id

if TYPE_CHECKING:
    from .hub import Hub

UNPAGED_COMMITS = 250
COMPARED_FILES = 300


def commit_named(hub: "Hub", name: str, status: int = 422) -> str:
    """Return the commit a branch, tag or (part of a) commit name means; raise GitHub's refusal."""
    sha = hub.git.resolve(name)
    if sha is None:
        message = f"No commit found for SHA: {name}" if status == 422 else "Not Found"
        raise Refused(status, message)
    return sha


@repo("GET", "")
def get_repository(hub: "Hub", ask: Ask) -> Response:
    return Response(200, shapes.full_repository(hub))


@repo("PATCH", "")
def change_repository(hub: "Hub", ask: Ask) -> Response:
    """Change only the settings that say how pull requests are merged; all else is left as it is."""
    wanted = {name: bool(value) for name, value in ask.body().items() if name in SETTINGS}
    methods = hub.state["settings"] | wanted
    if not any(methods[name] for name in SETTINGS if name.startswith("allow_")):
        sentence = "Sorry, you need to allow at least one merge strategy."
        raise invalid("Repository", "merge_commit_allowed", message=sentence)
    hub.state["settings"] |= wanted
    return Response(200, shapes.full_repository(hub))


@repo("GET", "/branches")
def list_branches(hub: "Hub", ask: Ask) -> Response:
    wanted = ask.request.query.get("protected")
    rows = [
        {
            "name": name,
            "commit": {"sha": sha, "url": f"{hub.api}/commits/{sha}"},
            "protected": is_protected(hub, name),
        }
        for name, sha in sorted(hub.state["heads"].items())
    ]
    return paged(
        hub, ask, [r for r in rows if wanted is None or str(r["protected"]).lower() == wanted]
    )


def is_protected(hub: "Hub", branch: str) -> bool:
    return branch in hub.state["protections"] or bool(rules.active_rulesets(hub.state, branch))


def get_branch(hub: "Hub", ask: Ask) -> Response:
    """Answer; registered by `rest_rules`, behind its longer paths."""
    branch = ask.part["branch"]
    if branch not in hub.state["heads"]:
        raise Refused(404, "Branch not found")
    protection = hub.state["protections"].get(branch)
    required = protection and protection["required_status_checks"]
    checks = required["checks"] if required else []
    level = "off" if not checks else "everyone" if protection["enforce_admins"] else "non_admins"
    url = f"{hub.api}/branches/{branch}"
    shape = {
        "name": branch,
        "commit": shapes.commit(hub, hub.git.commit(hub.state["heads"][branch])),
        "_links": {"self": url, "html": f"{hub.web}/tree/{branch}"},
        "protected": is_protected(hub, branch),
        "protection": {
            "enabled": protection is not None,
            "required_status_checks": {
                "enforcement_level": level,
                "contexts": [check["context"] for check in checks],
                "checks": checks,
            },
        },
        "protection_url": f"{url}/protection",
    }
    return Response(200, shape)


# --- refs


def ref_shape(hub: "Hub", full: str, sha: str) -> dict[str, Any]:
    kind = hub.git.text("cat-file", "-t", sha).strip()
    return {
        "ref": full,
        "node_id": node_id("Ref", full),
        "url": f"{hub.api}/git/{full}",
        "object": {"sha": sha, "type": kind, "url": f"{hub.api}/git/{kind}s/{sha}"},
    }


@repo("GET", "/git/ref/{ref}")
def get_ref(hub: "Hub", ask: Ask) -> Response:
    full = f"refs/{ask.part['ref']}"
    sha = hub.git.ref(full)
    if sha is None:
        raise Refused(404, "Not Found")
    return Response(200, ref_shape(hub, full, sha))


@repo("POST", "/git/refs")
def create_ref(hub: "Hub", ask: Ask) -> Response:
    body = ask.need("ref", "sha")
    full, sha = body["ref"], body["sha"]
    if (
        not full.startswith("refs/")
        or full.count("/") < 2
        or hub.git.run("check-ref-format", full).returncode
    ):
        raise Refused(422, f"{full} is not a valid ref name.")
    _need_object(hub, sha)
    if hub.git.ref(full):
        raise Refused(422, "Reference already exists")
    if not hub.git.move(full, sha, "0" * 40):
        raise Refused(409, "Reference could not be created.")
    return Response(201, ref_shape(hub, full, sha), {"Location": f"{hub.api}/git/{full}"})


def _need_object(hub: "Hub", sha: object) -> None:
    if not isinstance(sha, str) or not SHA.fullmatch(sha):
        raise Refused(
            422, "The sha parameter must be exactly 40 characters and contain only [0-9a-f]."
        )
    if not hub.git.is_commit(sha):
        raise Refused(422, "Object does not exist")


@repo("PATCH", "/git/refs/{ref}")
def update_ref(hub: "Hub", ask: Ask) -> Response:
    full, body = f"refs/{ask.part['ref']}", ask.need("sha")
    new, old = body["sha"], hub.git.ref(full)
    if old is None:
        raise Refused(422, "Reference does not exist")
    _need_object(hub, new)
    backwards = not hub.git.is_ancestor(old, new)
    if backwards and not body.get("force"):
        raise Refused(422, "Update is not a fast forward")
    branch = full.removeprefix("refs/heads/")
    if new != old and (
        why := push_rules.push_refusal(hub, branch, ask.viewer, new, old=old, forced=backwards)
    ):
        raise Refused(422, why)
    if not hub.git.move(full, new, old):
        raise Refused(409, "Reference was updated by someone else.")
    return Response(200, ref_shape(hub, full, new))


@repo("DELETE", "/git/refs/{ref}")
def delete_ref(hub: "Hub", ask: Ask) -> Response:
    full = f"refs/{ask.part['ref']}"
    sha = hub.git.ref(full)
    if sha is None:
        raise Refused(422, "Reference does not exist")
    branch = full.removeprefix("refs/heads/")
    if branch == hub.state["default_branch"]:
        raise Refused(422, "Cannot delete the default branch")
    if why := push_rules.push_refusal(hub, branch, ask.viewer, None, old=sha):
        raise Refused(422, why)
    hub.git.move(full, None, sha)
    return Response(204)


# --- commits


@repo("GET", "/commits")
def list_commits(hub: "Hub", ask: Ask) -> Response:
    query = ask.request.query
    sha = commit_named(hub, query.get("sha") or hub.state["default_branch"], 404)
    size, page = page_of(ask)
    limits = [f"--{name}={query[name]}" for name in ("since", "until", "author") if query.get(name)]
    paths = [query["path"]] if query.get("path") else []
    total = int(hub.git.text("rev-list", "--count", *limits, sha, "--", *paths))
    window = [f"--max-count={size}", f"--skip={(page - 1) * size}"]
    commits = hub.git.commits(*window, *limits, sha, "--", *paths)
    headers = links(hub, ask, page, max(1, -(-total // size)))
    return Response(200, [shapes.commit(hub, commit) for commit in commits], headers)


def get_commit(hub: "Hub", ask: Ask) -> Response:
    """Answer; registered by `rest_checks`, behind its longer paths."""
    sha = commit_named(hub, ask.part["ref"])
    commit = hub.git.commit(sha)
    before = (
        commit.parents[0]
        if commit.parents
        else hub.git.text("hash-object", "-t", "tree", "--stdin").strip()
    )
    files = hub.git.changes(before, sha, COMPARED_FILES)
    added, removed = sum(f.additions for f in files), sum(f.deletions for f in files)
    stats = {"additions": added, "deletions": removed, "total": added + removed}
    shape = shapes.commit(hub, commit) | {
        "stats": stats,
        "files": [shapes.change(hub, f, sha) for f in files],
    }
    return Response(200, shape)


@repo("GET", "/compare/{basehead}")
def compare(hub: "Hub", ask: Ask) -> Response:
    names = ask.part["basehead"].split("...")
    if len(names) != 2:
        raise Refused(404, "Not Found")
    base, head = (commit_named(hub, name.removeprefix(f"{hub.owner}:"), 404) for name in names)
    fork = hub.git.merge_base(base, head)
    if fork is None:
        raise Refused(404, f"No common ancestor between {names[0]} and {names[1]}.")
    ahead, behind = hub.git.ahead_behind(base, head)
    size, page = page_of(ask)
    paging = {"page", "per_page"} & set(ask.request.query)
    # Oldest first. Unpaged, the list ends with the newest commit; paged, pages run from the oldest
    # on.
    listed = hub.git.text("rev-list", "--reverse", "--topo-order", f"{base}..{head}", "--").split()
    shown = listed[(page - 1) * size : page * size] if paging else listed[-UNPAGED_COMMITS:]
    commits = hub.git.commits("--no-walk=unsorted", *shown, "--") if shown else []
    files = hub.git.changes(fork, head, COMPARED_FILES) if page == 1 else []
    status = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}
    url = f"{hub.web}/compare/{ask.part['basehead']}"
    shape = {
        "url": f"{hub.api}/compare/{ask.part['basehead']}",
        "html_url": url,
        "permalink_url": f"{hub.web}/compare/{hub.owner}:{base[:7]}...{hub.owner}:{head[:7]}",
        "diff_url": f"{url}.diff",
        "patch_url": f"{url}.patch",
        "base_commit": shapes.commit(hub, hub.git.commit(base)),
        "merge_base_commit": shapes.commit(hub, hub.git.commit(fork)),
        "status": status.get((ahead > 0, behind > 0), "identical"),
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [shapes.commit(hub, commit) for commit in commits],
        "files": [shapes.change(hub, file, head) for file in files],
    }
    return Response(200, shape, links(hub, ask, page, max(1, -(-ahead // size))) if paging else {})


@repo("POST", "/merges")
def merge(hub: "Hub", ask: Ask) -> Response:
    body = ask.need("base", "head")
    base = hub.state["heads"].get(body["base"])
    head = hub.git.resolve(str(body["head"]))
    if base is None or head is None:
        raise Refused(404, f"{'Base' if base is None else 'Head'} does not exist")
    if hub.git.is_ancestor(head, base):
        return Response(204)
    tree = hub.git.merged_tree(base, head)
    if tree is None:
        raise Refused(409, "Merge conflict")
    message = body.get("commit_message") or f"Merge {body['head']} into {body['base']}"
    by = Person("GitHub", "noreply@github.com", hub.clock())
    made = hub.git.commit_tree(tree, [base, head], f"{message}\n", hub.person(ask.viewer.login), by)
    if why := push_rules.push_refusal(hub, body["base"], ask.viewer, made, old=base):
        raise Refused(403, why)
    hub.git.move(f"refs/heads/{body['base']}", made, base)
    return Response(201, shapes.commit(hub, hub.git.commit(made)))


# --- trees and files
