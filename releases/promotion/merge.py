"""The step that merges the promotion pull request, if it is still exactly what was promised."""

from django.db import transaction

from environments.clients import github_of
from environments.github import GitHub, PullState
from portal import audit
from portal.outbound.http import ApiError
from releases.gates.context import Facts
from releases.github_mirror import sync
from releases.models.promotion import PromotionStep
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release
from releases.promotion import clearance
from releases.steps import engine as steps_engine
from releases.steps.engine import PATIENCE, Done, Look, Stop, Wait


def merge(step: PromotionStep, facts: Facts) -> Look:
    """Merge the promotion pull request, if it is still exactly what was promised."""
    release, project = facts.release, facts.project
    github = github_of(project)
    if release.pull_number is None:
        return Stop("The release has no promotion pull request.")
    pull = github.pull(release.pull_number)
    sync.keep_pull(project, pull, now=facts.now)
    if pull.merged:
        by_others = clearance.merged_by_others(facts, pull)
        return _restored(facts, github) or by_others or _merged(pull, release)
    if (why := _not_as_promised(pull, project.production_branch, release.candidate)) is not None:
        named = f"Pull request #{pull.number}"
        world = f"{named} is {pull.state} at {pull.head_sha[:7]}; nothing was merged."
        return Stop(f"{named} {why}", world)
    if refusal := clearance.refused(step, facts, github):
        return refusal
    title = f"{release.get_kind_display().capitalize()} {release.name} (#{pull.number})"
    try:
        github.merge(pull.number, sha=release.candidate, title=title)
    except ApiError as error:
        passing = error.kind in ("conflict", "unknown_outcome", "unavailable")
        if not passing or steps_engine.waited(step, facts.now) > PATIENCE:
            raise
        return Wait(2, f"{error.sentence} Checking whether it was merged…")
    return Wait(0, "Merged; reading the merge commit.")


def _not_as_promised(pull: PullState, main: str, candidate: str) -> str | None:
    """Return what is wrong with the pull request, as the end of a sentence; None: nothing."""
    if pull.state != "open":
        return "was closed without merging."
    if pull.base_ref != main:
        return f"goes into {pull.base_ref} by now, not {main}."
    if pull.head_sha != candidate:
        moved = f"moved from {candidate[:7]} to {pull.head_sha[:7]}"
        return f"{moved}. Cancel this promotion, and the release takes up the new commits."
    return f"conflicts with {pull.base_ref}." if pull.mergeable is False else None


def _restored(facts: Facts, github: GitHub) -> Look | None:
    """Make staging again where GitHub deleted it at the merge, and bring back the pull requests
    that GitHub moved to main with it. None: it is there.
    """
    project, release = facts.project, facts.release
    below, main = project.staging_branch, project.production_branch
    if release.is_hotfix or github.branch_head(below) is not None:
        return None
    ours = PullRequest.objects.filter(project=project, state="open", base=below)
    known = set(ours.values_list("number", flat=True))
    moved = [pull.number for pull in github.pulls_into(main) if pull.number in known]
    github.create_branch(below, release.candidate)
    for number in moved:
        github.retarget(number, below)
    back = f" {len(moved)} pull requests go into it again." if moved else ""
    restored = f"The portal restored it at {release.candidate[:7]}."
    message = f"GitHub deleted {below} at the merge. {restored}{back}"
    with transaction.atomic():
        audit.record_by_portal("release.staging_restored", release, message, now=facts.now)
    return Wait(1, message)


def _merged(pull: PullState, release: Release) -> Look:
    named, merged = f"Pull request #{pull.number}", pull.merge_commit
    if pull.head_sha != release.candidate:
        message = f"{named} was merged at {pull.head_sha[:7]}, not at {release.candidate[:7]}."
        world = "Production's branch contains commits that are not part of this release."
        return Stop(message, world)
    if not merged:
        return Wait(1, "GitHub has merged; waiting for the merge commit…")
    evidence = ({"label": f"#{pull.number}", "said": merged, "link": pull.url},)
    return Done(f"{named} merged as {merged[:7]}.", evidence, merged)
