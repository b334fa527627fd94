"""Migrations that run on Railway: as a pre-deploy command set for one deployment, or as the one
that is always set.

A run sets the command, deploys exactly the commit, follows it to its end and puts back what was set
before. Each look begins with what is set and what the run remembers, so that a killed one is taken
up where it stood.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from environments.clients import railway_of
from environments.databases.address import NoDatabase, instance_of
from environments.findings import out_of_band
from environments.git.repository import Mirror
from environments.models import SERVING, UNDER_WAY, Database, Environment, MigrationRun, Project
from environments.railway import Deployment, LogLine, Railway, pre_deploy_patch
from environments.schema.history.graph import History
from environments.schema.run.database import invalid_indexes
from environments.schema.run.output import Output
from environments.schema.run.process import Finished, Log, Redactor
from environments.schema.run.request import Outcome
from environments.services.config_file import read_config
from portal.jobs import Requeue
from portal.outbound.http import ApiError

MOVING = UNDER_WAY | {"NEEDS_APPROVAL"}
PATIENCE_SECONDS = 300.0  # how long Railway may not answer while a deployment is followed
STOPPING_SECONDS = 60.0
TICK_SECONDS = 0.5
RECENT = 10


@dataclass(frozen=True)
class Place:
    """A service in an environment, by Railway's ids, and its name for people."""

    project: str
    environment: str
    service: str
    name: str


def place_of(environment: Environment, database: Database) -> Place:
    """Where a database's migrations run in an environment: the service that uses it.

    Raises `NoDatabase`.
    """
    instance = instance_of(environment, database)
    name = f"{instance.service.name} in {environment}"
    return Place(
        environment.project.railway_project_id,
        environment.railway_id,
        instance.service.railway_id,
        name,
    )


def variables(project: Project, place: Place) -> Mapping[str, str]:
    """What the service gets there, as far as Railway shows it: to be kept out of logs.

    Raises `ApiError`.
    """
    found = railway_of(project).variables(
        place.project, place.environment, place.service, unrendered=False
    )
    return {name: value.reveal() for name, value in found.items() if value is not None}


def elsewhere(job: MigrationRun, place: Place) -> Callable[[Log, Callable[[], str]], Finished]:
    """The part of a run that Railway does, for `environments.schema.run.runner`."""

    def act(log: Log, stop: Callable[[], str]) -> Finished:
        railway = railway_of(job.environment.project)
        try:
            _set(job, place, railway, log)
            deployment = _deployed(job, place, railway, log)
        except ApiError as error:
            return _broken(job, place, railway, error)
        return _followed(job, place, railway, deployment, log, stop)

    return act


def refuse_command_in_repository(job: MigrationRun, mirror: Mirror) -> None:
    """Raise `NoDatabase` where the commit sets the pre-deploy command itself: then Railway never
    runs the portal's.
    """
    row = instance_of(job.environment, job.database)
    config = read_config(mirror, job.commit, row.config_file, job.environment.name)
    if config is not None and (config.problem or config.pre_deploy_command):
        why = (
            config.problem
            or f"{config.path} sets preDeployCommand, which overrides the portal's command."
        )
        raise NoDatabase(
            f"{why} Take it out of the file, or let another runner migrate this database."
        )


def _broken(job: MigrationRun, place: Place, railway: Railway, error: ApiError) -> Finished:
    """Before anything was deployed: failed; when that is not known, unknown."""
    try:
        unknown = (
            bool(job.railway)
            and error.kind == "unknown_outcome"
            and bool(_new(job, place, railway))
        )
    except ApiError:
        unknown = True
    return Finished(
        1, "unknown" if unknown else "", [{"error": {"message": error.sentence, "statement": ""}}]
    )


def _set(job: MigrationRun, place: Place, railway: Railway, log: Log) -> None:
    """Has the command set, and what was there remembered first."""
    command = [job.database.migration_command]
    now = list(railway.pre_deploy(place.environment, place.service))
    if not job.railway:
        known = [
            deployment.id
            for deployment in railway.deployments(
                place.project, place.environment, place.service, RECENT
            )
        ]
        _remember(job, service=place.service, was=now, command=command, known=known, deployment="")
    if now != command:
        log.say(f"Setting the pre-deploy command of {place.name}: {command[0]}")
        _write(place, railway, command, f"Migration to {job.commit[:7]}")


