"""The steps of a preview: each reads Railway, does one thing, and records it.

`wanted` decides which pull requests get one; `step` makes Railway match. An environment that the
portal did not make is never written to: ours is the one whose id we were given, or the one that
appeared under our name after we asked for it and saw that there was none.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import cast

from django.db import transaction
from django.utils.dateparse import parse_datetime

from environments.models import (
    ENDED_BADLY,
    SERVING,
    UNDER_WAY,
    Preview,
    PreviewState,
    PreviewVariable,
    Project,
    databases_of,
)
from environments.previews import comment as previews_comment
from environments.previews import variables as previews_variables
from environments.previews.check_interval import note_movement, patient
from environments.previews.creating import make, silence, wait_for_services
from environments.previews.databases import migrate
from environments.previews.failing import fail, patience
from environments.previews.on_railway import (
    Seen,
    copied_services,
    in_words,
    is_at_head,
    is_from,
    is_of_repository,
    look_at,
)
from environments.quota import allowance, sharing
from environments.railway import Deployment, Railway, ServiceInstance
from environments.railway import Environment as Place
from environments.railway.deployment_states import FAIL, PASS, PENDING, running
from portal import audit
from portal.jobs import Finished, JobStatus, Outcome, Requeue, holds
from portal.jobs.steps import patiently
from portal.outbound.http import ApiError
from portal.redaction import redact, unmistakable
from portal.secrets import HiddenText

ASK_AGAIN = timedelta(minutes=1)
MOST_ASKED = 3
LOG_CHARS = 20_000


def step(job: Preview, *, now: datetime) -> Outcome:
    """Look once, and do at most one thing: tell GitHub what is due, else change Railway."""
    if (outcome := previews_comment.tell(job, now=now)) is not None:
        return outcome
    if job.state == PreviewState.GONE:
        return Finished(JobStatus.SUCCEEDED, f"{job} is gone: {job.why_not or 'it was removed'}.")
    with allowance.counted(job.project, now, kept=sharing.kept(now)) as wait:
        return Requeue(wait, allowance.sentence(wait)) if wait else _step(job, now)


def _step(job: Preview, now: datetime) -> Outcome:
    looked = patiently(partial(_looked, job, now), pause=5)
    outcome = previews_comment.tried_again(job, patient(job, looked, now))
    if previews_comment.is_due(job, now=now):
        return Requeue(0, outcome.sentence)
    return outcome


def _looked(job: Preview, now: datetime) -> Outcome:
    seen = look_at(job)
    if seen.place is not None and job.environment_id != seen.place.id:
        job.keep(environment_id=seen.place.id, made_at=job.made_at or now)
    note_movement(job, seen.tree, now)
    return _be_there(job, seen, now) if job.wanted else _be_gone(job, seen, now)


# What is wanted


def _be_there(job: Preview, seen: Seen, now: datetime) -> Outcome:
    if seen.place is None:
        return make(job, seen, now)
    for need in (wait_for_services, silence, previews_variables.settle, _deploy, _watch, migrate):
        if (outcome := need(job, seen, seen.place, now)) is not None:
            return outcome
    if job.state != PreviewState.LIVE:
        with transaction.atomic():
            own_row = Preview.objects.filter(pk=job.pk, fence=job.fence, head=job.head, wanted=True)
            if not own_row.update(state=PreviewState.LIVE, live_at=now, log=""):
                return Requeue(0)  # another commit was pushed while we looked
            message, data = f"{job} is live at {job.head[:7]}.", {"sha": job.head}
            audit.record_by_portal("preview.live", job, message, data=data, now=now)
        job.state, job.live_at = PreviewState.LIVE, now
    return Requeue(60, f"Live at {job.head[:7]}.")


def _deploy(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Have each service deployed at the pull request's head, one call per step."""
    for service in copied_services(place):
        latest, request = service.latest_deployment, job.deployed.get(service.service_id, {})
        if is_at_head(job, service, latest):
            continue
        again = request.get("head") == job.head
        newer = again and latest is not None and latest.id not in request.get("before", [])
        if newer and is_from(job, service, latest):
            continue  # it ended badly, which `_watch` says
        at = parse_datetime(request["at"]) if again else None
        if at is not None and now - at < ASK_AGAIN:
            return Requeue(
                2, f"Railway does not show the deployment of {service.service_name} yet."
            )
        if again and request["times"] >= MOST_ASKED:
            message = f"Railway did not deploy {service.service_name} after {MOST_ASKED} requests."
            return fail(job, message, now)
        if not holds(job):
            return Requeue(0)
        times = request["times"] + 1 if again else 1
        before = [latest.id] if latest else []
        note = {"head": job.head, "at": now.isoformat(), "times": times, "before": before}
        job.keep(deployed={**job.deployed, service.service_id: note}, state=PreviewState.DEPLOYING)
        if is_of_repository(job, service):
            seen.railway.deploy_commit(place.id, service.service_id, job.head)
        else:
            seen.railway.deploy_as_is(place.id, service.service_id)
        return Requeue(0, f"Deploying {service.service_name}.")
    return None


