"""The life of a pull request: opened, moved by pushes, judged, merged."""

from typing import TYPE_CHECKING, Any

from . import rules
from .state import Refused, Viewer, find, invalid, stamp

if TYPE_CHECKING:
    from .hub import Hub

Pull = dict[str, Any]


def get(hub: "Hub", number: int) -> Pull:
    """Return the pull request; raise 404 when there is none."""
    pull = find(hub.state["pulls"], number=number)
    if pull is None:
        raise Refused(404, "Not Found")
    return pull


def opened(hub: "Hub", viewer: Viewer, *, head: str, base: str, title: str, **more: Any) -> Pull:
    """Return a new pull request; raise 422 for the refusals GitHub knows."""
    head = head.removeprefix(f"{hub.owner}:")
    heads = hub.state["heads"]
    for field, branch in (("head", head), ("base", base)):
        if branch not in heads:
            raise invalid("PullRequest", field)
    if find(hub.state["pulls"], state="open", head=head, base=base):
        sentence = f"A pull request already exists for {hub.owner}:{head}."
        raise invalid("PullRequest", "", message=sentence)
    if not hub.git.ahead_behind(heads[base], heads[head])[0]:
        raise invalid("PullRequest", "", message=f"No commits between {base} and {head}")
    pull = record(hub, viewer.login, head=head, base=base, title=title, **more)
    hub.pull_event("opened", pull, viewer)
    return pull


def reverted(hub: "Hub", pull: Pull, viewer: Viewer, title: str | None, body: str) -> Pull:
    """Open a pull request that takes back what `pull` brought; refuse as GitHub does."""
    if not pull["merged_at"]:
        raise Refused(422, "Pull request is not merged")
    merged, base = pull["merge_commit_sha"], hub.git.heads()[pull["base"]]
    branch = f"revert-{pull['number']}-{pull['head']}"
    person, named = hub.person(viewer.login), title or f'Revert "{pull["title"]}"'
    # Doubles of both that parted at the merge: then git merges what has come since with what was.
    since, was = (
        hub.git.commit_tree(hub.git.commit(sha).tree, [merged], "revert", person, person)
        for sha in (base, hub.git.commit(merged).parents[0])
    )
    tree = hub.git.merged_tree(since, was)
    if tree is None:
        raise Refused(422, "This pull request can't be reverted automatically")
    message = f'Revert "{pull["title"]}"\n\nThis reverts pull request #{pull["number"]}.\n'
    made = hub.git.commit_tree(tree, [base], message, person, person)
    if not hub.git.move(f"refs/heads/{branch}", made, None):
        raise Refused(422, "A revert of this pull request already exists")
    hub.state["heads"][branch] = made
    return opened(hub, viewer, head=branch, base=pull["base"], title=named, body=body)


def record(hub: "Hub", login: str, *, head: str, base: str, title: str, **more: Any) -> Pull:
    """Write the row and its ref, unasked and unannounced; `more` overrides any field."""
    pull = row(hub, login, head=head, base=base, title=title, **more)
    hub.git.move(f"refs/pull/{pull['number']}/head", pull["head_sha"])
    return pull


def row(hub: "Hub", login: str, *, head: str, base: str, title: str, **more: Any) -> Pull:
    """Write the row alone, for who makes very many refs at once."""
    heads, now = hub.state["heads"], stamp(hub.clock())
    number = more.get("number") or hub.state["next_number"]
    pull = {
        "number": number,
        "id": hub.new_id(),
        "title": title,
        "body": "",
        "state": "open",
        "draft": False,
        "head": head,
        "base": base,
        "head_sha": heads.get(head),
        "base_sha": heads.get(base),
        "user": login,
        "labels": [],
        "created_at": now,
        "updated_at": now,
        "closed_at": None,
        "merged_at": None,
        "merged_by": None,
        "merge_commit_sha": None,
        "intended": None,
        "pushed_by": login,
    } | more
    pull["number"] = number
    hub.state["next_number"] = max(hub.state["next_number"], number + 1)
    hub.state["pulls"].append(pull)
    return pull


def close(hub: "Hub", pull: Pull, viewer: Viewer, *, merge_commit: str | None = None) -> None:
    """Close it, as merged when the commit that merged it is given."""
    now = stamp(hub.clock())
    pull |= {"state": "closed", "closed_at": now, "updated_at": now, "intended": None}
    if merge_commit:
        pull |= {"merged_at": now, "merged_by": viewer.login, "merge_commit_sha": merge_commit}
    hub.pull_event("closed", pull, viewer)


def follow(hub: "Hub", branch: str, before: str | None, after: str | None, viewer: Viewer) -> None:
    """Bring open pull requests in step with a branch that moved."""
    for pull in [
        p for p in hub.state["pulls"] if p["state"] == "open" and branch in (p["head"], p["base"])
    ]:
        if pull["base"] == branch:
            _base_moved(hub, pull, after, viewer)
        else:
            _head_moved(hub, pull, before, after, viewer)


def _base_moved(hub: "Hub", pull: Pull, after: str | None, viewer: Viewer) -> None:
    if after is None:
        close(hub, pull, viewer)
    elif hub.git.is_ancestor(pull["head_sha"], after):
        close(hub, pull, viewer, merge_commit=_merged_where(hub, pull, after))
    elif pull["intended"] and hub.git.is_ancestor(pull["intended"], after):
        close(hub, pull, viewer, merge_commit=pull["intended"])


def _merged_where(hub: "Hub", pull: Pull, base: str) -> str:
    """Return the first commit after the head on the way to the base's tip; the head itself on a
    fast-forward.
    """
    onward = ["--ancestry-path", "--topo-order", "--reverse", f"{pull['head_sha']}..{base}", "--"]
    merges = hub.git.text("rev-list", *onward).split()
    return merges[0] if merges else pull["head_sha"]


def _head_moved(
    hub: "Hub", pull: Pull, before: str | None, after: str | None, viewer: Viewer
) -> None:
    base = hub.state["heads"].get(pull["base"])
    if after is None:
        close(hub, pull, viewer)
        return
    pull |= {
        "head_sha": after,
        "base_sha": base or pull["base_sha"],
        "updated_at": stamp(hub.clock()),
    }
    pull["pushed_by"] = viewer.login
    _dismiss_stale(hub, pull)
    hub.git.move(f"refs/pull/{pull['number']}/head", after)
    hub.pull_event("synchronize", pull, viewer, before=before, after=after)
    if base and hub.git.is_ancestor(after, base):
        close(hub, pull, viewer)


def _dismiss_stale(hub: "Hub", pull: Pull) -> None:
    """Let new commits take back approvals, where a rule says so."""
    if any(rule.dismiss_stale for rule in rules.in_force(hub.state, pull["base"], Viewer(""))):
        for review in hub.state["reviews"]:
            if review["number"] == pull["number"] and review["state"] == "APPROVED":
                review["state"] = "DISMISSED"


def totals(hub: "Hub", pull: Pull) -> tuple[int, int, int]:
    base = hub.git.merge_base(pull["base_sha"], pull["head_sha"]) or pull["base_sha"]
    return hub.git.totals(base, pull["head_sha"])


def commit_count(hub: "Hub", pull: Pull) -> int:
    return hub.git.ahead_behind(pull["base_sha"], pull["head_sha"])[0]


# --- merged
