"""Actions of a rollback: request it, approve it, and handle a step that stopped."""

from datetime import datetime

from django.contrib.auth.models import User
from django.utils import timezone

from environments.databases.permission import APPROVE
from environments.findings.repair_queue import _repair
from environments.models import Repair, RepairKind
from environments.schema.downgrade.compatibility import DOWNGRADE_FIRST, PENDING
from portal import audit
from portal.audit import Actor
from portal.configuration.signing import counts, require_second
from portal.jobs import JobStatus, wake_now
from portal.ui.actions import Refused, action, refuse_second, require_reason, require_seen
from releases.models import (
    Rollback,
    RollbackApproval,
    RollbackAssessment,
    RollbackStep,
    RollbackStepName,
)
from releases.models.releases import Release, ReleaseStatus
from releases.rollback.downgrade_actions import in_production
from releases.steps import engine as steps_engine

CHANGED = "The deployments to restore have changed since you opened this page. Reload it."


@action("rollback.requested", "releases.roll_back_release", guarded=True)
def request_rollback(
    release: Release,
    *,
    actor: User,
    reason: str,
    content: str | None = None,
    now: datetime | None = None,
) -> Rollback:
    """Ask for production to go back to what ran before `release`; it begins once others have
    approved.

    `content` is the digest of what the person's page showed (None: the caller has just read it). A
    freeze does not stop it: it is meant for what can wait.
    """
    now = now or timezone.now()
    require_reason(reason)
    release, row = in_production(release, now)
    require_seen(actor, content, "deployments")
    _require_possible(row, content)
    rollback = _create(release, row, actor, reason, now)
    wake_now(rollback, now=now)
    names = ", ".join(
        f"{target['service']} to {target['commit'][:7]}" for target in rollback.targets
    )
    why = f"({rollback.verdict}): {names}. “{reason.strip()[:500]}”"
    message = f"Rollback of {release.name} asked for {why}"
    data = {name: getattr(rollback, name) for name in ("content", "targets", "verdict")}
    data["reason"] = reason
    audit.record(
        "rollback.requested", actor=actor, subject=release, sentence=message, data=data, now=now
    )
    return rollback


def _require_possible(row: RollbackAssessment, content: str | None) -> None:
    """Refuse where the assessment is another than the person saw, or allow no rollback now."""
    if content and content != row.content:
        raise Refused(CHANGED)
    if row.verdict == PENDING:
        raise Refused(
            f"{' '.join(row.reasons)} Wait until it has ended, or cancel it, then request the "
            "rollback again."
        )
    if row.verdict == DOWNGRADE_FIRST:
        raise Refused(
            "The earlier code does not work with the current schema. Downgrade the database first."
        )
    if not row.targets:
        raise Refused(
            "Railway keeps no earlier deployment to restore. Fix the problem in a new release."
        )


def _create(
    release: Release, row: RollbackAssessment, actor: User, reason: str, now: datetime
) -> Rollback:
    with refuse_second("A rollback of this release is already running."):
        rollback = Rollback.objects.create(
            release=release,
            requested_by=actor,
            reason=reason.strip()[:2000],
            verdict=row.verdict,
            targets=row.targets,
            content=row.content,
            created_at=now,
            wake_at=now,
        )
    RollbackStep.objects.create(rollback=rollback, position=0, name=RollbackStepName.APPROVE)
    plan_steps(rollback)
    return rollback


def plan_steps(job: Rollback) -> None:
    """Make the steps that follow the approval again, for the rollback's targets."""
    job.steps.exclude(name=RollbackStepName.APPROVE).delete()
    names = [(RollbackStepName.RESTORE, target["service"]) for target in job.targets]
    names += [(RollbackStepName.LIVE, ""), (RollbackStepName.SMOKE, "")]
    RollbackStep.objects.bulk_create(
        RollbackStep(rollback=job, position=position, name=name, service=service)
        for position, (name, service) in enumerate(names, start=1)
    )


def counted(job: Rollback) -> list[RollbackApproval]:
    """Return the approvals that hold: of this content, by others who still may."""
    given = job.approvals.filter(counts(APPROVE), content=job.content, lapsed_at=None)
    return list(given.exclude(user=job.requested_by_id).select_related("user"))


