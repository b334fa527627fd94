"""The steps of a rollback: a second person's approval, service by service, watching, smoke tests.

Railway's answer to a restore is a yes without an id. So it is written down that it is asked, with
the deployments that were there before, and what came of it is found by looking; it is never asked
twice for one request.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from environments.schema.downgrade.compatibility import PENDING
from portal import audit
from portal.jobs import STOPPED, Finished, JobStatus, Outcome, holds
from portal.words import and_
from releases.gates import record
from releases.gates.context import Facts
from releases.models import Rollback, RollbackAssessment, RollbackStep, RollbackStepName
from releases.models.promotion import Promotion
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release, ReleaseStatus
from releases.rollback import assessment as rollback_assessment
from releases.rollback.actions import counted, plan_steps
from releases.rollback.restoring import live, restore, restored_commits
from releases.steps import engine as steps_engine
from releases.steps.engine import Done, Look, Stop, Wait

_NOTHING_LEFT = "nothing can be restored anymore"


def advance(job: Rollback, *, now: datetime) -> Outcome:
    """Let the current step look once, and write down what it saw."""
    return steps_engine.advance(
        job, lambda step: STEPS[RollbackStepName(step.name)], finish=_finish, now=now
    )


def approve(step: RollbackStep, facts: Facts) -> Look:
    """Wait for enough people besides the one who asked.

    What would be restored is read again before that counts.
    """
    job = step.rollback
    if message := rollback_assessment.over(facts.release):
        return Stop(message, "Nothing was restored.")
    row = RollbackAssessment.objects.get(release=facts.release)
    moved = row.content != job.content and row.computed_at and row.computed_at > job.created_at
    if moved and row.verdict != PENDING:
        return _moved(job, row, facts)
    needed, given = facts.project.rollback_approvals, counted(job)
    if len(given) < needed:
        missing = needed - len(given)
        people = "person" if missing == 1 else "people"
        return Wait(3, f"Waits for the approval of {missing} other {people}.")
    row = rollback_assessment.refresh(row, facts.release, now=facts.now)
    if row.verdict == PENDING:
        return Wait(3, f"Waiting for running changes to end: {' '.join(row.reasons)}")
    if row.content != job.content:
        return _moved(job, row, facts)
    names = ", ".join(str(approval.user) for approval in given)
    evidence = steps_engine.told(
        (str(approval.user), approval.comment or "approved") for approval in given
    )
    return Done(f"Approved by {names}." if names else "No approval is required.", evidence)


def _moved(job: Rollback, row: RollbackAssessment, facts: Facts) -> Look:
    """Wait for new approvals: what would be restored is not what people signed, so those lapse."""
    if not row.targets or row.verdict != job.verdict:
        news = f"the verdict is now “{row.verdict}”" if row.targets else _NOTHING_LEFT
        message = f"Production has changed: {news}. Cancel this rollback and decide again."
        return Stop(message, "Nothing was restored.")
    with transaction.atomic():
        if not holds(job):
            return Wait(0, "")
        lapsed = [str(approval.user) for approval in counted(job)]
        job.keep(verdict=row.verdict, targets=row.targets, content=row.content)
        plan_steps(job)
        message = "The deployments to restore have changed, so earlier approvals no longer count."
        data = {"content": job.content, "targets": job.targets, "lapsed": lapsed}
        audit.record_by_portal(
            "rollback.moved", facts.release, message, outcome="found", data=data, now=facts.now
        )
    return Wait(1, message)


def smoke(step: RollbackStep, facts: Facts) -> Look:
    """Ask the same pages as after a promotion; each service must name the commit it is back at."""
    serving = {live.service: live.serving for live in facts.in_production}
    commits = serving | restored_commits(step.rollback)
    world = "Production runs the earlier deployments, but these smoke tests fail."
    return steps_engine.smoke(step, facts, commits, world)


def _finish(job: Rollback, now: datetime) -> Outcome:
    """Production is back.

    The branch is not, so it is remembered which commit production was taken back from.
    """
    restored = restored_commits(job)
    if not restored:
        message = "Nothing was restored. Production still runs the release."
        return Finished(JobStatus.CANCELLED, message)
    with transaction.atomic():
        if not holds(job):
            return Finished(JobStatus.FAILED, "")  # not recorded: somebody else holds it
        release = Release.objects.locked(job.release_id)
        _end_promotion(release, now)
        if release.status != ReleaseStatus.ROLLED_BACK:
            record.keep(release, now=now)
            release.move_to(ReleaseStatus.ROLLED_BACK, now=now)
        rollback_assessment.hurry(release, now=now)
        # GitHub is told what became of it; the reconciler then ends again.
        ReleaseReconciler.objects.filter(release=release).update(
            status=JobStatus.QUEUED, finished_at=None, wake_at=now
        )
        left = [target["service"] for target in job.targets if target["service"] not in restored]
        partly = f" Not restored: {and_(left)}." if left else ""
        branch = release.project.production_branch
        message = f"{and_(restored)} runs the deployment before {release.name}.{partly}"
        message += f" {branch} still contains it: the next release must revert or fix it."
        data = {"restored": restored}
        audit.record_by_portal("release.rolled_back", release, message, data=data, now=now)
    return Finished(JobStatus.SUCCEEDED, message)


def _end_promotion(release: Release, now: datetime) -> None:
    """Cancel a promotion that had stopped: nobody may continue it."""
    stopped = Promotion.objects.filter(release=release, status__in=STOPPED)
    if stopped.update(status=JobStatus.CANCELLED, finished_at=now):
        message = "Promotion canceled: the release was rolled back."
        audit.record_by_portal("promotion.abandoned", release, message, now=now)


STEPS: dict[RollbackStepName, Callable[[RollbackStep, Facts], Look]] = {
    RollbackStepName.APPROVE: approve,
    RollbackStepName.RESTORE: restore,
    RollbackStepName.LIVE: live,
    RollbackStepName.SMOKE: smoke,
}
