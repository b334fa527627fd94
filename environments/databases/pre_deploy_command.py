"""The pre-deploy command that a run sets on Railway, and putting back what was set before."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from environments.clients import railway_of
from environments.models import MigrationRun, Project
from environments.railway import Railway, pre_deploy_patch
from portal.outbound.http import ApiError


def write_command(
    railway: Railway, where: tuple[str, str], name: str, command: list[str], why: str
) -> None:
    """Set the command in this one environment, and deploy nothing.

    `where`: Railway's ids of environment and service; `name`: what people call that. Others'
    staged changes are not carried along.
    """
    environment, service = where
    staged = railway.staged(environment)
    if staged and staged != pre_deploy_patch(service, command):
        message = (
            f"There are staged changes in the environment of {name} on Railway. Deploy or "
            "discard them first."
        )
        raise ApiError("Railway", "refused", message)
    if not staged:
        railway.stage_pre_deploy(environment, service, command)
    railway.commit_staged(environment, why)
    if list(railway.pre_deploy(environment, service)) != command:
        raise ApiError("Railway", "refused", f"Railway rejected the pre-deploy command of {name}.")


def remember(job: MigrationRun, **values: object) -> None:
    job.keep(railway=job.railway | values)


def put_back(job: MigrationRun) -> str:
    """Set again what was set before the run, unless somebody has changed it since.

    To be called when a run has ended, until it returns ""; a sentence when it cannot be yet.
    """
    state = job.railway
    if not state.get("command") or state.get("put_back"):
        return ""
    name = f"{job.database.service} in {job.environment}"
    where = job.environment.railway_id, state["service"]
    railway = railway_of(job.environment.project)
    try:
        now = list(railway.pre_deploy(*where))
        if now == state["command"] and now != state["was"]:
            write_command(railway, where, name, state["was"], "The migration is over")
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


@dataclass(frozen=True)
class Lent:
    """The command that a run has set on a service, and the one that was there before."""

    command: tuple[str, ...]
    was: tuple[str, ...]


def lent_commands(project: Project, *, now: datetime) -> dict[tuple[str, str], Lent]:
    """Return what runs have set, or had set until just now, by Railway's ids of environment and
    service. One query.

    A reading of Railway may be older than the moment at which a run put its command back.
    """
    lately = Q(finished_at=None) | Q(finished_at__gt=now - timedelta(minutes=10))
    runs = MigrationRun.objects.filter(
        lately | ~Q(railway__has_key="put_back"),
        environment__project=project,
        railway__has_key="command",
    )
    rows = runs.order_by("pk").values_list("environment__railway_id", "railway")
    return {
        (place, noted["service"]): Lent(tuple(noted["command"]), tuple(noted["was"]))
        for place, noted in rows
    }
