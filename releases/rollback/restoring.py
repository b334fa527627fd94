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
from releases.steps import engine as steps_engine
from releases.steps.engine import Done, Look, Stop, Wait

LISTED = 25


def restore(step: RollbackStep, facts: Facts) -> Look:
    """Have Railway restore the earlier deployment of one service, once, and find the deployment
    that came of it.
    """
    target, project = step.rollback.target(step.service), facts.project
    live = live_services(facts, step.service)
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
    """Write down, before it is done, that Railway is asked; False when somebody else holds the
    job.
    """
    target, now = step.rollback.target(step.service), timezone.now()
    with transaction.atomic():
        if not holds(step.rollback):
            return False
        ask = out_of_band.ask(
            instance, target["commit"], now=now
        )  # so that the new deployment is not reported as out-of-band
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
    """Return what has become of the request.

    Nothing after the grace time: a person looks, for asking again could do it twice.
    """
    fresh = [one for one in found if one.id not in asked["known"]]
    made = next((one for one in fresh if one.commit == target["commit"]), None)
    if made is not None:
        out_of_band.asked(DeploymentRequest(pk=asked["ask"]), made.id)
        restores = f"Railway restores {target['commit'][:7]} on {target['service']}."
        return Done(restores, _evidence(made))
    asked_at = parse_datetime(asked["at"]) or now
    if now - asked_at < timedelta(seconds=settings.DEPLOY_GRACE_SECONDS):
        return Wait(2, f"Railway is restoring {target['service']}. Waiting for its new deployment.")
    message = (
        f"Railway was asked at {asked_at:%H:%M:%S} UTC to restore {target['service']}, and shows no"
        " deployment of it."
    )
    world = "It may still appear. Check Railway; a retry sends the request again."
    return Stop(message, world, unknown=True)


def _evidence(deployment: Deployment) -> tuple[dict[str, str], ...]:
    return (
        {"label": "deployment", "said": deployment.id},
        {"label": "commit", "said": deployment.commit or ""},
    )


def live(step: RollbackStep, facts: Facts) -> Look:
    """Wait until every restored service serves its earlier commit."""
    project, job = facts.project, step.rollback
    tree = railway_of(project).project(project.railway_project_id)
    environment_sync.apply(project, tree, now=facts.now)
    facts = facts_of(facts.release.pk, now=facts.now)
    wanted = restored_commits(job)
    if not wanted:
        return Stop("No service was restored.", "Production runs the release.")
    judged = []
    failed = False
    for service, commit in wanted.items():
        one = live_services(facts, service)
        failed |= one is not None and one.is_broken_at(commit)
        state, message = (
            gates.liveness(one, commit, since=facts.fresh_since) if one else (gates.FAIL, "is gone")
        )
        judged.append((service, state, message))
    evidence = tuple({"label": service, "said": message} for service, _, message in judged)
    late = [f"{service} {message}" for service, state, message in judged if state != gates.PASS]
    if not late:
        return Done(
            f"{and_(wanted)} serve{'s' if len(wanted) == 1 else ''} the earlier deployment.",
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


def restored_commits(job: Rollback) -> dict[str, str]:
    """Return service → commit, of those whose step was done and not skipped."""
    done = job.steps.filter(name=RollbackStepName.RESTORE, status=StepStatus.DONE).values_list(
        "service", flat=True
    )
    return {service: job.target(service)["commit"] for service in done}


def live_services(facts: Facts, service: str) -> Live | None:
    return next((one for one in facts.in_production if one.service == service), None)


def _mark(project: Project, service: str) -> None:
    """Before Railway is asked: what people do is not to be taken for a push that it missed."""
    ServiceInstance.objects.filter(
        environment__project=project,
        environment__kind=EnvironmentKind.PRODUCTION,
        service__name=service,
    ).update(rolled_back_from=Branch.heads(project).get(project.production_branch, ""))
