"""Merging a pull request: whether it can be, how it is done and what follows."""

from typing import TYPE_CHECKING

from . import push_rules, required_checks
from .git_objects import Person
from .judging import refusals
from .pulls import Pull, close
from .state import Refused, Viewer, stamp

if TYPE_CHECKING:
    from .standin import GitHubStandIn

NOT_MERGEABLE = "Pull Request is not mergeable"


HEAD_MOVED = "Head branch was modified. Review and try the merge again."


BASE_MOVED = "Base branch was modified. Review and try the merge again."


def trial_merge(hub: "GitHubStandIn", pull: Pull) -> str | None:
    """Return the commit a merge would make, which GitHub shows as `merge_commit_sha` of an open
    pull request.
    """
    base, head = hub.state["heads"].get(pull["base"]), pull["head_sha"]
    if pull["state"] != "open" or base is None or not hub.reckoned(base, head, ask=False):
        return None
    tree = hub.git.merged_tree(base, head)
    by = Person("GitHub", "noreply@github.com", hub.git.commit(head).committer.at)
    return tree and hub.git.commit_tree(tree, [base, head], f"Merge {head} into {base}", by, by)


def merge(
    hub: "GitHubStandIn",
    pull: Pull,
    viewer: Viewer,
    *,
    method: str = "merge",
    sha: str | None = None,
    title: str | None = None,
    message: str | None = None,
) -> str:
    """Merge and give the new commit; raise GitHub's 405 and 409."""
    if pull["merged_at"]:
        raise Refused(405, "Pull Request is already merged")
    if pull["state"] != "open":
        raise Refused(405, NOT_MERGEABLE)
    if sha and sha != pull["head_sha"]:
        raise Refused(409, HEAD_MOVED)
    if pull["draft"]:
        raise Refused(405, "Pull Request is still a draft")
    base, head = hub.state["heads"][pull["base"]], pull["head_sha"]
    tree = hub.git.merged_tree(base, head)
    if tree is None:
        raise Refused(405, NOT_MERGEABLE)
    if hub.slow_statuses and (names := required_checks.required_statuses(hub.state, pull["base"])):
        hub.slow_statuses -= 1
        raise Refused(405, f'Required status check "{names[0]}" is expected.')
    if why := refusals(hub, pull, viewer, method):
        raise Refused(405, why)
    made = _made(hub, pull, viewer, method, base, tree, _message(hub, pull, method, title, message))
    # Kept before the branch moves: a process killed in between finds out at its next start what
    # became of it.
    pull["intended"] = made
    hub.save()
    if not hub.git.move(f"refs/heads/{pull['base']}", made, base):
        pull["intended"] = None
        raise Refused(405, BASE_MOVED)
    close(hub, pull, viewer, merge_commit=made)
    if hub.state["settings"]["delete_branch_on_merge"]:
        _delete_head(hub, pull, viewer)
    return made


def _delete_head(hub: "GitHubStandIn", pull: Pull, viewer: Viewer) -> None:
    """*Automatically delete head branches*: the merged branch goes, and what was to go into it goes
    into its base.

    A branch that is protected from deletion stays, as on GitHub.
    """
    head, base = pull["head"], pull["base"]
    if head == hub.state["default_branch"] or push_rules.push_refusal(
        hub, head, Viewer(""), None, old=pull["head_sha"]
    ):
        return
    for other in hub.state["pulls"]:
        if other["state"] == "open" and other["base"] == head:
            changes = {"base": {"ref": {"from": head}, "sha": {"from": other["base_sha"]}}}
            other |= {
                "base": base,
                "base_sha": hub.git.heads()[base],
                "updated_at": stamp(hub.clock()),
            }
            hub.pull_event("edited", other, viewer, changes=changes)
    hub.git.move(f"refs/heads/{head}", None, pull["head_sha"])


def _message(
    hub: "GitHubStandIn", pull: Pull, method: str, title: str | None, message: str | None
) -> str:
    if method == "merge":
        ordinary = f"Merge pull request #{pull['number']} from {hub.owner}/{pull['head']}"
        body = pull["title"] if message is None else message
    else:
        ordinary, body = f"{pull['title']} (#{pull['number']})", message or ""
    return f"{title or ordinary}\n\n{body}".strip() + "\n"


def _made(
    hub: "GitHubStandIn",
    pull: Pull,
    viewer: Viewer,
    method: str,
    base: str,
    tree: str,
    message: str,
) -> str:
    author, by = hub.person(viewer.login), Person("GitHub", "noreply@github.com", hub.clock())
    if method == "rebase":
        merge_base = hub.git.merge_base(base, pull["head_sha"]) or base
        tip = hub.git.replayed(merge_base, base, pull["head_sha"], by)
        if tip is None:
            raise Refused(405, "This branch can't be rebased")
        return tip
    parents = [base, pull["head_sha"]] if method == "merge" else [base]
    return hub.git.commit_tree(tree, parents, message, author, by)


def update_branch(hub: "GitHubStandIn", pull: Pull, viewer: Viewer, expected: str | None) -> None:
    """Merge the base into the head, as the button of that name does; raise 422."""
    head, base = pull["head_sha"], hub.state["heads"][pull["base"]]
    if expected and expected != head:
        raise Refused(422, "expected head sha didn’t match current head ref.")
    if hub.git.is_ancestor(base, head):
        raise Refused(422, "There are no new commits on the base branch.")
    tree = hub.git.merged_tree(head, base)
    if tree is None:
        raise Refused(422, "merge conflict between base and head")
    by = Person("GitHub", "noreply@github.com", hub.clock())
    message = f"Merge branch '{pull['base']}' into {pull['head']}\n"
    made = hub.git.commit_tree(tree, [head, base], message, hub.person(viewer.login), by)
    hub.git.move(f"refs/heads/{pull['head']}", made, head)
