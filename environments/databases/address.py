"""Where a database of an environment is, and which revision it reports."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import cast

from environments.clients import railway_of
from environments.models import (
    ON_RAILWAY,
    Database,
    Environment,
    EnvironmentDatabase,
    ServiceInstance,
)
from environments.railway import Railway
from environments.railway.batch import Place
from environments.schema.run import address, database
from environments.schema.run.address import DatabaseError, is_internal
from portal.outbound.credentials import Secret
from portal.outbound.http import ApiError
from portal.secrets import HiddenText


class NoDatabase(Exception):
    """The database cannot be named or reached from here; the message says what to configure."""


def url_of(place: EnvironmentDatabase, railway: Railway | None = None) -> str:
    """Return the database's URL: the write-only one of this place, else Railway's variable, read
    now and never stored.

    Raise `NoDatabase`, or `ApiError` when Railway does not answer properly.
    """
    if place.url:
        return _reachable(place, cast(HiddenText, place.url).reveal(), "The address given here")
    railway, database = railway or railway_of(place.environment.project), place.database
    if database.public_service and (public := _public(place, railway)):
        return _reachable(place, public, f"{database.public_variable} of {database.public_service}")
    instance = instance_of(place.environment, database)
    values = variables_of(instance, railway)
    if database.variable not in values:
        raise NoDatabase(
            f"{instance} has no variable {database.variable}; set it, or give the address here."
        )
    value = values[database.variable]
    if value is None:
        sealed = f"{database.variable} of {instance} is sealed on Railway"
        raise NoDatabase(f"{sealed}; give the address here.")
    return _reachable(place, value.reveal(), f"{database.variable} of {database.service}")


NEEDS_TO_LOOK = (
    "Railway would run the migrations, but the portal looks at the database before and after"
)


def out_of_sight(database: Database, railway: Railway | None = None) -> str:
    """Return why the portal could not look at a database that Railway migrates; "" when it can.

    Reads the variables of the long-lived environments now; what Railway does not answer is no
    reason. `database` may be a row that is not saved yet.
    """
    if database.runner not in ON_RAILWAY:
        return ""
    environments = Environment.objects.present().long_lived().filter(project=database.project_id)
    for environment in environments.select_related("project"):
        place = EnvironmentDatabase(environment=environment, database=database)
        if database.pk:
            known = EnvironmentDatabase.objects.filter(
                environment=environment, database=database.pk
            )
            place.url = next((row.url for row in known), "")
        try:
            url_of(place, railway)
        except NoDatabase as why:
            return f"{NEEDS_TO_LOOK}, and cannot: {why}"
        except ApiError:
            continue  # whoever cannot reach Railway now is not kept from configuring
    return ""


def _public(place: EnvironmentDatabase, railway: Railway) -> str:
    """Return the address that the database's own service gives the world; "" for none to read."""
    instance = _instance(place.environment, place.database.public_service)
    if instance is None:
        return ""
    value = variables_of(instance, railway).get(place.database.public_variable)
    return value.reveal() if value is not None else ""


def variables_of(
    instance: ServiceInstance, railway: Railway | None = None
) -> Mapping[str, Secret | None]:
    """Return a service's variables as Railway has them now; None for sealed. Raise `ApiError`."""
    railway = railway or railway_of(instance.environment.project)
    return railway.variables(*instance.at_railway, unrendered=False)


def _reachable(place: EnvironmentDatabase, url: str, source: str) -> str:
    """Return `url` unless its host means another machine here than where it comes from.

    A name that ends in .railway.internal is the same in every environment, and each resolves it to
    its own.
    """
    try:
        host = address.normalise(url).host
    except DatabaseError:
        return url  # whoever uses it says what is wrong with it
    if not is_internal(host) or _runs_in(place.environment):
        return url
    raise NoDatabase(
        f"{source} is {host}, a name that only services of {place.environment} can reach. Give the"
        f" database a TCP proxy on Railway, so that it has a {place.database.public_variable}; or"
        f" run the portal inside {place.environment}; or let Railway run the migrations there and"
        " give an address under Configuration, Environment databases, with which the portal can"
        " look at the result."
    )


def _runs_in(environment: Environment) -> bool:
    """Return whether this process is a service of the environment, as Railway names it."""
    here = os.environ.get("RAILWAY_PROJECT_ID"), os.environ.get("RAILWAY_ENVIRONMENT_ID")
    return all(here) and here == (environment.project.railway_project_id, environment.railway_id)


def remember(places: Sequence[EnvironmentDatabase], railway: Railway) -> None:
    """Read the variables that name these databases in one request, for `url_of` with the same
    `railway`.

    What cannot be read so is asked for by itself, and says then what is wrong.
    """
    asked: dict[str, list[Place]] = {}
    for place in places:
        database, environment = place.database, place.environment
        for service in () if place.url else (database.public_service, database.service):
            if service and (instance := _instance(environment, service)):
                project, *wanted = instance.at_railway
                asked.setdefault(project, []).append((wanted[0], wanted[1]))
    for project, instances in asked.items():
        with suppress(ApiError):
            railway.remember(project, list(dict.fromkeys(instances)))


def instance_of(environment: Environment, of: Database) -> ServiceInstance:
    """Return the service there whose code uses the database, and which migrates.

    Raise `NoDatabase`.
    """
    row = _instance(environment, of.service)
    if row is None:
        raise NoDatabase(
            f"There is no service “{of.service}” in {environment} whose variables could name the"
            " database."
        )
    return row


def _instance(environment: Environment, service: str) -> ServiceInstance | None:
    instances = ServiceInstance.objects.filter(environment=environment, service__name=service)
    row = instances.select_related("service").first()
    if row is not None:
        row.environment = environment
    return row


def read_revisions(
    place: EnvironmentDatabase, *, now: datetime, railway: Railway | None = None
) -> None:
    """Ask the database for its revisions; keep the answer, or why there is none, on the row."""
    revisions: list[str] | None = None
    problem, tables = "", 0
    try:
        heads, tables = database.look(url_of(place, railway), table=place.database.version_table)
        revisions = list(heads)
    except (NoDatabase, DatabaseError, ApiError) as error:
        problem = f"{place.environment}: {error}"
    EnvironmentDatabase.objects.filter(pk=place.pk).update(
        revisions=revisions,
        tables=tables,
        revisions_at=now if revisions is not None else None,
        revisions_problem=problem,
    )
