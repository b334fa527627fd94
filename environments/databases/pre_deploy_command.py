"""The pre-deploy command that a run sets on Railway, and putting back what was set before."""

from collections.abc import Mapping
from dataclasses import dataclass

from environments.clients import railway_of
from environments.databases.address import instance_of
from environments.models import Database, Environment, MigrationRun, Project
from environments.railway import Railway, pre_deploy_patch
from portal.outbound.http import ApiError


@dataclass(frozen=True)
class Place:
    """A service in an environment, by Railway's ids, and its name for people."""

    project: str
    environment: str
    service: str
    name: str


def place_of(environment: Environment, database: Database) -> Place:
    """Return where a database's migrations run in an environment: the service that uses it.

    Raise `NoDatabase`.
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
    """Return what the service gets there, as far as Railway shows it: to be kept out of logs.

    Raise `ApiError`.
    """
    found = railway_of(project).variables(
        place.project, place.environment, place.service, unrendered=False
    )
    return {name: value.reveal() for name, value in found.items() if value is not None}


def write_command(place: Place, railway: Railway, command: list[str], why: str) -> None:
    """Set the command in this one environment, and deploy nothing.

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


def remember(job: MigrationRun, **values: object) -> None:
    job.railway = job.railway | values
    MigrationRun.objects.filter(pk=job.pk).update(railway=job.railway)


def put_back(job: MigrationRun) -> str:
    """Set again what was set before the run, unless somebody has changed it since.

    To be called when a run has ended, until it returns ""; a sentence when it cannot be yet.
    """
    state = job.railway
    if not state.get("command") or state.get("put_back"):
        return ""
    environment, project = job.environment, job.environment.project
    name = f"{job.database.service} in {environment}"
    place = Place(project.railway_project_id, environment.railway_id, state["service"], name)
    railway = railway_of(project)
    try:
        now = list(railway.pre_deploy(place.environment, place.service))
        if now == state["command"] and now != state["was"]:
            write_command(place, railway, state["was"], "The migration is over")
    except ApiError as error:
        still = f"The pre-deploy command of {name} is still the run's and will be put back"
        return f"{still}: {error.sentence}"
    remember(job, put_back=True)
    return ""


def put_back_all(project: Project) -> None:
    """Put back what runs have left that ended without coming to it."""
    left = MigrationRun.objects.filter(
        environment__project=project,
        environment__gone_at=None,
        finished_at__isnull=False,
        railway__has_key="command",
    ).exclude(railway__has_key="put_back")
    for job in left.select_related("environment__project", "database").defer("log"):
        put_back(job)
