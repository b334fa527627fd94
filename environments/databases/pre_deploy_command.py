"""The pre-deploy command that a run sets on Railway, and putting back what was set before."""

from environments.clients import railway_of
from environments.models import Environment, MigrationRun
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


def put_back_all(environments: list[Environment]) -> None:
    """Put back what runs have left that ended without coming to it."""
    left = MigrationRun.objects.filter(
        environment__in=environments, finished_at__isnull=False, railway__has_key="command"
    ).exclude(railway__has_key="put_back")
    for job in left.select_related("environment__project", "database").defer("log"):
        put_back(job)
