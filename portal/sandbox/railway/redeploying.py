"""Deployments from an image or a commit that was deployed before."""

from .movement import IN_PROGRESS, deploy, latest
from .world import Refused, Row, World


def redeploy(world: World, instance: Row, *, of: Row | None = None, built: bool = False) -> Row:
    """Return the same commit once more, with the variables of now."""
    original = of or latest(world, instance)
    if original is None:
        raise Refused("Deployment not found")
    if original["status"] in IN_PROGRESS:
        raise Refused(
            "Cannot redeploy yet, please wait for the original deployment to finish building"
        )
    meta = original["meta"]
    return deploy(
        world,
        instance,
        meta.get("commitHash"),
        reason="redeploy",
        built=built,
        branch=meta.get("branch"),
    )


def redeploy_configured(world: World, instances: list[Row]) -> None:
    """Do what a change of variables without `skipDeploys` does; a service never deployed stays as
    it is.
    """
    for instance in instances:
        if latest(world, instance):
            redeploy(world, instance)


def can_roll_back(world: World, deployment: Row, keep_hours: float = 120) -> bool:
    """Return whether its image still exists (Pro keeps 120 hours) and something else is live."""
    image_at, history = deployment["imageAt"], [status for status, _ in deployment["history"]]
    return (
        deployment["status"] == "REMOVED"
        and "SUCCESS" in history
        and image_at is not None
        and world.clock() - image_at < keep_hours * 3600
    )


def roll_back(world: World, deployment: Row) -> Row:
    """Return a new deployment from the old image, with the variables of then."""
    if not can_roll_back(world, deployment):
        raise Refused("Deployment cannot be rolled back", "BAD_USER_INPUT")
    instance = world.get("instances", deployment["instanceId"])
    meta = deployment["meta"]
    return deploy(
        world,
        instance,
        meta.get("commitHash"),
        reason="rollback",
        built=True,
        variables=dict(deployment["variables"]),
        branch=meta.get("branch"),
    )
