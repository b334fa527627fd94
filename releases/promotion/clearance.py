"""Clearance: makes sure that GitHub will accept the merge before production or its database is
touched.

Asked by the first step that writes, whichever comes first: it reads what the merge takes afresh,
holds every gate against it, posts the verdict, and then wants GitHub's own word that nothing
blocks.
"""

from datetime import timedelta

from django.conf import settings

from environments.finding_kinds.out_of_band import BYPASS
from environments.findings import out_of_band
from environments.github import GitHub, Pull, PullState
from environments.models import Finding
from releases import gates
from releases.commit_status import identity, publish
from releases.gates.context import Facts, facts_of
from releases.github_mirror import sync
from releases.models.promotion import PromotionStep
from releases.models.pull_requests import GOOD_STATES
from releases.steps import engine as steps_engine
from releases.steps.engine import PATIENCE, Look, Stop, Wait

NOTHING = "Nothing was merged, and nothing was written to production."
# How long GitHub may call it blocked after every status is there: its reckoning runs a little
# behind.
SETTLING = timedelta(minutes=2)


def refused(step: PromotionStep, facts: Facts, github: GitHub) -> Look | None:
    """Return why the merge is not to be begun, or not yet; None: GitHub would take it now. Raise
    `ApiError`.
    """
    project, release = facts.project, facts.release
    if release.pull_number is None:
        return Stop("The release has no promotion pull request.", NOTHING)
    overview = github.merge_facts(
        release.pull_number, staging=project.staging_branch, production=project.production_branch
    )
    sync.keep_merge_facts(project, overview, now=facts.now)
    facts = facts_of(release.pk, now=facts.now)
    [pull] = overview.named or [None]
    if pull is not None and pull.merge_state == "unknown":  # then no gate knows either
        return _by_its_word(step, facts, pull)
    if refusal := still_ready(step, facts):
        return refusal
    if pull is None:
        return Wait(2, "GitHub does not show what the promotion pull request still needs.")
    if project.watch_only:  # no verdict is there, so GitHub's word says nothing of the release
        return None
    if facts.verdict_problem or not _is_told(pull) or identity.own(github, release) is None:
        ready = f"Release {release.name} is ready."
        stands = publish.tell(github, release, state="success", sentence=ready, now=facts.now)
        if stands != "success":
            return Stop(publish.WORN_OUT, NOTHING)
        return Wait(0.2, "The verdict is on GitHub. Checking whether anything blocks the merge…")
    return _by_its_word(step, facts, pull)


def _is_told(pull: Pull) -> bool:
    """Return whether GitHub shows our green verdict on the head."""
    return any(
        check.name == settings.STATUS_CONTEXT and check.state == "success"
        for check in pull.checks or ()
    )


def _by_its_word(step: PromotionStep, facts: Facts, pull: Pull) -> Look | None:
    waited, number = steps_engine.waited(step, facts.now), f"#{pull.number}"
    if pull.merge_state in GOOD_STATES:
        return None
    if pull.merge_state == "unknown":
        message = f"GitHub is still computing whether {number} can be merged"
        if waited > PATIENCE:
            minutes = int(PATIENCE.total_seconds() // 60)
            return Stop(f"{message}, for {minutes} minutes: try again later.", NOTHING)
        return steps_engine.later(step, facts.now, f"{message}.", most=15.0)
    message = f"GitHub calls {number} {pull.merge_state}"
    if waited > SETTLING:
        reason = "without a visible reason. Check the pull request on GitHub, then try again."
        return Stop(f"{message} {reason}", NOTHING)
    return Wait(2, f"{message}. It may not have processed the verdict yet.")


def merged_by_others(facts: Facts, pull: PullState) -> Stop | None:
    """Return why the promotion does not go on with a merge that the portal did not make; None: it
    made it, or a person has resolved the finding about it, or people are to merge (*watch only*).
    """
    project, main = facts.project, facts.project.production_branch
    if project.watch_only or not pull.merged_by or pull.merged_by in identity.ours(project):
        return None
    subject = f"merge of #{pull.number} into {main}"
    sentence = (
        f"Pull request #{pull.number} was merged into {main} by {pull.merged_by}, not by the"
        " portal, while the portal was promoting it."
    )
    out_of_band.note(project, subject, sentence, now=facts.now)
    bypasses = Finding.objects.filter(project=project, kind=BYPASS, subject=subject[:300])
    if not bypasses.filter(closed_at=None).exists():
        return None
    world = f"{main} holds the release. Resolve the finding on Environments, then retry the step."
    return Stop(sentence, world)


def still_ready(step: PromotionStep, facts: Facts) -> Look | None:
    """Evaluate the gates once more, just before the point of no return."""
    # Whether the verdict is told is seen to right after this, by telling it.
    missing = [line for line in gates.readiness_of(facts).missing if line.gate != "verdict_told"]
    if not missing:
        return None
    line = missing[0]
    message = f"{line.text}: {line.result.sentence}"
    if line.result.state == gates.FAIL or steps_engine.waited(step, facts.now) > PATIENCE:
        return Stop(message, NOTHING)
    return Wait(2, message)
