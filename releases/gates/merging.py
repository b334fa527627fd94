"""Whether GitHub will take the merge: every demand of production's branch, asked before anything
is written.
"""

from collections.abc import Iterator
from datetime import timedelta

from environments.github import MergeRules
from portal.words import and_, number_of
from releases.gates.context import Facts
from releases.gates.merge_ways import Demand, ways
from releases.gates.registry import gate
from releases.gates.result import FAIL, PASS, PENDING, Result, outdated
from releases.models.pull_requests import GOOD_STATES, PullRequest

# GitHub's own reckoning runs a little behind the status that was just posted.
SETTLED = timedelta(seconds=90)
DOUBTED = "GitHub's last answer required less than before: the portal reads it once more."


@gate("Merge allowed", always=True)
def merge_allowed(facts: Facts) -> Result:
    """Require that GitHub, as far as it tells beforehand, will accept a merge commit of the
    candidate.
    """
    if stale := outdated(facts, "GitHub"):
        return stale
    if facts.renamed_to:
        message = (
            f"The repository is now called {facts.renamed_to}, and GitHub accepts changes only "
            "under that name. Take over the new name on the page Branch protections."
        )
        return Result(FAIL, message)
    main, rules, pull = facts.project.production_branch, facts.merge_rules, facts.promotion_pull
    if rules is None or facts.staging_rules is None:
        return Result(PENDING, f"Reading what GitHub requires for a merge into {main}…")
    if (
        pull is None
        or pull.state != "open"
        or pull.merging is None
        or pull.head_sha != facts.release.candidate
    ):
        return Result(PENDING, "Reading what the promotion pull request still needs…")
    if pull.seen_at < facts.fresh_since:
        message = f"Pull request #{pull.number} has not been read recently."
        return Result(PENDING, message, (), pull.seen_at)
    demands = tuple(_demanded(facts, rules, facts.staging_rules, pull))
    evidence = tuple((demand.name, f"{demand.said} {demand.link}".strip()) for demand in demands)
    worst = min((demand for demand in demands if not demand.met), key=_order, default=None)
    if worst is None:
        return Result(PASS, f"GitHub accepts a merge commit into {main}.", evidence, pull.seen_at)
    state = FAIL if worst.met is False and not worst.waits else PENDING
    sentence = f"{worst.said} {DOUBTED}" if facts.rules_doubted else worst.said
    return Result(state, sentence, evidence, pull.seen_at)


def _order(demand: Demand) -> tuple[bool, bool]:
    """Return what is wrong first, then what is awaited, then what is not known."""
    return demand.met is None, demand.met is False and demand.waits


def _demanded(
    facts: Facts, rules: MergeRules, staging: MergeRules, pull: PullRequest
) -> Iterator[Demand]:
    """Yield all that the merge takes, met or not, and what the way of releasing takes of both
    branches.
    """
    web = pull.url.rpartition("/pull/")[0]
    yield from ways(facts, rules, staging, web)
    yield from _reviews(rules, pull)
    yield from _counted(rules, pull)
    yield from _up_to_date(facts, rules, pull)
    yield from _unseen(facts, rules, pull, web)
    yield _by_github(facts, rules, pull)


def _reviews(rules: MergeRules, pull: PullRequest) -> Iterator[Demand]:
    """Yield what people are to say.

    GitHub's decision counts code owners, stale reviews and the last push as well.
    """
    demands = [number_of(rules.approvals, "approval")] if rules.approvals else []
    demands += ["a code owner's approval"] if rules.code_owners else []
    demands += ["an approval of the last push by somebody else"] if rules.last_push else []
    seen, where = pull.merging or {}, f"{pull.url}/files"
    approved = seen.get("approved") or []
    needs = f"Pull request #{pull.number} needs {and_(demands)}"
    if pull.review_decision == "changes_requested" and (demands or rules.pull_required):
        who = and_(seen.get("asking") or ["a reviewer"])
        message = (
            f"{who} requested changes on #{pull.number}. Resolve them, then request another review."
        )
        yield Demand("reviews", False, message, pull.url)
    elif not demands:
        yield Demand("reviews", True, "No review required.")
    elif pull.review_decision == "approved":
        message = f"Approved by {and_(approved or ['reviewers'])}: {and_(demands)}."
        yield Demand("reviews", True, message)
    elif pull.review_decision == "review_required":
        message = f"{needs} on GitHub ({len(approved)} given): review it there."
        yield Demand("reviews", False, message, where, waits=True)
    else:
        message = f"{needs}. GitHub does not show whether it has them."
        yield Demand("reviews", _if_good(None, pull), message, where)


