"""Where an environment's database is, and which revision it reports."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import cast

from environments.models import Environment, ServiceInstance
from environments.railway import Railway
from environments.railway.batch import Place
from environments.schema import database
from portal.http import ApiError
from portal.secrets import HiddenText


class NoDatabase(Exception):
    """The environment's database cannot be named; the message says what to configure."""


def url_of(environment: Environment, railway: Railway | None = None) -> str:
    """The database URL: the environment's own write-only one, else Railway's variable, read now and never stored.

    Raises `NoDatabase`, or `ApiError` when Railway does not answer properly.
    """
    if environment.database_url:
        return cast(HiddenText, environment.database_url).reveal()
    project = environment.project
    name, variable = project.database_service, project.database_variable
    row = instance_of(environment)
    railway = railway or Railway()
    values = railway.variables(
        project.railway_project_id, environment.railway_id, row.service.railway_id, unrendered=False
    )
    if variable not in values:
        raise NoDatabase(f"{name} in {environment} has no variable {variable}; set it, or give the address here.")
    value = values[variable]
    if value is None:
        raise NoDatabase(f"{variable} of {name} in {environment} is sealed on Railway; give the address here.")
    return value.reveal()


def remember(environments: Sequence[Environment], railway: Railway) -> None:
    """Read the variables that name these databases in one request, for `url_of` with the same `railway`.

    What cannot be read so is asked for by itself, and says then what is wrong.
    """
    asked: dict[str, list[Place]] = {}
    for environment in environments:
        with suppress(NoDatabase):
            if not environment.database_url:
                place = environment.railway_id, instance_of(environment).service.railway_id
                asked.setdefault(environment.project.railway_project_id, []).append(place)
    for project, places in asked.items():
        with suppress(ApiError):
            railway.remember(project, places)


def instance_of(environment: Environment) -> ServiceInstance:
    """The service there whose variables name the database, and which migrates. Raises `NoDatabase`."""
    name = environment.project.database_service
    found = ServiceInstance.objects.filter(environment=environment, service__name=name).select_related("service")
    row = found.first()
    if row is None:
        raise NoDatabase(f"There is no service “{name}” in {environment} whose variables could name the database.")
    return row


def read_revisions(environment: Environment, *, now: datetime, railway: Railway | None = None) -> None:
    """Asks the database which revisions it has and keeps the answer, or why there is none, on the row."""
    revisions: list[str] | None = None
    problem = ""
    try:
        url = url_of(environment, railway)
        revisions = list(database.current(url, table=environment.project.version_table))
    except (NoDatabase, database.DatabaseError, ApiError) as error:
        problem = f"{environment}: {error}"
    Environment.objects.filter(pk=environment.pk).update(
        revisions=revisions, revisions_at=now if revisions is not None else None, revisions_problem=problem
    )
