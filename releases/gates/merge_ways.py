"""Which ways of merging GitHub allows the portal on production's branch."""

from collections.abc import Iterator
from dataclasses import dataclass

from environments.github import MergeRules
from portal.words import and_
from releases.gates.context import Facts


@dataclass(frozen=True)
class Demand:
    """One thing that a merge takes.

    `met` None: not known. `waits`: people or checks are to act, nothing is wrong. `said` tells how
    it stands, and when it is not met what to do; `link` is where.
    """

    name: str
    met: bool | None
    said: str
    link: str = ""
    waits: bool = False


def ways(facts: Facts, rules: MergeRules, staging: MergeRules, web: str) -> Iterator[Demand]:
    """Yield what waiting does not fix: the way of merging itself is not allowed."""
    main, below = facts.project.production_branch, facts.project.staging_branch
    yield _method(rules, main, below, web)
    yield from _branch(main, rules, web)
    if facts.release.is_hotfix:
        return
    yield from _branch(below, staging, web)
    if staging.pull_required:
        yield _fast_forward(facts, f"{web}/settings/branches")
    if rules.deletes_heads and staging.deletable:
        message = (
            f"GitHub deletes {below} at the merge (Automatically delete head branches). Switch "
            "that off on the page Branch protections, or in the settings."
        )
        yield Demand("head branch", False, message, f"{web}/settings")


def _method(rules: MergeRules, main: str, below: str, web: str) -> Demand:
    """Whether the repository allows merge commits into `main`."""
    if "merge" in rules.methods:
        return Demand("merge method", True, "Merge commits are allowed.")
    only = f"only {and_(rules.methods)}" if rules.methods else "no method at all"
    message = (
        f"GitHub does not allow a merge commit into {main} ({only}): allow merge commits in the"
        " repository's settings and rulesets; squash and rebase rewrite commits, and"
        f" {below} could not be fast-forwarded."
    )
    return Demand("merge method", False, message, f"{web}/settings")


def _branch(branch: str, rules: MergeRules, web: str) -> Iterator[Demand]:
    """Return the rules of one branch that refuse a merge commit of the candidate."""
    where = f"{web}/settings/branches"
    if rules.linear:
        message = f"{branch} requires a linear history, which blocks merge commits."
        yield Demand("linear history", False, f"{message} Remove that rule from {branch}.", where)
    if rules.queue:
        message = (
            f"{branch} requires a merge queue, which merges commits other than the candidate."
            f" Remove the merge queue from {branch}."
        )
        yield Demand("merge queue", False, message, f"{web}/settings/rules")
    if rules.locked:
        message = f"{branch} is locked. Unlock it, or let the portal's App bypass the rule."
        yield Demand("lock", False, message, where)


def _fast_forward(facts: Facts, where: str) -> Demand:
    """Return whether the portal may move staging to main after the merge, although staging wants
    pull requests.
    """
    name, staging = "fast-forward", facts.project.staging_branch
    rule = f"{staging} requires pull requests"
    way = f"let the portal bypass that on {staging}, or remove that rule"
    if facts.staging_closed:
        cannot = f"fast-forward it to {facts.project.production_branch} afterwards"
        return Demand(name, False, f"{rule}, so the portal cannot {cannot}: {way}.", where)
    if facts.staging_closed is None and not facts.project.portal_app:
        unknown = "and the portal cannot tell whether it may bypass that"
        fix = f"{way}, and name its App in the project's settings"
        return Demand(name, None, f"{rule}, {unknown}: {fix}.", where)
    may = f"The portal may fast-forward {staging} although it requires pull requests."
    return Demand(name, True, may)