@action("rollback.approved", "releases.approve_release", guarded=True)
def approve_rollback(
    release: Release, *, actor: Actor, content: str, comment: str = "", now: datetime | None = None
) -> RollbackApproval:
    """Approve exactly the deployments that will be restored.

    Whoever asked for the rollback cannot.
    """
    now = now or timezone.now()
    job = Rollback.objects.open().select_for_update().filter(release=release).first()
    step = job.steps.order_by("position").first() if job else None
    if job is None or step is None or step.finished_at is not None:
        raise Refused("No rollback of this release needs an approval.")
    refusal = "You requested this rollback, so a second person must approve it."
    actor = require_second(actor, APPROVE, job.requested_by_id, refusal)
    if content != job.content:
        raise Refused(CHANGED)
    approval, created = RollbackApproval.objects.get_or_create(
        rollback=job,
        user=actor,
        content=job.content,
        lapsed_at=None,
        defaults={"comment": comment.strip()[:2000], "given_at": now},
    )
    if created:
        wake_now(job, now=now)
        data = {"content": job.content, "targets": job.targets, "comment": approval.comment}
        message = f"Rollback approved{f': “{approval.comment[:500]}”' if approval.comment else '.'}"
        audit.record(
            "rollback.approved", actor=actor, subject=release, sentence=message, data=data, now=now
        )
    return approval


@action("step.retried", "releases.repair_release")
def retry_rollback(release: Release, *, actor: Actor, now: datetime | None = None) -> None:
    """Let the stopped step look again; what was restored is found and not repeated."""
    now = now or timezone.now()
    job, step = steps_engine.stopped(release.rollbacks, "rollback")
    steps_engine.retry(release, job, step, actor=actor, now=now, asked=None)


@action("step.skipped", "releases.repair_release", guarded=True)
def skip_rollback(
    release: Release, *, actor: Actor, reason: str, now: datetime | None = None
) -> None:
    """Go on without the stopped step, by a person's word. The approval cannot be skipped."""
    now = now or timezone.now()
    job, step = steps_engine.stopped(release.rollbacks, "rollback")
    if step.name == RollbackStepName.APPROVE:
        raise Refused(
            "Without approval nothing is restored. Retry the step, or cancel the rollback."
        )
    steps_engine.skip(release, job, step, actor=actor, reason=reason, now=now)


@action("rollback.abandoned", "releases.repair_release")
def abandon_rollback(
    release: Release, *, actor: Actor, reason: str, now: datetime | None = None
) -> None:
    """Give up a rollback that waits for approval or has stopped; what was restored stays so."""
    now = now or timezone.now()
    require_reason(reason)
    job = Rollback.objects.unsettled().select_for_update().filter(release=release).first()
    if job is None:
        raise Refused("There is no rollback of this release to cancel.")
    begun = job.steps.exclude(name=RollbackStepName.APPROVE).exclude(started_at=None)
    if job.is_open and begun.exists():
        raise Refused("The rollback is running. Wait until it has ended or stopped.")
    # A worker that looks at it in this moment finds that it no longer holds it.
    Rollback.objects.filter(pk=job.pk).update(status=JobStatus.CANCELLED, finished_at=now)
    restored = begun.filter(name=RollbackStepName.RESTORE, status="done")
    done = list(restored.values_list("service", flat=True))
    after = f"restored: {', '.join(done)}" if done else "nothing was restored"
    message = f"Rollback canceled ({after}): “{reason.strip()[:500]}”"
    data = {"restored": done}
    audit.record(
        "rollback.abandoned", actor=actor, subject=release, sentence=message, data=data, now=now
    )


@action("revert.requested", "releases.roll_back_release")
def open_revert(release: Release, *, actor: Actor, now: datetime | None = None) -> Repair:
    """Ask for the pull request that takes a rolled-back release out of production's branch."""
    release = Release.objects.locked(release.pk)
    if release.status != ReleaseStatus.ROLLED_BACK or not release.pull_number:
        raise Refused(f"Release {release.name} was not rolled back: there is nothing to revert.")
    number, branch = release.pull_number, release.project.production_branch
    return _repair(
        release.project,
        RepairKind.REVERT,
        "revert.requested",
        f"Open the pull request that reverts #{number} on {branch}.",
        actor=actor,
        now=now,
        subject=f"#{number}",
        wanted=str(number),
        release=release.name,
    )
