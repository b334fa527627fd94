"""Has Railway restore the earlier deployment of one service, once, and finds the result."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from environments.clients import railway_of, withhold
from environments.findings import out_of_band
from environments.models import (
    SERVING,
    UNDER_WAY,
    Branch,
    DeploymentRequest,
    EnvironmentKind,
    Project,
    ServiceInstance,
)
from environments.railway import Deployment
from environments.railway_mirror import sync as environment_sync
from environments.services.liveness import Live
from portal import audit
from portal.jobs import holds
from portal.outbound.parsing import JsonObject
from portal.words import and_
from releases import gates
from releases.gates.context import Facts, facts_of
from releases.models import Rollback, RollbackStep, RollbackStepName, StepStatus
from releases.rollback.candidates import newest_first
from releases.steps.engine import Done, Look, Stop, Wait, later, told, waited

LISTED = 25


def restore(step: RollbackStep, facts: Facts) -> Look:
    """Have Railway restore one service's earlier deployment, once, and find what came of it."""
    target, project = step.rollback.target(step.service), facts.project
    unasked = "No request was sent to Railway."
    live = live_service(facts, step.service)
    if live is None:
        return Stop(f"{step.service} no longer exists in production.", unasked)
    railway, place = railway_of(project), live.instance.environment.railway_id
    listed = railway.deployments(
        project.railway_project_id, place, target["service_id"], first=LISTED
    )
    deployments = newest_first(listed)
    newest = deployments[0] if deployments else None
    if step.asked:
        return _came_of_it(step.asked, target, deployments, facts.now)
    what = f"{target['commit'][:7]} on {step.service}"
    if newest and newest.commit == target["commit"] and newest.status in SERVING | UNDER_WAY:
        return Done(f"Railway has {what} already.", _evidence(newest))
    serves = next(
        (deployment.commit or "" for deployment in deployments if deployment.status in SERVING), ""
    )
    world = f"{step.service} serves {serves[:7] or 'no known commit'}. {unasked}"
    if newest and newest.commit not in (facts.release.merge_commit, target["commit"]):
        stranger = f"{(newest.commit or '')[:7] or 'an unknown commit'}, which is not this release"
        return Stop(f"The newest deployment of {step.service} is of {stranger}.", world)
    kept = next(
        (deployment for deployment in deployments if deployment.id == target["deployment"]), None
    )
    kept = kept or railway.deployment(target["deployment"])
    if not kept.can_rollback:
        return Stop(f"Railway can no longer restore {what}.", world)
    content = {"service": step.service, "deployment": target["deployment"]}
    withhold(project, "Railway", f"restore {what}", content)
    if not _note(step, live.instance, deployments, facts):
        return Wait(0, "")
    railway.rollback(target["deployment"])
    return Wait(1, f"Railway was asked to restore {what}.")


def _note(
    step: RollbackStep, instance: ServiceInstance, deployments: tuple[Deployment, ...], facts: Facts
) -> bool:
    """Write down, before it is done, that Railway is asked; False: somebody else has the job."""
    target, now = step.rollback.target(step.service), timezone.now()
    with transaction.atomic():
        if not holds(step.rollback):
            return False
        # So that the new deployment is not reported as out-of-band.
        ask = out_of_band.ask(instance, target["commit"], now=now)
        _mark(step.rollback.release.project, target["service"])
        step.asked = {
            "at": now.isoformat(),
            "known": [deployment.id for deployment in deployments],
            "ask": ask.pk,
        }
        step.save(update_fields=["asked"])
        what = f"{target['commit'][:7]} on {step.service} (deployment {target['deployment']})"
        message, release = f"Asking Railway to restore {what}.", facts.release
        audit.record_by_portal("step.restoring", release, message, data=target, now=now)
    return True


def _came_of_it(
    request: JsonObject, target: dict[str, str], deployments: tuple[Deployment, ...], now: datetime
) -> Look:
    """Return what has become of the request.

    Nothing after the grace time: a person looks, for asking again could do it twice.
    """
    fresh = [deployment for deployment in deployments if deployment.id not in request["known"]]
    made = next((deployment for deployment in fresh if deployment.commit == target["commit"]), None)
    if made is not None:
        out_of_band.asked(DeploymentRequest(pk=request["ask"]), made.id)
        restores = f"Railway restores {target['commit'][:7]} on {target['service']}."
        return Done(restores, _evidence(made))
    asked_at = parse_datetime(request["at"]) or now
    if now - asked_at < timedelta(seconds=settings.DEPLOY_GRACE_SECONDS):
        return Wait(2, f"Railway is restoring {target['service']}. Waiting for its new deployment.")
    asking = f"Railway was asked at {asked_at:%H:%M:%S} UTC to restore {target['service']}"
    message = f"{asking}, and shows no deployment of it."
    world = "It may still appear. Check Railway; a retry sends the request again."
    return Stop(message, world, unknown=True)


def _evidence(deployment: Deployment) -> tuple[dict[str, str], ...]:
    return told([("deployment", deployment.id), ("commit", deployment.commit or "")])


def live(step: RollbackStep, facts: Facts) -> Look:
    """Wait until every restored service serves its earlier commit."""
    project, job = facts.project, step.rollback
    tree = railway_of(project).project(project.railway_project_id)
    environment_sync.apply(project, tree, now=facts.now)
    facts = facts_of(facts.release.pk, now=facts.now)
    wanted = restored_commits(job)
    if not wanted:
        return Stop("No service was restored.", "Production runs the release.")
    sentences, late, failed = [], [], False
    for service, commit in wanted.items():
        service_live = live_service(facts, service)
        failed |= service_live is not None and service_live.is_broken_at(commit)
        state, message = gates.FAIL, "is gone"
        if service_live:
            state, message = gates.liveness(service_live, commit, since=facts.fresh_since)
        sentences.append((service, message))
        if state != gates.PASS:
            late.append(f"{service} {message}")
    evidence = told(sentences)
    if not late:
        serve = f"serve{'s' if len(wanted) == 1 else ''}"
        return Done(f"{and_(wanted)} {serve} the earlier deployment.", evidence)
    message = f"In production, {'; '.join(late)}."
    if failed or waited(step, facts.now) > timedelta(minutes=project.deploy_minutes):
        world = "Production partly runs this release and partly the earlier one."
        return Stop(message, world, evidence)
    return later(step, facts.now, message)


def restored_commits(job: Rollback) -> dict[str, str]:
    """Return service → commit, of those whose step was done and not skipped."""
    done = job.steps.filter(name=RollbackStepName.RESTORE, status=StepStatus.DONE)
    return {step.service: job.target(step.service)["commit"] for step in done}


def live_service(facts: Facts, service: str) -> Live | None:
    return next((live for live in facts.in_production if live.service == service), None)


def _mark(project: Project, service: str) -> None:
    """Before Railway is asked: what people do is not to be taken for a push that it missed."""
    ServiceInstance.objects.filter(
        environment__project=project,
        environment__kind=EnvironmentKind.PRODUCTION,
        service__name=service,
    ).update(rolled_back_from=Branch.heads(project).get(project.production_branch, ""))
