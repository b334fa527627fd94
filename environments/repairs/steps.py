"""The steps of repairs: each looks at the world first, writes at most once, and reads again what
came of it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.utils import timezone

from environments.branches import applying, fast_forward, protection
from environments.clients import github_of, railway_of
from environments.drift import detect
from environments.findings import out_of_band
from environments.git.calls import GitError
from environments.github.reverting import branch_of
from environments.mirror import sync as mirror_sync
from environments.models import (
    ENDED_BADLY,
    BranchProtection,
    EnvironmentKind,
    RailwaySync,
    Repair,
    RepairKind,
    ServiceInstance,
)
from environments.quota import sharing
from environments.railway import ProjectTree, Trigger
from environments.railway import ServiceInstance as InstanceState
from portal.configuration.signing import may_sign
from portal.jobs import Finished, JobStatus, Outcome, Requeue, holds, steps

PATIENCE = timedelta(minutes=5)
# A repair was asked for by a person, who is told at once that the project only watches.
FINAL = steps.FINAL | {"watch_only"}


def step(job: Repair, *, now: datetime) -> Outcome:
    """One look at what is to be repaired, and at most one write, while there is quota for it."""
    with sharing.ahead(job.project, now) as pause:
        if pause:
            return pause
        return steps.patiently(
            partial(STEPS[RepairKind(job.kind)], job, now),
            give_up=partial(_given_up, job, now),
            late=now - job.created_at >= PATIENCE,
            final=FINAL,
        )


def _given_up(job: Repair, now: datetime, error: Exception) -> Outcome:
    if getattr(error, "kind", "") in FINAL:
        return Finished(JobStatus.FAILED, str(error))
    return _late(job, str(error), now) or Requeue(steps.PAUSE, str(error))


def _late(
    job: Repair, sentence: str, now: datetime, patience: timedelta = PATIENCE
) -> Finished | None:
    """The end of a repair that took too long: failed when nothing was written, else nobody
    knows.
    """
    if now - job.created_at < patience:
        return None
    if job.wrote_at is None:
        return Finished(JobStatus.FAILED, f"Nothing was changed: {sentence}")
    return Finished(
        JobStatus.NEEDS_PERSON, f"The request was sent, but its result is not known: {sentence}"
    )


def _keep(job: Repair, **values: object) -> None:
    for name, value in values.items():
        setattr(job, name, value)
    Repair.objects.filter(pk=job.pk, fence=job.fence).update(**values)


def _once(
    job: Repair,
    now: datetime,
    *,
    before: str,
    write: Callable[[], object],
    told: str,
    still: str,
    seconds: float = 0,
) -> Outcome:
    """Writes, the first time, what was `before` being kept, and has it read again after `seconds`;
    from then on says what `still` is so, until that is late.
    """
    if job.wrote_at is not None:
        return _late(job, still, now) or Requeue(2, still)
    if not holds(job):
        return Requeue(0)
    _keep(job, wrote_at=now, before=before)
    write()
    return Requeue(seconds, told)


def _sync_staging(job: Repair, now: datetime) -> Outcome:
    seen = fast_forward.level(job.project)
    if seen.state in (fast_forward.MOVED, fast_forward.UNSURE):
        _keep(job, wrote_at=job.wrote_at or now)
        return _late(job, seen.sentence, now) or Requeue(
            0 if seen.state == fast_forward.MOVED else 2, seen.sentence
        )
    moved = seen.state == fast_forward.EQUAL and job.wrote_at is not None
    before, wanted = seen.same_files or ("", "")
    _keep(
        job,
        result=fast_forward.MOVED if moved else seen.state,
        evidence=list(seen.lacking),
        before=before,
        wanted=wanted,
    )
    return Finished(
        JobStatus.SUCCEEDED if seen.state == fast_forward.EQUAL else JobStatus.FAILED, seen.sentence
    )


def _reset(job: Repair, now: datetime) -> Outcome:
    """Resets staging to main for two people: from exactly `before` to exactly `wanted`, by one
    push with a lease.
    """
    try:
        seen = fast_forward.look_at_reset(job.project, job.before, job.wanted)
        if seen is not None and seen.done:
            _keep(job, result=fast_forward.MOVED)
            return Finished(JobStatus.SUCCEEDED, seen.sentence)
        if job.wrote_at is not None:
            message = f"GitHub does not show the move of {job.project.staging_branch} yet."
            return _late(job, seen.sentence if seen else message, now) or Requeue(2, message)
        if seen is not None:
            return Finished(JobStatus.FAILED, seen.sentence)
        if not may_sign(job.requested_by, "environments.sign_reset"):
            message = (
                f"{job.requested_by} signed this reset but may no longer sign one. Nothing was "
                "reset."
            )
            return Finished(JobStatus.FAILED, message)
        if not holds(job):
            return Requeue(0)
        _keep(job, wrote_at=now)
        _expect_deployments(job, now)
        fast_forward.reset(job.project, job.before, job.wanted)
    except GitError as error:
        if error.kind in ("lease", "protected", "token", "key", "host_key", "reference"):
            return Finished(JobStatus.FAILED, str(error))
        return _late(job, str(error), now) or Requeue(5, str(error))
    return Requeue(0, f"{job.project.staging_branch} was reset; reading it again.")


def _expect_deployments(job: Repair, now: datetime) -> None:
    """Railway deploys what staging is set to: that is expected, and nobody is to be accused of
    it.
    """
    instances = ServiceInstance.objects.filter(
        environment__project=job.project, environment__kind=EnvironmentKind.STAGING
    )
    for instance in instances.filter(branch=job.project.staging_branch):
        out_of_band.ask(instance, job.wanted, now=now)


def _back_merge(job: Repair, now: datetime) -> Outcome:
    project, github = job.project, github_of(job.project)
    main, target = project.production_branch, project.staging_branch
    pull = fast_forward.find_back_merge(project, github)
    if pull is None:
        if not github.compare(target, main).ahead_by:
            return Finished(
                JobStatus.SUCCEEDED, f"{target} contains every commit of {main}: nothing to merge."
            )
        _keep(job, wrote_at=now)
        pull = fast_forward.open_back_merge(project, github)
    _keep(
        job, evidence=[{"label": f"#{pull.number}", "said": f"{main} → {target}", "link": pull.url}]
    )
    return Finished(
        JobStatus.SUCCEEDED, f"Pull request #{pull.number} merges {main} back into {target}."
    )


def _revert(job: Repair, now: datetime) -> Outcome:
    """Finds the pull request that reverts #`wanted`, or has GitHub open it."""
    project, github, number = job.project, github_of(job.project), int(job.wanted)
    main, begins = project.production_branch, branch_of(int(job.wanted))
    pull = next((one for one in github.pulls_into(main) if one.head_ref.startswith(begins)), None)
    if pull is None:
        _keep(job, wrote_at=now)
        why = f"Takes back what #{number} brought to {main}; production was rolled back before."
        pull = github.revert_pull(number, body=why)
    said = f"{pull.head_ref} → {main}"
    _keep(job, evidence=[{"label": f"#{pull.number}", "said": said, "link": pull.url}])
    return Finished(
        JobStatus.SUCCEEDED, f"Pull request #{pull.number} reverts #{number} on {main}."
    )


