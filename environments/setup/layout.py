"""Which environments, services and databases a Railway project has for one repository."""

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from environments.railway.objects import Environment, ProjectTree, ServiceInstance

PRODUCTION = ("production", "prod", "live", "main", "master")
STAGING = ("staging", "stage", "preprod", "develop", "development", "dev", "test")
PUBLIC_VARIABLE = "DATABASE_PUBLIC_URL"
Values = Mapping[str, Mapping[str, str]]  # service → variable → value, of one environment


@dataclass(frozen=True)
class Place:
    """A long-lived environment, and the branch that most of the repository's services follow."""

    name: str
    id: str
    branch: str
    services: tuple[ServiceInstance, ...]


def places(tree: ProjectTree, repository: str) -> list[Place]:
    """Return the lasting environments in which a service comes from the repository."""
    places_found = []
    for environment in tree.environments:
        if _is_preview(environment):
            continue
        ours = _ours(environment, repository)
        branches = Counter(environment.branch_of(instance.service_id) or "" for instance in ours)
        branch = branches.most_common(1)[0][0] if branches else ""
        if ours:
            places_found.append(Place(environment.name, environment.id, branch, ours))
    return places_found


def _ours(environment: Environment, repository: str) -> tuple[ServiceInstance, ...]:
    name = repository.lower()
    triggers = {
        trigger.service_id for trigger in environment.triggers if trigger.repository.lower() == name
    }
    return tuple(
        instance
        for instance in environment.instances
        if instance.service_id in triggers or (instance.repo or "").lower() == name
    )


def chosen(places: Sequence[Place], default_branch: str) -> tuple[Place | None, Place | None]:
    """Return staging and production: by name, else by who follows the default branch."""
    production = _named(places, PRODUCTION) or next(
        (place for place in places if place.branch == default_branch), None
    )
    others = [place for place in places if place != production]
    return _named(others, STAGING) or (others[0] if others else None), production


def _named(places: Sequence[Place], names: Sequence[str]) -> Place | None:
    by_name = {place.name.lower(): place for place in places}
    return next((by_name[name] for name in names if name in by_name), None)


def previews(tree: ProjectTree) -> list[str]:
    """Return the environments of pull requests that exist already."""
    return sorted(environment.name for environment in tree.environments if _is_preview(environment))


def _is_preview(environment: Environment) -> bool:
    return environment.is_ephemeral or environment.pr_number is not None


def database_of(alembic: str, place: Place, values: Values) -> dict[str, str]:
    """Return service and variables of the database that the directory `alembic` migrates.

    The service is the one whose directory holds it, else the first with a database's address.
    """
    with_address = {
        service: names
        for service, held in values.items()
        if (names := sorted(name for name, value in held.items() if _is_address(value)))
    }
    ours = [instance for instance in place.services if instance.service_name in with_address]
    holding = [service for service in ours if _holds(service, alembic)]
    service = next((service.service_name for service in [*holding, *ours]), "")
    names = with_address.get(service, [])
    variable = "DATABASE_URL" if "DATABASE_URL" in names else next(iter(names), "DATABASE_URL")
    public = next((service for service, held in values.items() if PUBLIC_VARIABLE in held), "")
    return {
        "service": service or next((service.service_name for service in place.services), "backend"),
        "variable": variable,
        "public_service": public,
        "public_variable": PUBLIC_VARIABLE,
    }


def _is_address(value: str) -> bool:
    return value.startswith(("postgres://", "postgresql://", "postgresql+"))


def _holds(instance: ServiceInstance, alembic: str) -> bool:
    root = (instance.root_directory or "").strip("/") or instance.service_name
    return alembic == root or alembic.startswith(f"{root}/")


def smoke_tests(place: Place) -> list[dict[str, str]]:
    """Return a first smoke test for each public service: its health check's path, else `/`."""
    return [
        {"service": service.service_name, "path": service.healthcheck_path or "/"}
        for service in place.services
        if service.domains
    ]


def directory_name(alembic: str) -> str:
    """Return what a database is called after where its migrations lie."""
    parts = [part for part in posixpath.dirname(alembic).split("/") if part and part != "."]
    return parts[0] if parts else "main"
