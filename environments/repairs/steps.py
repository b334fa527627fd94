"""The steps of repairs: each reads the current state, writes at most once, and reads the result."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from environments.clients import github_of, railway_of
from environments.drift import detect
from environments.findings import out_of_band
from environments.models import ENDED_BADLY, RailwaySync, Repair, RepairKind
from environments.quota import sharing
from environments.railway import Environment, ProjectTree, Railway, Trigger
from environments.railway import ServiceInstance as InstanceState
from environments.railway_mirror import sync as mirror_sync
from environments.repairs.branch_steps import (
    back_merge,
    keep_heads,
    protect,
    reset,
    revert,
    sync_staging,
)
from environments.repairs.step_parts import (
    FINAL,
    PATIENCE,
    failed,
    given_up,
    succeeded,
    wait,
    write_once,
)
from portal.jobs import Outcome, Requeue, holds, steps


def step(job: Repair, *, now: datetime) -> Outcome:
    """Read the state once and write at most once, while there is quota for it."""
    with sharing.ahead(job.project, now) as pause:
        if pause:
            return pause
        return steps.patiently(
            partial(STEPS[RepairKind(job.kind)], job, now),
            give_up=partial(given_up, job, now),
            late=now - job.created_at >= PATIENCE,
            final=FINAL,
        )


def _read(job: Repair) -> tuple[Railway, ProjectTree]:
    """Read the project on Railway, and bring its rows in step."""
    railway = railway_of(job.project)
    tree = railway.project(job.project.railway_project_id)
    mirror_sync.apply(job.project, tree, now=timezone.now())
    return railway, tree


def _branch(job: Repair, now: datetime) -> Outcome:
    railway, tree = _read(job)
    trigger = _trigger(job, tree)
    if trigger is None:
        message = (
            f"Railway has no deployment trigger for {job.subject}: connect it to {job.wanted} in"
            " Railway first."
        )
        return failed(message) if tree.complete else wait(job, message, now)
    if trigger.branch == job.wanted:
        return succeeded(f"{job.subject} follows {job.wanted}.")
    return write_once(
        job,
        now,
        before=trigger.branch,
        write=lambda: railway.set_trigger_branch(trigger.id, job.wanted),
        told=f"{job.subject} now follows {job.wanted}. Reading it again…",
        still=f"{job.subject} still follows {trigger.branch}.",
    )


def _push(job: Repair, now: datetime) -> Outcome:
    if job.instance is None:
        return failed(f"{job.subject} is no longer on Railway.")
    railway, instance = railway_of(job.project), job.instance
    place = (
        job.project.railway_project_id,
        instance.environment.railway_id,
        instance.service.railway_id,
    )
    seen = railway.push_deploys(*place)
    with transaction.atomic():
        RailwaySync.objects.select_for_update().get(project=job.project)
        type(instance).objects.filter(pk=instance.pk).update(autodeploy=seen.enabled)
        detect.compare(job.project, now=timezone.now())
    if seen.enabled:
        return succeeded(f"{job.subject} is deployed on push.")
    if not seen.can_enable:
        why = seen.reason.rstrip(".") or "Railway gives no reason"
        return failed(f"{job.subject} cannot be deployed on push: {why}.")
    return write_once(
        job,
        now,
        before="off",
        write=lambda: railway.set_autodeploy(*place, enabled=True),
        told=f"{job.subject} now deploys on push. Reading it again…",
        still=f"{job.subject} is still not deployed on push.",
    )


def _place(job: Repair, tree: ProjectTree) -> Environment | None:
    """Return the environment of the job's service as Railway shows it."""
    if job.instance is None:
        return None
    id = job.instance.environment.railway_id
    return next((environment for environment in tree.environments if environment.id == id), None)


def _is_of(job: Repair, service: str | None) -> bool:
    return job.instance is not None and job.instance.service.railway_id == service


def _trigger(job: Repair, tree: ProjectTree) -> Trigger | None:
    triggers = place.triggers if (place := _place(job, tree)) else ()
    return next((trigger for trigger in triggers if _is_of(job, trigger.service_id)), None)