def _branch(job: Repair, now: datetime) -> Outcome:
    railway = railway_of(job.project)
    tree = railway.project(job.project.railway_project_id)
    mirror_sync.apply(job.project, tree, now=timezone.now())
    trigger = _trigger(job, tree)
    if trigger is None:
        message = (
            f"Railway has no deployment trigger for {job.subject}: connect it to {job.wanted} in"
            " Railway first."
        )
        return (
            _late(job, message, now) or Requeue(2, message)
            if not tree.complete
            else Finished(JobStatus.FAILED, message)
        )
    if trigger.branch == job.wanted:
        return Finished(JobStatus.SUCCEEDED, f"{job.subject} follows {job.wanted}.")
    return _once(
        job,
        now,
        before=trigger.branch,
        write=lambda: railway.set_trigger_branch(trigger.id, job.wanted),
        told=f"{job.subject} now follows {job.wanted}. Reading it again…",
        still=f"{job.subject} still follows {trigger.branch}.",
    )


def _push(job: Repair, now: datetime) -> Outcome:
    if job.instance is None:
        return Finished(JobStatus.FAILED, f"{job.subject} is no longer on Railway.")
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
        return Finished(JobStatus.SUCCEEDED, f"{job.subject} is deployed on push.")
    if not seen.can_enable:
        why = seen.reason.rstrip(".") or "Railway gives no reason"
        return Finished(JobStatus.FAILED, f"{job.subject} cannot be deployed on push: {why}.")
    return _once(
        job,
        now,
        before="off",
        write=lambda: railway.set_autodeploy(*place, enabled=True),
        told=f"{job.subject} now deploys on push. Reading it again…",
        still=f"{job.subject} is still not deployed on push.",
    )


