"""How GitHub judges a pull request: whether it merges cleanly, and which rule of its branch
refuses the merge.
"""

from typing import TYPE_CHECKING, Any

from . import required_checks, rules
from .owners import owners_of
from .state import Viewer

if TYPE_CHECKING:
    from .hub import Hub

Pull = dict[str, Any]

OUT_OF_DATE = "Head branch is out of date. Review and try the merge again."
METHOD_SETTINGS = {
    "merge": ("allow_merge_commit", "Merge commits"),
    "squash": ("allow_squash_merge", "Squash merges"),
    "rebase": ("allow_rebase_merge", "Rebase merges"),
}


def mergeable(hub: "Hub", pull: Pull) -> bool | None:
    """Return None when it is closed, or not reckoned yet; asking makes the next request know, as on
    GitHub.
    """
    base = hub.state["heads"].get(pull["base"])
    if pull["state"] != "open" or base is None:
        return None
    if not hub.reckoned(base, pull["head_sha"]):
        return None
    return hub.git.merged_tree(base, pull["head_sha"]) is not None


def latest_reviews(hub: "Hub", pull: Pull) -> list[Pull]:
    """Return each reviewer's last word that counts."""
    last: dict[str, Pull] = {}
    for review in hub.state["reviews"]:
        if review["number"] == pull["number"] and review["state"] not in ("COMMENTED", "PENDING"):
            last[review["user"]] = review
    return list(last.values())


def review_refusals(hub: "Hub", rule: rules.Rules, pull: Pull) -> list[str]:
    """Return what one rule lacks of reviews, in GitHub's words."""
    reviews = latest_reviews(hub, pull)
    if rule.pull_required and any(review["state"] == "CHANGES_REQUESTED" for review in reviews):
        return ["Changes have been requested by a reviewer."]
    refusals, approving = [], [review for review in reviews if review["state"] == "APPROVED"]
    if len(approving) < rule.approvals:
        noun = "review is" if rule.approvals == 1 else "reviews are"
        refusals.append(
            f"At least {rule.approvals} approving {noun} required by reviewers with write access."
        )
    if rule.code_owners:
        by = {review["user"] for review in approving}
        waiting = sorted(
            {" or ".join(owners) for owners in owners_of(hub, pull) if not by & set(owners)}
        )
        if waiting:
            refusals.append(f"Waiting on code owner review from {', '.join(waiting)}.")
    if rule.last_push and not any(
        review["sha"] == pull["head_sha"] and review["user"] != pull.get("pushed_by")
        for review in approving
    ):
        refusals.append("New changes require approval from someone other than the last pusher.")
    return refusals


def rule_refusals(hub: "Hub", rule: rules.Rules, pull: Pull, method: str) -> list[str]:
    """Return what one rule has against a merge by `method`, in GitHub's words."""
    base = hub.state["heads"][pull["base"]]
    refusals = required_checks.check_refusals(hub.state, rule, pull["head_sha"]) + review_refusals(
        hub, rule, pull
    )
    threads = (thread for thread in hub.state["threads"] if thread["number"] == pull["number"])
    if rule.conversations and not all(thread["resolved"] for thread in threads):
        refusals.append("All comments must be resolved.")
    if rule.signatures and unsigned(hub, pull):
        refusals.append("Commits must have verified signatures.")
    missing = [
        deployment
        for deployment in rule.deployments
        if not deployed(hub, pull["head_sha"], deployment)
    ]
    refusals += [
        f'Required deployment "{environment_name}" is expected.' for environment_name in missing
    ]
    if rule.queue:
        refusals.append("Changes must be made through the merge queue")
    if rule.linear and method == "merge":
        refusals.append("This branch must not contain merge commits.")
    if method not in rule.methods:
        refusals.append(f"Merge method {method} is not allowed on this branch.")
    if rule.locked:
        refusals.append(
            "Cannot update this protected ref."
            if rule.ruleset
            else "Cannot change this locked branch"
        )
    refusals += [f"{other} is expected." for other in rule.others]
    if rule.strict and rule.checks and not hub.git.is_ancestor(base, pull["head_sha"]):
        refusals.append(OUT_OF_DATE)
    return refusals


def refusals(hub: "Hub", pull: Pull, viewer: Viewer, method: str = "merge") -> str:
    """Return why the repository or the branch's rules refuse this merge; empty: they do not."""
    setting, message = METHOD_SETTINGS[method]
    if not hub.state["settings"][setting]:
        return f"{message} are not allowed on this repository."
    for rule in rules.in_force(hub.state, pull["base"], viewer, by_pull=True):
        if sentences := rule_refusals(hub, rule, pull, method):
            return rules.said(rule, sentences)
    return ""


def unsigned(hub: "Hub", pull: Pull) -> list[str]:
    """Return commits of the pull request whose signature GitHub has not verified; its own merges
    are always signed.
    """
    span = f"{pull['base_sha']}..{pull['head_sha']}"
    shas = hub.git.text("rev-list", span, "--").split()
    return [sha for sha in shas if not signed(hub, sha)]


def signed(hub: "Hub", sha: str) -> bool:
    if hub.state["signed"] == "all" or sha in hub.state["signed"]:
        return True
    return hub.git.commit(sha).committer.email == "noreply@github.com"


def deployed(hub: "Hub", sha: str, environment: str) -> bool:
    """Return whether the newest deployment of the commit to the environment is reported as
    successful.
    """
    rows = [
        deployment
        for deployment in hub.state["deployments"]
        if (deployment["sha"], deployment["environment"]) == (sha, environment)
    ]
    if not rows:
        return False
    statuses = [
        status
        for status in hub.state["deployment_statuses"]
        if status["deployment_id"] == rows[-1]["id"]
    ]
    return bool(statuses) and statuses[-1]["state"] == "success"


def merge_state(hub: "Hub", pull: Pull) -> str:
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
    refusals = [
        refusal
        for rule in rules.in_force(hub.state, pull["base"], Viewer(""))
        for refusal in rule_refusals(hub, rule, pull, "merge")
        if not refusal.endswith(silent)
    ]
    if refusals == [OUT_OF_DATE]:
        return "BEHIND"
    if refusals:
        return "BLOCKED"
    states = {state for _, _, state in required_checks.results(hub.state, pull["head_sha"])}
    return "UNSTABLE" if states - {"success"} else "CLEAN"


def review_decision(hub: "Hub", pull: Pull) -> str | None:
    """Return GitHub's word about the reviews; None: nothing asks for any."""
    rules_found = rules.in_force(hub.state, pull["base"], Viewer(""))
    asking = [rule for rule in rules_found if rule.approvals or rule.code_owners or rule.last_push]
    states = [review["state"] for review in latest_reviews(hub, pull)]
    if "CHANGES_REQUESTED" in states:
        return "CHANGES_REQUESTED"
    if not asking:
        return "APPROVED" if "APPROVED" in states else None
    return (
        "REVIEW_REQUIRED"
        if any(review_refusals(hub, rule, pull) for rule in asking)
        else "APPROVED"
    )