def _counted(rules: MergeRules, pull: PullRequest) -> Iterator[Demand]:
    """Conversations and signatures, of which GitHub shows the first hundred."""
    seen = pull.merging or {}
    if rules.conversations:
        count = seen.get("unresolved")
        message = "All conversations are resolved."
        if count != 0:
            message = f"{_open(count)} of #{pull.number}: resolve them."
        yield Demand("conversations", _none_left(count, pull), message, pull.url, waits=True)
    if rules.signatures:
        count = seen.get("unsigned")
        message = "All commits are signed."
        if count != 0:
            unknown = "It is not known whether all commits are"
            many = unknown if count is None else f"{count} commits are not"
            message = (
                f"{many} signed and verified, as {pull.base} requires. Sign them, or remove that "
                "rule."
            )
        yield Demand("signatures", _none_left(count, pull), message, f"{pull.url}/commits")


def _none_left(count: int | None, pull: PullRequest) -> bool | None:
    return _if_good(None if count is None else count == 0, pull)


def _if_good(met: bool | None, pull: PullRequest) -> bool | None:
    """Return `met`; what is not known is met where GitHub's own word for the whole is good."""
    return True if met is None and pull.merge_state in GOOD_STATES else met


def _open(count: int | None) -> str:
    if count is None:
        return "Conversations are open"
    return f"{number_of(count, 'conversation')} {'is' if count == 1 else 'are'} open"


def _up_to_date(facts: Facts, rules: MergeRules, pull: PullRequest) -> Iterator[Demand]:
    behind, main = facts.release.behind, facts.project.production_branch
    if rules.strict is False and pull.merge_state != "behind":
        return
    if behind == 0 and facts.release.base == facts.production_head and pull.merge_state != "behind":
        yield Demand("up to date", True, f"The candidate contains every commit of {main}.")
        return
    lacks = f"lacks {number_of(behind, 'commit')}" if behind else "may lack commits"
    message = (
        f"The candidate {lacks} of {main}, and GitHub requires it to be up to date. Merge {main}"
        f" into {pull.head}."
    )
    known = False if rules.strict and behind else None
    met = False if pull.merge_state == "behind" else _if_good(known, pull)
    yield Demand("up to date", met, message, pull.url)


def _unseen(facts: Facts, rules: MergeRules, pull: PullRequest, web: str) -> Iterator[Demand]:
    """Yield what the portal cannot compute: only GitHub's word for the whole answers for it."""
    main, met = facts.project.production_branch, _if_good(None, pull)
    if rules.deployments:
        to = f"a successful deployment to {and_(rules.deployments)}"
        message = f"{main} requires {to}, announced on GitHub."
        yield Demand("deployments", met, message, f"{web}/settings/environments")
    if rules.locked is None:
        yield Demand("lock", met, f"Whether {main} is locked is shown only to administrators.", web)
    if rules.others:
        names = and_(other.replace("_", " ") for other in rules.others)
        message = (
            f"{main} requires {names}, and only GitHub can tell whether they are met."
            f" Check #{pull.number}, or remove the rule."
        )
        yield Demand("other rules", met, message, pull.url)


def _by_github(facts: Facts, rules: MergeRules, pull: PullRequest) -> Demand:
    """Return GitHub's own word."""
    met, message = _word(facts, rules, pull)
    return Demand("state on GitHub", met, message, "" if met else pull.url)


def _word(facts: Facts, rules: MergeRules, pull: PullRequest) -> tuple[bool | None, str]:
    """Return whether GitHub's word allows the merge, in words.

    It is "blocked" also while our own required status is not green, which says nothing.
    """
    word, number = pull.merge_state, f"#{pull.number}"
    if word in GOOD_STATES:
        return True, f"GitHub calls {number} {word.replace('_', ' ')}."
    if word == "dirty":
        return False, f"{number} conflicts with {pull.base}: merge {pull.base} first."
    if word in ("behind", "draft"):
        return False, f"GitHub calls {number} {word}."
    if word != "blocked":
        return None, f"GitHub is checking whether {number} may be merged."
    since = pull.blocked_at
    waits = facts.now - since < SETTLED if since else _checks_block(rules, pull)
    if waits:
        until = "as it does until all required checks are green, the portal's own among them"
        return True, f"GitHub calls {number} blocked, {until}."
    reason = "without a visible reason. Check the pull request on GitHub."
    return None, f"GitHub blocks {number} {reason}"


def _checks_block(rules: MergeRules, pull: PullRequest) -> bool:
    """Return whether a required check keeps it blocked: our own status or one of `ci_green`."""
    states = {str(check.get("name")): check.get("state") for check in pull.checks or ()}
    return any(states.get(check.context) != "success" for check in rules.checks)
