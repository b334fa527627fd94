"""Environments of pull requests that others than the portal make: Railway itself, or a team's
GitHub Action.
"""

from collections.abc import Mapping
from typing import Any

from . import movement
from .environments import copy_environment, drop_environment, new_environment
from .world import Row, World


def pull_opened(world: World, project: Row, pull: Mapping[str, Any]) -> Row | None:
    """Return what Railway does when a pull request is opened and *PR environments* are switched on;
    None: they are not.

    `pull`: number, title, branch, base. The environment is a copy of the base environment, at the
    branch's head.
    """
    if not project["prDeploys"]:
        return None
    meta = {
        "prNumber": pull["number"],
        "prTitle": pull["title"],
        "prRepo": world.repository_name,
        "branch": pull["branch"],
        "baseBranch": pull["base"],
    }
    base = project["baseEnvironmentId"] or project["primaryEnvironmentId"]
    name = f"{project['name']}-pr-{pull['number']}"
    return _made(world, project, name, base, pull["branch"], ephemeral=True, meta=meta)


def pull_closed(world: World, number: int) -> None:
    """Delete Railway's own environment of that pull request, and no other."""
    for row in world.rows("environments", deletedAt=None):
        if (row.get("meta") or {}).get("prNumber") == number:
            drop_environment(world, row)


def made_by_action(world: World, project: Row, name: str, base: str, branch: str) -> Row:
    """Return what `railway environment new NAME --duplicate BASE` in a team's workflow leaves:
    nothing tells whose it is.
    """
    return _made(world, project, name, base, branch, ephemeral=False, meta=None)


def _made(
    world: World,
    project: Row,
    name: str,
    base: str,
    branch: str,
    *,
    ephemeral: bool,
    meta: Row | None,
) -> Row:
    environment = new_environment(world, project["id"], name, base, ephemeral=ephemeral, meta=meta)
    copy_environment(world, environment, base, {"skipInitialDeploys": True})
    for trigger in world.rows("triggers", environmentId=environment["id"]):
        trigger["branch"] = branch
    for instance in world.rows("instances", environmentId=environment["id"]):
        if world.one("triggers", environmentId=environment["id"], serviceId=instance["serviceId"]):
            movement.deploy(world, instance, movement.branch_head(world, instance), branch=branch)
    return environment
