"""Whether the branches, their pull requests and the checks on them allow a promotion."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from environments.github import Required
from environments.github.answers import ACTIONS_APP_ID
from portal.words import and_
from releases.gates.context import Facts
from releases.gates.registry import gate
from releases.gates.result import FAIL, PASS, PENDING, Result, outdated, step_of
from releases.models import PullRequest, StepStatus
from releases.models.promotion import StepName

GREEN_CHECKS = {"success"}
ACTIONS_BOT = "github-actions[bot]"
RUNNING_CHECKS = {"queued", "in_progress", "requested", "waiting", "pending", "expected", ""}


@gate("Promotion open", always=True)
def promotion_open(facts: Facts) -> Result:
    """Require that the promotion pull request is open, at the candidate, and can be merged."""
    pull = facts.promotion_pull
    if stale := outdated(facts, "GitHub"):
        return stale
    if facts.release.pull_number is None or pull is None:
        return Result(PENDING, "The promotion pull request is being opened.")
    evidence = (
        ("pull request", f"#{pull.number}"),
        ("state", pull.state),
        ("head", pull.head_sha[:7]),
    )
    return Result(*_open_at_candidate(facts, pull), evidence, pull.seen_at)


def _open_at_candidate(facts: Facts, pull: PullRequest) -> tuple[str, str]:
    named, main = f"Pull request #{pull.number}", facts.project.production_branch
    candidate = facts.release.candidate
    if pull.state == "merged":
        return FAIL, f"{named} was merged outside the portal."
    if pull.base != main:
        return FAIL, f"{named} goes into {pull.base}, not into {main}."
    if pull.state != "open":
        return FAIL, f"{named} is {pull.state}. Reopen it, or abandon the release."
    if pull.seen_at < facts.fresh_since:
        return PENDING, f"{named} has not been read recently."
    if pull.draft:
        return FAIL, f"{named} is a draft. Mark it ready for review."
    if pull.head_sha != candidate:
        return PENDING, f"{named} is at {pull.head_sha[:7]}, the candidate is {candidate[:7]}."
    if pull.mergeable == "conflicting":
        return FAIL, f"{named} conflicts with {main}; merge {main} into {pull.head} first."
    if pull.mergeable != "mergeable":
        return PENDING, f"GitHub is checking #{pull.number} for conflicts."
    return PASS, f"{named} is open at the candidate."


@gate("CI green", always=True)
def ci_green(facts: Facts) -> Result:
    """Require that every required check on the candidate succeeded, and no other failed."""
    if stale := outdated(facts, "GitHub"):
        return stale
    pull = facts.promotion_pull
    if pull is None or pull.head_sha != facts.release.candidate or pull.seen_at < facts.fresh_since:
        return Result(PENDING, "Reading the candidate's checks…")
    if pull.checks is None or pull.checks_at is None:
        message = "Reading the candidate's checks… Connections shows what the token may read."
        return Result(PENDING, message)
    if pull.checks_at < facts.fresh_since:
        message = "The candidate's checks are outdated. Connections shows what the token may read."
        return Result(PENDING, message, (), pull.checks_at)
    if facts.required_contexts is None:
        message = "The rules of the production branch could not be read"
        return Result(PENDING, f"{message}, so required checks are unknown.")
    known = facts.merge_rules.checks if facts.merge_rules else ()
    bound = [check for check in known if check.app_id is not None]
    return judge_checks(pull.checks, facts.required_contexts, pull.checks_at, bound)


def judge_checks(
    checks: list[dict], required: tuple[str, ...], seen_at: datetime, bound: Sequence[Required] = ()
) -> Result:
    """Return whether every required check of a commit succeeded, and none of the others failed.

    Those of `bound` count for what is required only when their own App reported them, as on GitHub.
    """
    states: dict[str, str] = {}
    for check in checks:
        name, word = str(check.get("name", "")), str(check.get("state", "")).lower()
        if name == settings.STATUS_CONTEXT:
            continue
        # Several runs of one name: the worst of them counts.
        states[name] = max(states.get(name, word), word, key=_badness)
    evidence = tuple((name, word or "pending") for name, word in sorted(states.items()))
    return Result(*_judged(states, checks, required, bound), evidence, seen_at)


def _judged(
    states: dict[str, str], checks: list[dict], required: tuple[str, ...], bound: Sequence[Required]
) -> tuple[str, str]:
    missing = [name for name in required if name not in states]
    unlucky = [name for name, word in states.items() if word not in GREEN_CHECKS | RUNNING_CHECKS]
    failed = [
        name for name in unlucky if name in required or states[name] not in {"neutral", "skipped"}
    ]
    foreign = [
        check for check in bound if check.context in states and not _from_its_app(checks, check)
    ]
    running = [name for name, word in states.items() if word in RUNNING_CHECKS]
    if failed:
        message = and_(f"{name} ({states[name].replace('_', ' ')})" for name in failed)
        return FAIL, f"Not green: {message}."
    if missing:
        return PENDING, f"Required but not reported yet: {and_(missing)}."
    if foreign:
        message = and_(
            f"{check.context} (App {check.app_id}{_others(checks, check)})" for check in foreign
        )
        return PENDING, f"Required from one App, not reported by it yet: {message}."
    if running:
        return PENDING, f"Still running: {and_(running)}."
    if not states:
        return PENDING, "No check has reported on the candidate yet."
    return PASS, f"{and_(states)} passed; {len(required)} required."


def _from_its_app(checks: list[dict], required: Required) -> bool:
    """Return whether the App reported it: a check run names it, a status only the bot that posted.

    Which bot is which App is GitHub's word, at the merge. But every workflow may post as Actions.
    """
    return any(
        check.get("app") == required.app_id
        or (
            str(check.get("by", "")).endswith("[bot]")
            and (check["by"] == ACTIONS_BOT) == (required.app_id == ACTIONS_APP_ID)
        )
        for check in checks
        if check.get("name") == required.context
    )


def _others(checks: list[dict], required: Required) -> str:
    """Return who posted a status of that name instead, in words."""
    by = {check.get("by", "") for check in checks if check.get("name") == required.context} - {""}
    return f"; that of {and_(sorted(by))} does not count" if by else ""


def _badness(word: str) -> int:
    return 0 if word in GREEN_CHECKS else 1 if word in RUNNING_CHECKS else 2


@gate("Staging equals main")
def staging_equals_main(facts: Facts) -> Result:
    """Require that both branches are at one commit, or were when this release was synchronised."""
    step = step_of(facts, StepName.SYNC_STAGING)
    if step is not None and step.status == StepStatus.DONE:
        return Result(PASS, step.sentence, (), step.finished_at)
    if stale := outdated(facts, "GitHub"):
        return stale
    names = f"{facts.project.staging_branch} and {facts.project.production_branch}"
    if not facts.release.merge_commit:
        return Result(PENDING, "The release is not merged yet.")
    if facts.staging_head and facts.staging_head == facts.production_head:
        both = f"{names} are both at {facts.staging_head[:7]}."
        return Result(PASS, both, (), facts.github_seen_at)
    ended = step is not None and step.status in (StepStatus.FAILED, StepStatus.SKIPPED)
    state = FAIL if ended else PENDING
    return Result(state, f"{names} are not at the same commit yet.", (), facts.github_seen_at)


@gate("Back merged")
def back_merged(facts: Facts) -> Result:
    """Require that staging holds what the hotfix brought to production."""
    release, staging = facts.release, facts.project.staging_branch
    if not release.merge_commit:
        return Result(PENDING, "The hotfix is not merged yet.")
    known, commit = release.back_merge, release.merge_commit[:7]
    number = known.get("number")
    evidence = (("pull request", f"#{number}"),) if number else ()
    if known.get("contained"):
        return Result(PASS, f"{staging} holds {commit}.", evidence)
    if stale := outdated(facts, "GitHub"):
        return stale
    if facts.staging_head and facts.staging_head == facts.production_head:
        equal = f"{staging} equals {facts.project.production_branch}."
        return Result(PASS, equal, evidence, facts.github_seen_at)
    if number and known.get("state") == "closed":
        message = (
            f"Pull request #{number} was closed, and {staging} does not hold {commit}. Open a "
            "new back-merge. Use the page Environments."
        )
        return Result(FAIL, message, evidence)
    if not number:
        message = (
            f"{staging} does not hold {commit} yet: open a back-merge on the page Environments."
        )
        return Result(PENDING, message)
    message = f"Pull request #{number} brings {commit} to {staging}: merge it, with a merge commit."
    return Result(PENDING, message, evidence)