def _write(place: Place, railway: Railway, command: list[str], why: str) -> None:
    """Sets the command in this one environment, and deploys nothing.

    Others' staged changes are not carried along.
    """
    staged = railway.staged(place.environment)
    if staged and staged != pre_deploy_patch(place.service, command):
        message = (
            f"There are staged changes in the environment of {place.name} on Railway. Deploy or "
            "discard them first."
        )
        raise ApiError("Railway", "refused", message)
    if not staged:
        railway.stage_pre_deploy(place.environment, place.service, command)
    railway.commit_staged(place.environment, why)
    if list(railway.pre_deploy(place.environment, place.service)) != command:
        raise ApiError(
            "Railway", "refused", f"Railway rejected the pre-deploy command of {place.name}."
        )


def _remember(job: MigrationRun, **values: object) -> None:
    job.railway = job.railway | values
    MigrationRun.objects.filter(pk=job.pk).update(railway=job.railway)


def _deployed(job: MigrationRun, place: Place, railway: Railway, log: Log) -> str:
    """The deployment of exactly the commit: the one begun before, or a new one."""
    if not job.railway["deployment"]:
        begun = _new(job, place, railway)
        if not begun:
            log.say(f"Deploying {job.commit[:7]} on {place.name}")
            ask = out_of_band.ask(
                instance_of(job.environment, job.database), job.commit, now=timezone.now()
            )
            try:
                begun = railway.deploy_commit(place.environment, place.service, job.commit)
            except ApiError as error:
                if error.kind != "unknown_outcome" or not (begun := _new(job, place, railway)):
                    raise
            out_of_band.asked(ask, begun)
        _remember(job, deployment=begun)
    log.say(f"Deployment {job.railway['deployment']} of {place.name}")
    return str(job.railway["deployment"])


def _new(job: MigrationRun, place: Place, railway: Railway) -> str:
    """The newest deployment of the commit that was not there when the run began; "" without one."""
    found = railway.deployments(place.project, place.environment, place.service, RECENT)
    known = job.railway.get("known", [])
    return next((one.id for one in found if one.commit == job.commit and one.id not in known), "")