def _trigger(job: Repair, tree: ProjectTree) -> Trigger | None:
    if job.instance is None:
        return None
    place, service = job.instance.environment.railway_id, job.instance.service.railway_id
    triggers = (
        trigger
        for environment in tree.environments
        if environment.id == place
        for trigger in environment.triggers
    )
    return next((trigger for trigger in triggers if trigger.service_id == service), None)


def _deploy(job: Repair, now: datetime) -> Outcome:
    railway = railway_of(job.project)
    tree = railway.project(job.project.railway_project_id)
    mirror_sync.apply(job.project, tree, now=timezone.now())
    state = _instance(job, tree)
    if state is None or job.instance is None:
        return Finished(JobStatus.FAILED, f"{job.subject} is no longer on Railway.")
    latest = state.latest_deployment if state.readable else None
    ours = (
        latest is not None
        and latest.commit == job.wanted
        and (job.wrote_at is None or latest.id != job.before)
    )
    if ours and latest is not None and latest.serves:
        return Finished(JobStatus.SUCCEEDED, f"{job.subject} serves {job.wanted[:7]}.")
    begun = ours and latest is not None and latest.status not in ENDED_BADLY
    if begun and latest is not None and (job.wrote_at is not None or latest.status != "SUCCESS"):
        return _deploying(job, latest.status, now)
    if job.wrote_at is not None:
        if ours and latest is not None:
            message = (
                f"The deployment of {job.wanted[:7]} on {job.subject} ended as"
                f" {latest.status.lower()}."
            )
            return Finished(JobStatus.FAILED, message)
        message = f"Railway does not show the deployment of {job.wanted[:7]} on {job.subject} yet."
        return _late(job, message, now) or Requeue(2, message)
    if not state.readable:
        return _late(job, f"The deployments of {job.subject} cannot be read.", now) or Requeue(2)
    head = github_of(job.project).branch_head(job.instance.branch)
    if head != job.wanted:
        message = (
            f"{job.instance.branch} is not at {job.wanted[:7]} anymore, so nothing was deployed. "
            "Reload the page."
        )
        return Finished(JobStatus.FAILED, message)
    if not holds(job):
        return Requeue(0)
    # Written down before the call: a repeated look finds the deployment, not the wish.
    _keep(job, wrote_at=now, before=latest.id if latest else "")
    asked = out_of_band.ask(job.instance, job.wanted, now=now)
    place, service = job.instance.environment.railway_id, job.instance.service.railway_id
    out_of_band.asked(asked, railway.deploy_commit(place, service, job.wanted))
    return Requeue(1, f"Deploying {job.wanted[:7]} on {job.subject}.")