def _instance(job: Repair, tree: ProjectTree) -> InstanceState | None:
    instances = place.instances if (place := _place(job, tree)) else ()
    return next((instance for instance in instances if _is_of(job, instance.service_id)), None)


def _deploy(job: Repair, now: datetime) -> Outcome:
    railway, tree = _read(job)
    state = _instance(job, tree)
    if state is None or job.instance is None:
        return failed(f"{job.subject} is no longer on Railway.")
    latest = state.latest_deployment if state.readable else None
    ours = latest if latest and latest.commit == job.wanted else None
    if ours and job.wrote_at is not None and ours.id == job.before:
        ours = None
    if ours and ours.serves:
        return succeeded(f"{job.subject} serves {job.wanted[:7]}.")
    begun = ours and (job.wrote_at is not None or ours.status != "SUCCESS")
    if ours and begun and ours.status not in ENDED_BADLY:
        return _deploying(job, ours.status, now)
    if job.wrote_at is not None:
        if ours:
            how = ours.status.lower()
            message = f"The deployment of {job.wanted[:7]} on {job.subject} ended as {how}."
            return failed(message)
        message = f"Railway does not show the deployment of {job.wanted[:7]} on {job.subject} yet."
        return wait(job, message, now)
    if not state.readable:
        message = f"The deployments of {job.subject} cannot be read."
        return wait(job, message, now)
    head = github_of(job.project).branch_head(job.instance.branch)
    if head != job.wanted:
        message = f"{job.instance.branch} is not at {job.wanted[:7]} anymore, so nothing was"
        return failed(f"{message} deployed. Reload the page.")
    if not holds(job):
        return Requeue(0)
    # Written down before the call: a repeated look finds the deployment, not the request.
    job.keep(wrote_at=now, before=latest.id if latest else "")
    request = out_of_band.ask(job.instance, job.wanted, now=now)
    place, service = job.instance.environment.railway_id, job.instance.service.railway_id
    out_of_band.asked(request, railway.deploy_commit(place, service, job.wanted))
    return Requeue(1, f"Deploying {job.wanted[:7]} on {job.subject}.")


def _delete(job: Repair, now: datetime) -> Outcome:
    """Delete what looks like a preview; `wanted` is its id, confirmed by its name."""
    railway, tree = _read(job)
    place = next(
        (environment for environment in tree.environments if environment.id == job.wanted), None
    )
    if place is None:
        message = (
            f"Railway does not show every environment, so it is not known whether {job.subject} is"
            " gone."
        )
        if tree.complete:
            return succeeded(f"{job.subject} is gone from Railway.")
        return wait(job, message, now)
    if place.name != job.subject or not (place.is_ephemeral or place.name.startswith("pr-")):
        return failed(f"{job.subject} has changed since you confirmed. Nothing was deleted.")
    return write_once(
        job,
        now,
        before=place.name,
        write=lambda: railway.delete_environment(place.id),
        told=f"{job.subject} is being deleted.",
        still=f"Railway still shows {job.subject}.",
        seconds=1,
    )


def _deploying(job: Repair, status: str, now: datetime) -> Outcome:
    message = f"{job.subject} is deploying {job.wanted[:7]} ({status.lower()})."
    return wait(job, message, now, patience=timedelta(minutes=job.project.deploy_minutes))


STEPS: dict[RepairKind, Callable[[Repair, datetime], Outcome]] = {
    RepairKind.SYNC_STAGING: sync_staging,
    RepairKind.BACK_MERGE: back_merge,
    RepairKind.REVERT: revert,
    RepairKind.BRANCH: _branch,
    RepairKind.PUSH: _push,
    RepairKind.DEPLOY: _deploy,
    RepairKind.DELETE: _delete,
    RepairKind.PROTECT: protect,
    RepairKind.RESET: reset,
    RepairKind.KEEP_HEADS: keep_heads,
}
