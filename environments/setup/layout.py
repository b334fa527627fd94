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
    found = []
    for one in tree.environments:
        if _is_preview(one):
            continue
        ours = _ours(one, repository)
        branches = Counter(one.branch_of(instance.service_id) or "" for instance in ours)
        branch = branches.most_common(1)[0][0] if branches else ""
        if ours:
            found.append(Place(one.name, one.id, branch, ours))
    return found


def _ours(environment: Environment, repository: str) -> tuple[ServiceInstance, ...]:
    name = repository.lower()
    triggers = {one.service_id for one in environment.triggers if one.repository.lower() == name}
    return tuple(
        one
        for one in environment.instances
        if one.service_id in triggers or (one.repo or "").lower() == name
    )


def chosen(found: Sequence[Place], default_branch: str) -> tuple[Place | None, Place | None]:
    """Return staging and production: by name, else by who follows the default branch."""
    production = _named(found, PRODUCTION) or next(
        (one for one in found if one.branch == default_branch), None
    )
    others = [one for one in found if one != production]
    return _named(others, STAGING) or (others[0] if others else None), production


def _named(found: Sequence[Place], names: Sequence[str]) -> Place | None:
    by_name = {one.name.lower(): one for one in found}
    return next((by_name[name] for name in names if name in by_name), None)


def previews(tree: ProjectTree) -> list[str]:
    """Return the environments of pull requests that exist already."""
    return sorted(one.name for one in tree.environments if _is_preview(one))


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
    ours = [one for one in place.services if one.service_name in with_address]
    holding = [one for one in ours if _holds(one, alembic)]
    service = next((one.service_name for one in [*holding, *ours]), "")
    names = with_address.get(service, [])
    variable = "DATABASE_URL" if "DATABASE_URL" in names else next(iter(names), "DATABASE_URL")
    public = next((one for one, held in values.items() if PUBLIC_VARIABLE in held), "")
    return {
        "service": service or next((one.service_name for one in place.services), "backend"),
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
        {"service": one.service_name, "path": one.healthcheck_path or "/"}
        for one in place.services
        if one.domains
    ]


def directory_name(alembic: str) -> str:
    """Return what a database is called after where its migrations lie."""
    parts = [part for part in posixpath.dirname(alembic).split("/") if part and part != "."]
    return parts[0] if parts else "main"
