"""How GitHub judges a pull request: whether it merges cleanly, and which rule of its branch
refuses the merge.
"""

from typing import TYPE_CHECKING, Any

from . import required_checks, rules
from .owners import owners_of
from .state import Viewer

if TYPE_CHECKING:
    from .standin import GitHubStandIn

Pull = dict[str, Any]

OUT_OF_DATE = "Head branch is out of date. Review and try the merge again."
METHOD_SETTINGS = {
    "merge": ("allow_merge_commit", "Merge commits"),
    "squash": ("allow_squash_merge", "Squash merges"),
    "rebase": ("allow_rebase_merge", "Rebase merges"),
}


def mergeable(hub: "GitHubStandIn", pull: Pull) -> bool | None:
    """Return None when it is closed, or not reckoned yet; asking makes the next request know, as on
    GitHub.
    """
    base = hub.state["heads"].get(pull["base"])
    if pull["state"] != "open" or base is None:
        return None
    if not hub.reckoned(base, pull["head_sha"]):
        return None
    return hub.git.merged_tree(base, pull["head_sha"]) is not None


def latest_reviews(hub: "GitHubStandIn", pull: Pull) -> list[Pull]:
    """Return each reviewer's last word that counts."""
    last: dict[str, Pull] = {}
    for review in hub.state["reviews"]:
        if review["number"] == pull["number"] and review["state"] not in ("COMMENTED", "PENDING"):
            last[review["user"]] = review
    return list(last.values())


def review_refusals(hub: "GitHubStandIn", rule: rules.Rules, pull: Pull) -> list[str]:
    """Return what one rule lacks of reviews, in GitHub's words."""
    reviews = latest_reviews(hub, pull)
    if rule.pull_required and any(review["state"] == "CHANGES_REQUESTED" for review in reviews):
        return ["Changes have been requested by a reviewer."]
    found, approving = [], [review for review in reviews if review["state"] == "APPROVED"]
    if len(approving) < rule.approvals:
        noun = "review is" if rule.approvals == 1 else "reviews are"
        found.append(
            f"At least {rule.approvals} approving {noun} required by reviewers with write access."
        )
    if rule.code_owners:
        by = {one["user"] for one in approving}
        waiting = sorted({" or ".join(one) for one in owners_of(hub, pull) if not by & set(one)})
        if waiting:
            found.append(f"Waiting on code owner review from {', '.join(waiting)}.")
    if rule.last_push and not any(
        one["sha"] == pull["head_sha"] and one["user"] != pull.get("pushed_by") for one in approving
    ):
        found.append("New changes require approval from someone other than the last pusher.")
    return found


def rule_refusals(hub: "GitHubStandIn", rule: rules.Rules, pull: Pull, method: str) -> list[str]:
    """Return what one rule has against a merge by `method`, in GitHub's words."""
    base = hub.state["heads"][pull["base"]]
    found = required_checks.check_refusals(hub.state, rule, pull["head_sha"]) + review_refusals(
        hub, rule, pull
    )
    threads = (one for one in hub.state["threads"] if one["number"] == pull["number"])
    if rule.conversations and not all(thread["resolved"] for thread in threads):
        found.append("All comments must be resolved.")
    if rule.signatures and unsigned(hub, pull):
        found.append("Commits must have verified signatures.")
    missing = [
        deployment
        for deployment in rule.deployments
        if not deployed(hub, pull["head_sha"], deployment)
    ]
    found += [f'Required deployment "{one}" is expected.' for one in missing]
    if rule.queue:
        found.append("Changes must be made through the merge queue")
    if rule.linear and method == "merge":
        found.append("This branch must not contain merge commits.")
    if method not in rule.methods:
        found.append(f"Merge method {method} is not allowed on this branch.")
    if rule.locked:
        found.append(
            "Cannot update this protected ref."
            if rule.ruleset
            else "Cannot change this locked branch"
        )
    found += [f"{other} is expected." for other in rule.others]
    if rule.strict and rule.checks and not hub.git.is_ancestor(base, pull["head_sha"]):
        found.append(OUT_OF_DATE)
    return found


def refusals(hub: "GitHubStandIn", pull: Pull, viewer: Viewer, method: str = "merge") -> str:
    """Return why the repository or the branch's rules refuse this merge; empty: they do not."""
    setting, message = METHOD_SETTINGS[method]
    if not hub.state["settings"][setting]:
        return f"{message} are not allowed on this repository."
    for rule in rules.in_force(hub.state, pull["base"], viewer, by_pull=True):
        if sentences := rule_refusals(hub, rule, pull, method):
            return rules.said(rule, sentences)
    return ""


def unsigned(hub: "GitHubStandIn", pull: Pull) -> list[str]:
    """Return commits of the pull request whose signature GitHub has not verified; its own merges
    are always signed.
    """
    span = f"{pull['base_sha']}..{pull['head_sha']}"
    shas = hub.git.text("rev-list", span, "--").split()
    return [sha for sha in shas if not signed(hub, sha)]


def signed(hub: "GitHubStandIn", sha: str) -> bool:
    if hub.state["signed"] == "all" or sha in hub.state["signed"]:
        return True
    return hub.git.commit(sha).committer.email == "noreply@github.com"


def deployed(hub: "GitHubStandIn", sha: str, environment: str) -> bool:
    """Return whether the newest deployment of the commit to the environment is reported as
    successful.
    """
    rows = [
        one
        for one in hub.state["deployments"]
        if (one["sha"], one["environment"]) == (sha, environment)
    ]
    if not rows:
        return False
    told = [
        one for one in hub.state["deployment_statuses"] if one["deployment_id"] == rows[-1]["id"]
    ]
    return bool(told) and told[-1]["state"] == "success"


def merge_state(hub: "GitHubStandIn", pull: Pull) -> str:
    """Return GraphQL's `MergeStateStatus`, which REST writes in small letters.

    As on GitHub it says nothing of merge methods, linear history and the queue: what it calls clean
    can be merged in some way, not in every way.
    """
    known = mergeable(hub, pull)
    if known is None:
        return "UNKNOWN"
    if not known:
        return "DIRTY"
    if pull["draft"]:
        return "DRAFT"
    silent = ("merge commits.", "merge queue", "is not allowed on this branch.")
    found = [
        refusal
        for rule in rules.in_force(hub.state, pull["base"], Viewer(""))
        for refusal in rule_refusals(hub, rule, pull, "merge")
        if not refusal.endswith(silent)
    ]
    if found == [OUT_OF_DATE]:
        return "BEHIND"
    if found:
        return "BLOCKED"
    states = {state for _, _, state in required_checks.results(hub.state, pull["head_sha"])}
    return "UNSTABLE" if states - {"success"} else "CLEAN"


def review_decision(hub: "GitHubStandIn", pull: Pull) -> str | None:
    """Return GitHub's word about the reviews; None: nothing asks for any."""
    found = rules.in_force(hub.state, pull["base"], Viewer(""))
    asking = [one for one in found if one.approvals or one.code_owners or one.last_push]
    states = [review["state"] for review in latest_reviews(hub, pull)]
    if "CHANGES_REQUESTED" in states:
        return "CHANGES_REQUESTED"
    if not asking:
        return "APPROVED" if "APPROVED" in states else None
    return (
        "REVIEW_REQUIRED" if any(review_refusals(hub, one, pull) for one in asking) else "APPROVED"
    )
