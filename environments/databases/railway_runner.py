"""Migrations that run on Railway: as a pre-deploy command set for one deployment, or as the one
that is always set.

A run sets the command, deploys exactly the commit, follows it to its end and puts back what was set
before. Each look begins with what is set and what the run remembers, so that a killed one is taken
up where it stood.
"""

import time
from collections.abc import Callable

from django.utils import timezone

from environments.clients import railway_of
from environments.databases.address import NoDatabase
from environments.databases.pre_deploy_command import remember, write_command
from environments.databases.railway_verify import MOVING, RECENT, Shown
from environments.findings import out_of_band
from environments.git.repository import Mirror
from environments.models import SERVING, MigrationRun, ServiceInstance
from environments.railway import Deployment, Railway
from environments.schema.run.process import Finished, Log
from environments.services.config_file import read_config
from portal.outbound.http import ApiError

PATIENCE_SECONDS = 300.0  # how long Railway may not answer while a deployment is followed
STOPPING_SECONDS = 60.0
TICK_SECONDS = 0.5
# What Railway may answer when it is asked to stop a deployment that has ended.
ENDED_KINDS = ("refused", "not_found", "forbidden", "unknown_outcome", "unavailable")


def elsewhere(
    job: MigrationRun, place: ServiceInstance
) -> Callable[[Log, Callable[[], str]], Finished]:
    """Do the part of a run that Railway does, for `environments.schema.run.runner`."""

    def act(log: Log, stop: Callable[[], str]) -> Finished:
        railway = railway_of(job.environment.project)
        try:
            _set(job, place, railway, log)
            deployment = _deployed(job, place, railway, log)
        except ApiError as error:
            return _broken(job, place, railway, error)
        return _followed(job, place, railway, deployment, log, stop)

    return act


def refuse_command_in_repository(job: MigrationRun, place: ServiceInstance, mirror: Mirror) -> None:
    """Raise `NoDatabase` where the commit sets the pre-deploy command itself: then Railway never
    runs the portal's.
    """
    config = read_config(mirror, job.commit, place.config_file, job.environment.name)
    if config is not None and (config.problem or config.pre_deploy_command):
        why = (
            config.problem
            or f"{config.path} sets preDeployCommand, which overrides the portal's command."
        )
        raise NoDatabase(
            f"{why} Take it out of the file, or let another runner migrate this database."
        )


def _broken(
    job: MigrationRun, place: ServiceInstance, railway: Railway, error: ApiError
) -> Finished:
    """Before anything was deployed: failed; when that is not known, unknown."""
    try:
        lost = bool(job.railway) and error.kind == "unknown_outcome"
        unknown = lost and bool(_new(job, place, railway))
    except ApiError:
        unknown = True
    return Finished(
        1, "unknown" if unknown else "", [{"error": {"message": error.sentence, "statement": ""}}]
    )


def _set(job: MigrationRun, place: ServiceInstance, railway: Railway, log: Log) -> None:
    """Have the command set, and what was there remembered first."""
    command = [job.database.migration_command]
    _, environment, service = place.at_railway
    now = list(railway.pre_deploy(environment, service))
    if not job.railway:
        known = [deployment.id for deployment in railway.deployments(*place.at_railway, RECENT)]
        remember(job, service=service, was=now, command=command, known=known, deployment="")
    if now != command:
        log.say(f"Setting the pre-deploy command of {place}: {command[0]}")
        why = f"Migration to {job.commit[:7]}"
        write_command(railway, (environment, service), str(place), command, why)


def _deployed(job: MigrationRun, place: ServiceInstance, railway: Railway, log: Log) -> str:
    """Return the deployment of exactly the commit: the one begun before, or a new one."""
    if not job.railway["deployment"]:
        begun = _new(job, place, railway)
        if not begun:
            log.say(f"Deploying {job.commit[:7]} on {place}")
            ask = out_of_band.ask(place, job.commit, now=timezone.now())
            try:
                begun = railway.deploy_commit(*place.at_railway[1:], job.commit)
            except ApiError as error:
                if error.kind != "unknown_outcome" or not (begun := _new(job, place, railway)):
                    raise
            out_of_band.asked(ask, begun)
        remember(job, deployment=begun)
    log.say(f"Deployment {job.railway['deployment']} of {place}")
    return str(job.railway["deployment"])


def _new(job: MigrationRun, place: ServiceInstance, railway: Railway) -> str:
    """Return the commit's newest deployment that was not there when the run began; "" for none."""
    deployments = railway.deployments(*place.at_railway, RECENT)
    known = job.railway.get("known", [])
    return next(
        (
            deployment.id
            for deployment in deployments
            if deployment.commit == job.commit and deployment.id not in known
        ),
        "",
    )


def _followed(
    job: MigrationRun,
    place: ServiceInstance,
    railway: Railway,
    id: str,
    log: Log,
    stop: Callable[[], str],
) -> Finished:
    """Follows a deployment to its end, or stops it and waits until it is over."""
    ended, began, answered, shown = Finished(0), time.monotonic(), time.monotonic(), Shown()
    while True:
        try:
            deployment = railway.deployment(id)
            shown.more(railway.deployment_log(id, 5000), log)
            answered = time.monotonic()
            if deployment.status not in MOVING:
                return _over(deployment, place, ended)
            if ended.stopped:
                _stop(railway, id)
        except ApiError as error:
            if time.monotonic() - answered > PATIENCE_SECONDS:
                log.say(error.sentence)
                return Finished(1, "unknown", [])
        log.flush()
        if ended.stopped and time.monotonic() - began > STOPPING_SECONDS:
            return Finished(1, "unknown", [])
        # Railway counts requests by the hour: look often at first, then less.
        pause = min(10.0, max(1.0, (time.monotonic() - began) / 10))
        if reason := _pause(pause, None if ended.stopped else stop):
            ended.stopped, began = reason, time.monotonic()
            log.say(f"Stopping the deployment: {reason}")


def _stop(railway: Railway, id: str) -> None:
    try:
        railway.cancel(id)
    except ApiError as error:  # it may have ended just now: the next look tells
        if error.kind not in ENDED_KINDS:
            raise


def _pause(seconds: float, stop: Callable[[], str] | None) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if stop and (reason := stop()):
            return reason
        time.sleep(min(TICK_SECONDS, max(0.0, until - time.monotonic())))
    return ""


def _over(deployment: Deployment, place: ServiceInstance, ended: Finished) -> Finished:
    if deployment.status not in SERVING and not ended.stopped:
        ended.returncode = 1
        ended.events.append({"ended": f"the deployment of {place} ended as {deployment.status}"})
    return ended
