"""Which ways of merging GitHub allows the portal on production's branch."""

from collections.abc import Iterator
from dataclasses import dataclass

from environments.github import MergeRules
from releases.gates.context import Facts
from releases.gates.result import and_


@dataclass(frozen=True)
class Demand:
    """One thing that a merge takes.

    `met` None: not known. `waits`: people or checks are to act, nothing is wrong.

    `said` tells how it stands, and when it is not met what to do; `link` is where.
    """

    name: str
    met: bool | None
    said: str
    link: str = ""
    waits: bool = False


def ways(facts: Facts, rules: MergeRules, staging: MergeRules, web: str) -> Iterator[Demand]:
    """Yield what waiting does not fix: the way of merging itself is not allowed."""
    main, below = facts.project.production_branch, facts.project.staging_branch
    if "merge" not in rules.methods:
        only = f"only {and_(rules.methods)}" if rules.methods else "no method at all"
        message = f"GitHub does not allow a merge commit into {main} ({only}): allow merge commits"
        why = f"squash and rebase rewrite commits, and {below} could not be fast-forwarded"
        yield Demand(
            "merge method",
            False,
            f"{message} in the repository's settings and rulesets; {why}.",
            f"{web}/settings",
        )
    else:
        yield Demand("merge method", True, "Merge commits are allowed.")
    both = [(main, rules)] if facts.release.is_hotfix else [(main, rules), (below, staging)]
    for branch, found in both:
        where = f"{web}/settings/branches"
        if found.linear:
            message = (
                f"{branch} requires a linear history, which blocks merge commits. Remove that "
                f"rule from {branch}."
            )
            yield Demand("linear history", False, message, where)
        if found.queue:
            message = (
                f"{branch} requires a merge queue, which merges commits other than the candidate"
            )
            yield Demand(
                "merge queue",
                False,
                f"{message}. Remove the merge queue from {branch}.",
                f"{web}/settings/rules",
            )
        if found.locked:
            message = f"{branch} is locked. Unlock it, or let the portal's App bypass the rule."
            yield Demand("lock", False, message, where)
    if staging.pull_required and not facts.release.is_hotfix:
        yield _fast_forward(facts, below, f"{web}/settings/branches")
    if rules.deletes_heads and staging.deletable and not facts.release.is_hotfix:
        message = (
            f"GitHub deletes {below} at the merge (Automatically delete head branches). Switch "
            "that off"
        )
        yield Demand(
            "head branch",
            False,
            f"{message} on the page Branch protections, or in the settings.",
            f"{web}/settings",
        )


def _fast_forward(facts: Facts, staging: str, where: str) -> Demand:
    """Return whether the portal may move staging to main after the merge, although staging wants
    pull requests.
    """
    name, main = "fast-forward", facts.project.production_branch
    way = f"let the portal bypass that on {staging}, or remove that rule"
    if facts.staging_closed:
        cannot = f"so the portal cannot fast-forward it to {main} afterwards"
        return Demand(name, False, f"{staging} requires pull requests, {cannot}: {way}.", where)
    if facts.staging_closed is None and not facts.project.portal_app:
        unknown = "and the portal cannot tell whether it may bypass that"
        do = f"{way}, and name its App in the project's settings"
        return Demand(name, None, f"{staging} requires pull requests, {unknown}: {do}.", where)
    may = f"The portal may fast-forward {staging} although it requires pull requests."
    return Demand(name, True, may)