def _watch(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Wait until every service serves; say which does not."""
    rows = [in_words(instance) for instance in place.instances]
    behind = {database.service for database in databases_of(job.project)} or {"backend"}
    open_to_all = [row for row in rows if row["address"]]
    front = [row for row in open_to_all if row["name"] not in behind] or open_to_all
    job.keep(services=rows, address=front[0]["address"] if front else "")
    states = {service.service_id: _state(service) for service in copied_services(place)}
    for instance in place.instances:
        latest = instance.latest_deployment
        if latest is not None and states[instance.service_id] == FAIL:
            if not job.log:
                log = _log(seen.railway, job.project, latest)
                job.keep(log=log or "Railway keeps no log of it.")
            how = f"{_words(instance)} at {job.head[:7]}"
            return fail(job, f"{instance.service_name} did not come up: {how}.", now)
    waiting = [
        instance.service_name
        for instance in place.instances
        if states.get(instance.service_id, PASS) != PASS
    ]
    if waiting:
        job.keep(state=PreviewState.DEPLOYING)
        return Requeue(3, f"{', '.join(waiting)}: deploying {job.head[:7]}.")
    return None


def _state(instance: ServiceInstance) -> str:
    """Return pass, pending or fail; a new word of Railway's may still turn into a known one."""
    latest = instance.latest_deployment
    if latest is None or latest.status not in SERVING | UNDER_WAY | ENDED_BADLY:
        return PENDING
    state, _ = running(
        latest.status,
        stopped=latest.stopped,
        containers=latest.instances,
        scheduled=bool(instance.cron),
    )
    # It is stopped while it starts, too.
    return PENDING if state == FAIL and latest.status == "SUCCESS" and latest.stopped else state


def _words(instance: ServiceInstance) -> str:
    latest = instance.latest_deployment
    containers = set(latest.instances) if latest and latest.status in SERVING else set()
    return ", ".join(sorted(containers)).lower() or (latest.status.lower() if latest else "")


def _log(railway: Railway, project: Project, deployment: Deployment) -> str:
    """Return the end of both logs; trouble with reading them is no trouble of the preview."""
    lines: list[str] = []
    for read in (railway.build_log, railway.deployment_log):
        try:
            lines += [line.message for line in read(deployment.id, limit=100)]
        except ApiError as error:
            lines.append(str(error))
    own = PreviewVariable.objects.filter(project=project)
    secrets = [cast(HiddenText, row.value).reveal() for row in own]
    return redact("\n".join(lines), [*secrets, *unmistakable()])[-LOG_CHARS:]


# What is not wanted


def _be_gone(job: Preview, seen: Seen, now: datetime) -> Outcome:
    if seen.place is None:
        if not seen.tree.complete:
            return Requeue(5, "Railway does not show every environment.")
        if not job.environment_id and job.asked_at is not None and now - job.asked_at < patience():
            reason = "The environment was requested from Railway"
            return Requeue(5, f"{reason}; the portal removes it if it appears.")
        with transaction.atomic():
            job.keep(state=PreviewState.GONE, services=[], address="", live_at=None)
            message = f"{job} is gone from Railway."
            audit.record_by_portal("preview.gone", job, message, now=now)
        return Requeue(0, message)
    if job.deleted_at is not None and now - job.deleted_at < ASK_AGAIN:
        return Requeue(2, "Railway is deleting the environment. Checking whether it is gone…")
    if not holds(job):
        return Requeue(0)
    job.keep(deleted_at=now, state=PreviewState.REMOVING)
    try:
        seen.railway.delete_environment(seen.place.id)
    except ApiError as error:
        if error.kind not in ("forbidden", "not_found", "unknown_outcome"):
            job.keep(deleted_at=None)
            raise
    return Requeue(1, "The environment is being deleted.")
