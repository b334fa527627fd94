"""Whether GitHub takes a push to a protected branch, and the sentence with which it refuses."""

from typing import TYPE_CHECKING

from .required_checks import check_refusals
from .rules import in_force, said
from .state import Viewer

if TYPE_CHECKING:
    from .standin import GitHubStandIn


def push_refusal(
    hub: "GitHubStandIn",
    branch: str,
    viewer: Viewer,
    new: str | None,
    *,
    old: str | None = None,
    forced: bool = False,
) -> str:
    """Return why moving (or deleting, `new` None) a branch outside a pull request is refused;
    empty: it is not.
    """
    for rules in in_force(hub.state, branch, viewer):
        sentences = []
        if new is None:
            sentences += ["Cannot delete this branch"] if rules.no_delete else []
        else:
            if rules.locked:
                ours = (
                    "Cannot update this protected ref."
                    if rules.ruleset
                    else "Cannot change this locked branch"
                )
                sentences.append(ours)
            if forced and rules.no_force:
                sentences.append("Cannot force-push to this branch")
            if rules.pull_required and old is not None:
                sentences.append("Changes must be made through a pull request.")
            if rules.queue and old is not None:
                sentences.append("Changes must be made through the merge queue")
            if (
                rules.linear
                and old
                and not forced
                and hub.git.is_commit(new)
                and _merges(hub, old, new)
            ):
                sentences.append("This branch must not contain merge commits.")
            sentences += check_refusals(hub.state, rules, new)
        if sentences:
            return said(rules, sentences)
    return ""


def _merges(hub: "GitHubStandIn", old: str, new: str) -> bool:
    """Return whether the push would add a merge commit; commits that git has not received yet are
    not looked at.
    """
    return bool(
        hub.git.text("rev-list", "--merges", "--max-count=1", f"{old}..{new}", "--").strip()
    )
