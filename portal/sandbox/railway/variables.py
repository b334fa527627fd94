"""Variables: the ones set, the ones Railway provides, and `${{…}}` references between them."""

import re
from typing import Any

from .world import Row, World

REFERENCE = re.compile(r"\$\{\{\s*(?:([^{}]+?)\.)?([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def own_variables(world: World, environment_id: str, service_id: str | None) -> list[Row]:
    return world.rows("variables", environmentId=environment_id, serviceId=service_id)


def shown_variables(
    world: World, environment_id: str, service_id: str | None, *, unrendered: bool = False
) -> dict[str, str | None]:
    """Name to value as the API shows it: a sealed variable is a present name without a value."""
    shown: dict[str, str | None] = dict(provided(world, environment_id, service_id))
    for row in own_variables(world, environment_id, service_id):
        value = (
            row["value"] if unrendered else render(world, row["value"], environment_id, service_id)
        )
        shown[row["name"]] = None if row["isSealed"] else value
    return shown


def running_variables(world: World, environment_id: str, service_id: str) -> dict[str, str]:
    """Return what a container gets: everything rendered, sealed values too."""
    own = {
        row["name"]: render(world, row["value"], environment_id, service_id, sealed=True)
        for row in own_variables(world, environment_id, service_id)
    }
    return provided(world, environment_id, service_id) | own


def render(
    world: World,
    value: str,
    environment_id: str,
    service_id: str | None,
    *,
    sealed: bool = False,
    seen: frozenset[tuple[str | None, str]] = frozenset(),
) -> str:
    """Return `value` with its references resolved.

    What is unknown, goes round in circles or is sealed is empty.
    """

    def resolve(match: re.Match[str]) -> str:
        owner, name = match.groups()
        target = service_id if owner is None else _owner(world, owner)
        if (target, name) in seen or target == "":
            return ""
        row = world.one("variables", environmentId=environment_id, serviceId=target, name=name)
        if row is None:
            return provided(world, environment_id, target).get(name, "")
        if row["isSealed"] and not sealed:
            return ""
        inner = seen | {(target, name)}
        return render(world, row["value"], environment_id, target, sealed=sealed, seen=inner)

    return REFERENCE.sub(resolve, value)


def _owner(world: World, name: str) -> str | None:
    """Return the id of the service that a reference names; None for `shared`, "" when there is no
    such service.
    """
    if name == "shared":
        return None
    service = world.one("services", name=name)
    return service["id"] if service else ""


def references(value: str) -> list[str]:
    return [f"{owner}.{name}" if owner else name for owner, name in REFERENCE.findall(value)]


def provided(world: World, environment_id: str, service_id: str | None) -> dict[str, str]:
    """Return the variables that Railway adds to every service."""
    if service_id is None:
        return {}
    environment = world.get("environments", environment_id)
    project = world.get("projects", environment["projectId"])
    service = world.get("services", service_id)
    domain = world.one("domains", environmentId=environment_id, serviceId=service_id)
    names = {
        "RAILWAY_PROJECT_ID": project["id"],
        "RAILWAY_PROJECT_NAME": project["name"],
        "RAILWAY_ENVIRONMENT_ID": environment["id"],
        "RAILWAY_ENVIRONMENT_NAME": environment["name"],
        "RAILWAY_SERVICE_ID": service["id"],
        "RAILWAY_SERVICE_NAME": service["name"],
        "RAILWAY_PRIVATE_DOMAIN": f"{service['name']}.railway.internal",
    }
    return names | ({"RAILWAY_PUBLIC_DOMAIN": domain["domain"]} if domain else {})


def set_variable(
    world: World,
    environment_id: str,
    service_id: str | None,
    name: str,
    value: str,
    sealed: bool | None = None,
) -> bool:
    """Write one variable; `sealed` None leaves the seal as it is. Return whether anything
    changed.
    """
    row = world.one("variables", environmentId=environment_id, serviceId=service_id, name=name)
    if row is None:
        world.add(
            "variables",
            environmentId=environment_id,
            serviceId=service_id,
            name=name,
            value=value,
            isSealed=bool(sealed),
        )
        return True
    changes: dict[str, Any] = {
        "value": value,
        "isSealed": row["isSealed"] if sealed is None else sealed,
    }
    changed = any(row[key] != value for key, value in changes.items())
    row |= changes | {"updatedAt": world.iso()}
    return changed