def _followed(
    job: MigrationRun, place: Place, railway: Railway, id: str, log: Log, stop: Callable[[], str]
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
        reason = _pause(
            min(10.0, max(1.0, (time.monotonic() - began) / 10)),
            stop if not ended.stopped else None,
        )
        if reason:
            ended.stopped, began = reason, time.monotonic()
            log.say(f"Stopping the deployment: {reason}")


def _stop(railway: Railway, id: str) -> None:
    try:
        railway.cancel(id)
    except ApiError as error:  # it may have ended just now: the next look tells
        if error.kind not in (
            "refused",
            "not_found",
            "forbidden",
            "unknown_outcome",
            "unavailable",
        ):
            raise


def _pause(seconds: float, stop: Callable[[], str] | None) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if stop and (reason := stop()):
            return reason
        time.sleep(min(TICK_SECONDS, max(0.0, until - time.monotonic())))
    return ""


def _over(deployment: Deployment, place: Place, ended: Finished) -> Finished:
    if deployment.status not in SERVING and not ended.stopped:
        ended.returncode = 1
        ended.events.append(
            {"ended": f"the deployment of {place.name} ended as {deployment.status}"}
        )
    return ended


class Shown:
    """The part of a deployment's log that was handed on already: Railway gives the last lines
    each time.
    """

    def __init__(self) -> None:
        self.seen: set[tuple[datetime | None, str, int]] = set()

    def more(self, lines: tuple[LogLine, ...], log: Log) -> None:
        """Hands on what is new. Equal lines of one moment are told apart by their number."""
        counts: dict[tuple[datetime | None, str], int] = {}
        for line in lines:
            key = (line.at, line.message)
            counts[key] = counts.get(key, 0) + 1
            if (*key, counts[key]) not in self.seen:
                self.seen.add((*key, counts[key]))
                log.feed(line.message.encode() + b"\n")


def put_back(job: MigrationRun) -> str:
    """Sets again what was set before the run, unless somebody has changed it since.

    A sentence when it cannot be yet.

    To be called when a run has ended, however it did, until it returns "".
    """
    state = job.railway
    if not state.get("command") or state.get("put_back"):
        return ""
    environment = job.environment
    name = f"{job.database.service} in {environment}"
    place = Place(
        environment.project.railway_project_id, environment.railway_id, state["service"], name
    )
    railway = railway_of(job.environment.project)
    try:
        now = list(railway.pre_deploy(place.environment, place.service))
        if now == state["command"] and now != state["was"]:
            _write(place, railway, state["was"], "The migration is over")
    except ApiError as error:
        return (
            f"The pre-deploy command of {name} is still the run's and will be put back:"
            f" {error.sentence}"
        )
    _remember(job, put_back=True)
    return ""


def verify(
    job: MigrationRun,
    history: History,
    current: Collection[str],
    url: str,
    *,
    secrets: tuple[str, ...],
    now: datetime,
) -> Requeue | Outcome:
    """One look at a database that Railway migrates while it deploys: there, on its way, or not to
    come.

    Raises `ApiError`, `NoDatabase`.
    """
    before, after = tuple(job.before or ()), tuple(current)
    at = f"the database is at {', '.join(after) or 'no revision'}"
    if history.ancestors(after) == history.ancestors(history.effective_heads):
        applied = tuple((one["id"], None) for one in job.planned)
        message = f"Railway migrated while it deployed: {at}."
        return Outcome(
            "succeeded", message, before, after, applied, invalid_indexes=invalid_indexes(url)
        )
    place = place_of(job.environment, job.database)
    railway = railway_of(job.environment.project)
    found = railway.deployments(place.project, place.environment, place.service, RECENT)
    deployment = next((one for one in found if one.commit == job.commit), None)
    late = (now - job.created_at).total_seconds() > job.environment.project.deploy_minutes * 60
    if deployment is None:
        if not late:
            return Requeue(
                5, f"Waiting until Railway deploys {job.commit[:7]} on {place.name}; {at}."
            )
        message = (
            f"Railway has not deployed {job.commit[:7]} on {place.name}; {at}. Deploy that commit,"
            " then retry."
        )
        return Outcome("failed", message, before, after)
    output = _told(job, railway.deployment_log(deployment.id, 5000), secrets)
    if deployment.status in MOVING and not late:
        return Requeue(3, f"Railway is deploying {job.commit[:7]} on {place.name}; {at}.")
    how = (
        f"{output.error.rstrip('.')}; " if output.error and deployment.status not in SERVING else ""
    )
    message = (
        f"The deployment of {place.name} is {deployment.status}: {how}{at} and not at"
        f" {', '.join(history.heads)}."
    )
    if deployment.status in SERVING:
        message += " Does its pre-deploy or start command run Alembic?"
    failed = output.revision if output.revision in history.revisions else ""
    return Outcome(
        "failed", message, before, after, (), failed, output.statement, invalid_indexes(url)
    )


def _told(job: MigrationRun, lines: tuple[LogLine, ...], secrets: tuple[str, ...]) -> Output:
    """Keeps the deployment's log on the run, without secrets, and reads it."""
    kept: list[str] = []
    output, log = Output(), Log(kept.extend, Redactor(secrets))
    Shown().more(lines, log)
    log.finish()
    output.read(kept)
    text = "".join(f"{line}\n" for line in kept)
    MigrationRun.objects.filter(pk=job.pk, fence=job.fence).update(log=text, log_bytes=len(text))
    return output


def put_back_all(environments: list[Environment]) -> None:
    """Puts back what runs have left that ended without coming to it."""
    left = MigrationRun.objects.filter(
        environment__in=environments, finished_at__isnull=False, railway__has_key="command"
    ).exclude(railway__has_key="put_back")
    for job in left.select_related("environment__project", "database").defer("log"):
        put_back(job)