def _protect(job: Repair, now: datetime) -> Outcome:
    """Sends exactly what is to protect a branch, once, and reads what binds it then; rulesets
    stay as they are.
    """
    project, branch = job.project, job.subject
    protection.read(project, now=now)
    row = BranchProtection.objects.get(project=project, branch=branch)
    wrong = [line for line in row.lines if line["state"] != protection.PASS]
    if not wrong:
        return Finished(JobStatus.SUCCEEDED, f"{branch} matches its protection policy.")
    if job.wrote_at is not None:
        message = "; ".join(f"{line['rule']}: {line['actual']}" for line in wrong)
        return Finished(
            JobStatus.FAILED,
            f"The protection was applied but still differs ({message}). Check the rulesets.",
        )
    if locked_out := applying.lockout(project, branch, row):
        return Finished(JobStatus.FAILED, locked_out)
    members = github_of(project).seen_members(project.protected_approvals + 1)
    if locked_out := applying.too_few(project, branch, members):
        return Finished(JobStatus.FAILED, locked_out)
    if job.wanted and job.wanted != applying.digest(project, branch, row):
        message = (
            "Nothing was changed: other changes would be made now than were shown; look again."
        )
        return Finished(JobStatus.FAILED, message)
    if not holds(job):
        return Requeue(0)
    _keep(
        job,
        wrote_at=now,
        before="; ".join(f"{one['rule']}: {one['actual']}" for one in wrong)[:200],
    )
    github_of(project).protect(branch, protection.body_for(project, branch))
    return Requeue(0, f"{branch} was protected; reading it again.")


def _keep_heads(job: Repair, now: datetime) -> Outcome:
    """Switches *Automatically delete head branches* off, once, and reads the setting again."""
    github = github_of(job.project)
    if not github.deletes_heads():
        return Finished(JobStatus.SUCCEEDED, "GitHub leaves merged branches where they are.")
    return _once(
        job,
        now,
        before="on",
        write=github.keep_heads,
        told="GitHub now keeps merged branches. Reading the setting again…",
        still="GitHub still deletes merged branches.",
    )


def _delete(job: Repair, now: datetime) -> Outcome:
    """Deletes an environment that looks like a preview; `wanted` is its id, which a person
    confirmed by its name.
    """
    railway = railway_of(job.project)
    tree = railway.project(job.project.railway_project_id)
    mirror_sync.apply(job.project, tree, now=timezone.now())
    place = next(
        (environment for environment in tree.environments if environment.id == job.wanted), None
    )
    if place is None:
        message = (
            f"Railway does not show every environment, so it is not known whether {job.subject} is"
            " gone."
        )
        late = _late(job, message, now) or Requeue(2, message)
        return (
            Finished(JobStatus.SUCCEEDED, f"{job.subject} is gone from Railway.")
            if tree.complete
            else late
        )
    if place.name != job.subject or not (place.is_ephemeral or place.name.startswith("pr-")):
        return Finished(
            JobStatus.FAILED, f"{job.subject} has changed since you confirmed. Nothing was deleted."
        )
    return _once(
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
    return _late(job, message, now, timedelta(minutes=job.project.deploy_minutes)) or Requeue(
        2, message
    )


def _instance(job: Repair, tree: ProjectTree) -> InstanceState | None:
    if job.instance is None:
        return None
    place, service = job.instance.environment.railway_id, job.instance.service.railway_id
    found = (
        instance
        for environment in tree.environments
        if environment.id == place
        for instance in environment.instances
    )
    return next((one for one in found if one.service_id == service), None)


STEPS: dict[RepairKind, Callable[[Repair, datetime], Outcome]] = {
    RepairKind.SYNC_STAGING: _sync_staging,
    RepairKind.BACK_MERGE: _back_merge,
    RepairKind.REVERT: _revert,
    RepairKind.BRANCH: _branch,
    RepairKind.PUSH: _push,
    RepairKind.DEPLOY: _deploy,
    RepairKind.DELETE: _delete,
    RepairKind.PROTECT: _protect,
    RepairKind.RESET: _reset,
    RepairKind.KEEP_HEADS: _keep_heads,
}
