"""The steps of a rollback: approved by a second person, restored service by service, watched,
looked at.

Railway's answer to a restore is a yes without an id. So it is written down that it is asked, with
the deployments that were there before, and what came of it is found by looking; it is never asked
twice for one wish.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from environments.clients import railway_of, withhold
from environments.findings import out_of_band
from environments.mirror import sync as environment_sync
from environments.models import (
    SERVING,
    UNDER_WAY,
    Branch,
    DeploymentAsk,
    EnvironmentKind,
    Project,
    ServiceInstance,
)
from environments.railway import Deployment
from environments.schema.downgrade.compatibility import PENDING
from environments.services.liveness import Live
from environments.services.rollback_candidates import newest_first
from portal import audit
from portal.jobs import STOPPED, Finished, JobStatus, Outcome, holds
from portal.outbound.parsing import JsonObject
from releases import gates
from releases.gates import record
from releases.gates.context import Facts, facts_of
from releases.models import Advice, Rollback, RollbackStep, RollbackStepName, StepStatus
from releases.models.promotion import Promotion
from releases.models.releases import Release, ReleaseReconciler, ReleaseStatus
from releases.rollback import assessment as rollback_assessment
from releases.rollback.actions import counted, plan_steps
from releases.steps import engine as steps_engine
from releases.steps.engine import Done, Look, Stop, Wait

LISTED = 25


def advance(job: Rollback, *, now: datetime) -> Outcome:
    """Lets the current step look once, and writes down what it saw."""
    return steps_engine.advance(
        job, lambda step: STEPS[RollbackStepName(step.name)], finish=_finish, now=now
    )


def approve(step: RollbackStep, facts: Facts) -> Look:
    """Waits for enough people besides the one who asked.

    What would be restored is read anew before that counts.
    """
    job = step.rollback
    if message := rollback_assessment.over(facts.release):
        return Stop(message, "Nothing was restored.")
    row = Advice.objects.get(release=facts.release)
    moved = row.content != job.content and row.computed_at and row.computed_at > job.created_at
    if moved and row.verdict != PENDING:
        return _moved(job, row, facts)
    needed, given = facts.project.rollback_approvals, counted(job)
    if len(given) < needed:
        missing = needed - len(given)
        return Wait(
            3,
            f"Waits for the approval of {missing} other {'person' if missing == 1 else 'people'}.",
        )
    row = rollback_assessment.refresh(row, facts.release, now=facts.now)
    if row.verdict == PENDING:
        return Wait(3, f"Waiting for running changes to end: {' '.join(row.reasons)}")
    if row.content != job.content:
        return _moved(job, row, facts)
    names = ", ".join(str(one.user) for one in given)
    evidence = tuple({"label": str(one.user), "said": one.comment or "approved"} for one in given)
    return Done(f"Approved by {names}." if names else "No approval is required.", evidence)


def _moved(job: Rollback, row: Advice, facts: Facts) -> Look:
    """What would be restored is not what people signed: their words lapse, and the new content
    waits for others.
    """
    if not row.targets or row.verdict != job.verdict:
        news = (
            "nothing can be restored anymore"
            if not row.targets
            else f"the verdict is now “{row.verdict}”"
        )
        return Stop(
            f"Production has changed: {news}. Cancel this rollback and decide again.",
            "Nothing was restored.",
        )
    with transaction.atomic():
        if not holds(job):
            return Wait(0, "")
        lapsed = [str(one.user) for one in counted(job)]
        job.verdict, job.targets, job.content = row.verdict, row.targets, row.content
        Rollback.objects.filter(pk=job.pk).update(
            verdict=job.verdict, targets=job.targets, content=job.content
        )
        plan_steps(job)
        message = "The deployments to restore have changed, so earlier approvals no longer count."
        data = {"content": job.content, "targets": job.targets, "lapsed": lapsed}
        audit.record(
            "rollback.moved",
            actor=None,
            subject=facts.release,
            outcome="found",
            sentence=message,
            data=data,
            now=facts.now,
        )
    return Wait(1, message)


def restore(step: RollbackStep, facts: Facts) -> Look:
    """Has Railway restore the earlier deployment of one service, once, and finds the deployment
    that came of it.
    """
    target, project = step.rollback.target(step.service), facts.project
    live = _live(facts, step.service)
    if live is None:
        return Stop(
            f"{step.service} no longer exists in production.", "No request was sent to Railway."
        )
    railway, place = railway_of(project), live.instance.environment.railway_id
    listed = railway.deployments(
        project.railway_project_id, place, target["service_id"], first=LISTED
    )
    found = newest_first(listed)
    newest = found[0] if found else None
    if step.asked:
        return _came_of_it(step.asked, target, found, facts.now)
    if newest and newest.commit == target["commit"] and newest.status in SERVING | UNDER_WAY:
        return Done(
            f"Railway has {target['commit'][:7]} on {step.service} already.", _evidence(newest)
        )
    serves = next((one.commit or "" for one in found if one.status in SERVING), "")
    world = (
        f"{step.service} serves {serves[:7] or 'no known commit'}. No request was sent to Railway."
    )
    if newest and newest.commit not in (facts.release.merge_commit, target["commit"]):
        stranger = newest.commit[:7] if newest.commit else "an unknown commit"
        return Stop(
            f"The newest deployment of {step.service} is of {stranger}, which is not this release.",
            world,
        )
    kept = next((one for one in found if one.id == target["deployment"]), None)
    kept = kept or railway.deployment(target["deployment"])
    if not kept.can_rollback:
        return Stop(
            f"Railway can no longer restore {target['commit'][:7]} on {step.service}.", world
        )
    content = {"service": step.service, "deployment": target["deployment"]}
    withhold(project, "Railway", f"restore {target['commit'][:7]} on {step.service}", content)
    if not _note(step, live.instance, found, facts):
        return Wait(0, "")
    railway.rollback(target["deployment"])
    return Wait(1, f"Railway was asked to restore {target['commit'][:7]} on {step.service}.")


def _note(
    step: RollbackStep, instance: ServiceInstance, found: tuple[Deployment, ...], facts: Facts
) -> bool:
    """Writes down, before it is done, that Railway is asked; False when somebody else holds the
    job.
    """
    target, now = step.rollback.target(step.service), timezone.now()
    with transaction.atomic():
        if not holds(step.rollback):
            return False
        ask = out_of_band.ask(
            instance, target["commit"], now=now
        )  # so that nobody is accused of the new deployment
        _mark(step.rollback.release.project, target["service"])
        step.asked = {"at": now.isoformat(), "known": [one.id for one in found], "ask": ask.pk}
        step.save(update_fields=["asked"])
        message = (
            f"Asking Railway to restore {target['commit'][:7]} on {step.service} (deployment"
            f" {target['deployment']})."
        )
        audit.record(
            "step.restoring",
            actor=None,
            subject=facts.release,
            sentence=message,
            data=target,
            now=now,
        )
    return True


def _came_of_it(
    asked: JsonObject, target: dict[str, str], found: tuple[Deployment, ...], now: datetime
) -> Look:
    """What has become of the wish.

    Nothing after the grace time: a person looks, for asking again could do it twice.
    """
    fresh = [one for one in found if one.id not in asked["known"]]
    made = next((one for one in fresh if one.commit == target["commit"]), None)
    if made is not None:
        out_of_band.asked(DeploymentAsk(pk=asked["ask"]), made.id)
        return Done(
            f"Railway restores {target['commit'][:7]} on {target['service']}.", _evidence(made)
        )
    asked_at = parse_datetime(asked["at"]) or now
    if now - asked_at < timedelta(seconds=settings.DEPLOY_GRACE_SECONDS):
        return Wait(2, f"Railway is restoring {target['service']}. Waiting for its new deployment.")
    message = (
        f"Railway was asked at {asked_at:%H:%M:%S} UTC to restore {target['service']}, and shows no"
        " deployment of it."
    )
    return Stop(
        message,
        "It may still appear. Check Railway; a retry sends the request again.",
        unknown=True,
    )


def _evidence(deployment: Deployment) -> tuple[dict[str, str], ...]:
    return (
        {"label": "deployment", "said": deployment.id},
        {"label": "commit", "said": deployment.commit or ""},
    )


def live(step: RollbackStep, facts: Facts) -> Look:
    """Waits until every restored service serves its earlier commit."""
    project, job = facts.project, step.rollback
    tree = railway_of(project).project(project.railway_project_id)
    environment_sync.apply(project, tree, now=facts.now)
    facts = facts_of(facts.release.pk, now=facts.now)
    wanted = _restored(job)
    if not wanted:
        return Stop("No service was restored.", "Production runs the release.")
    judged = []
    failed = False
    for service, commit in wanted.items():
        one = _live(facts, service)
        failed |= one is not None and one.is_broken_at(commit)
        state, message = (
            gates.liveness(one, commit, since=facts.fresh_since) if one else (gates.FAIL, "is gone")
        )
        judged.append((service, state, message))
    evidence = tuple({"label": service, "said": message} for service, _, message in judged)
    late = [f"{service} {message}" for service, state, message in judged if state != gates.PASS]
    if not late:
        return Done(
            f"{gates.and_(wanted)} serve{'s' if len(wanted) == 1 else ''} the earlier deployment.",
            evidence,
        )
    waited = steps_engine.waited(step, facts.now)
    if failed or waited > timedelta(minutes=project.deploy_minutes):
        return Stop(
            f"In production, {'; '.join(late)}.",
            "Production partly runs this release and partly the earlier one.",
            evidence,
        )
    return Wait(
        min(10.0, max(1.0, waited.total_seconds() / 10)), f"In production, {'; '.join(late)}."
    )


def smoke(step: RollbackStep, facts: Facts) -> Look:
    """Asks the same pages as after a promotion; each service must name the commit that it was
    brought back to.
    """
    commits = {one.service: one.serving for one in facts.in_production} | _restored(step.rollback)
    world = "Production runs the earlier deployments, but these smoke tests fail."
    return steps_engine.smoke(step, facts, commits, world)


def _restored(job: Rollback) -> dict[str, str]:
    """Service → commit, of those whose step was done and not skipped."""
    done = job.steps.filter(name=RollbackStepName.RESTORE, status=StepStatus.DONE).values_list(
        "service", flat=True
    )
    return {service: job.target(service)["commit"] for service in done}


def _live(facts: Facts, service: str) -> Live | None:
    return next((one for one in facts.in_production if one.service == service), None)


def _finish(job: Rollback, now: datetime) -> Outcome:
    """Production is back.

    The branch is not, so it is remembered which commit production was taken back from.
    """
    restored = _restored(job)
    if not restored:
        return Finished(
            JobStatus.CANCELLED, "Nothing was restored. Production still runs the release."
        )
    with transaction.atomic():
        if not holds(job):
            return Finished(JobStatus.FAILED, "")  # not recorded: somebody else holds it
        release = (
            Release.objects.select_for_update(of=("self",))
            .select_related("project")
            .get(pk=job.release_id)
        )
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
        partly = f" Not restored: {gates.and_(left)}." if left else ""
        branch = release.project.production_branch
        message = f"{gates.and_(restored)} runs the deployment before {release.name}.{partly}"
        message += f" {branch} still contains it: the next release must revert or fix it."
        audit.record(
            "release.rolled_back",
            actor=None,
            subject=release,
            sentence=message,
            data={"restored": restored},
            now=now,
        )
    return Finished(JobStatus.SUCCEEDED, message)


def _end_promotion(release: Release, now: datetime) -> None:
    """A promotion that had stopped is not to be taken up again."""
    stopped = Promotion.objects.filter(release=release, status__in=STOPPED)
    if stopped.update(status=JobStatus.CANCELLED, finished_at=now):
        message = "Promotion canceled: the release was rolled back."
        audit.record("promotion.abandoned", actor=None, subject=release, sentence=message, now=now)


def _mark(project: Project, service: str) -> None:
    """Before Railway is asked: what people do is not to be taken for a push that it missed."""
    head = (
        Branch.objects.filter(project=project, name=project.production_branch)
        .values_list("head", flat=True)
        .first()
    )
    ServiceInstance.objects.filter(
        environment__project=project,
        environment__kind=EnvironmentKind.PRODUCTION,
        service__name=service,
    ).update(rolled_back_from=head or "")


STEPS: dict[RollbackStepName, Callable[[RollbackStep, Facts], Look]] = {
    RollbackStepName.APPROVE: approve,
    RollbackStepName.RESTORE: restore,
    RollbackStepName.LIVE: live,
    RollbackStepName.SMOKE: smoke,
}
