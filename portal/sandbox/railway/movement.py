"""How deployments come to be and move through their states by the clock."""

from typing import Any

from . import git, predeploy
from .variables import running_variables
from .world import Refused, Row, World

BUILD = ["BUILDING", "DEPLOYING", "SUCCESS"]
# What is left to go through when the next deployment is to end otherwise. A list that ends before a
# final
# status waits there for a person (or for `finish`).
OUTCOMES = {
    "FAILED": ["BUILDING", "FAILED"],
    "CRASHED": ["BUILDING", "DEPLOYING", "SUCCESS", "CRASHED"],
    "UNHEALTHY": ["BUILDING", "DEPLOYING", "FAILED"],
    "SLEEPING": ["BUILDING", "DEPLOYING", "SUCCESS", "SLEEPING"],
    "NEEDS_APPROVAL": ["NEEDS_APPROVAL"],
    "WAITING": ["WAITING"],
    "BUILDING": ["BUILDING"],
    "DEPLOYING": ["BUILDING", "DEPLOYING"],
}
IN_PROGRESS = {
    "INITIALIZING",
    "QUEUED",
    "WAITING",
    "BUILDING",
    "DEPLOYING",
    "REMOVING",
    "NEEDS_APPROVAL",
}
LIVE = {"SUCCESS", "SLEEPING"}
EVENTS = {
    "QUEUED": "queued",
    "WAITING": "waiting",
    "NEEDS_APPROVAL": "needs_approval",
    "BUILDING": "building",
    "DEPLOYING": "deploying",
    "SUCCESS": "deployed",
    "FAILED": "failed",
    "CRASHED": "crashed",
    "SLEEPING": "slept",
    "REMOVED": "removed",
}


def deploy(
    world: World,
    instance: Row,
    commit: str | None,
    *,
    reason: str = "deploy",
    built: bool = False,
    variables: dict[str, str] | None = None,
    branch: str | None = None,
) -> Row:
    """Start a deployment of `commit`; with `built`, from the image made before (nothing is built).

    Without a commit it is one of the service's image, or of files that were uploaded.
    """
    steps = BUILD[1:] if built or is_image(instance) else BUILD
    if instance.get("sleepApplication"):
        steps = [*steps, "SLEEPING"]
    outcomes = instance["outcomes"]
    if outcomes:
        steps = OUTCOMES.get(outcomes.pop(0), BUILD)
    return create(world, instance, commit, "QUEUED", steps, reason, variables, branch)


def create(
    world: World,
    instance: Row,
    commit: str | None,
    status: str,
    steps: list[str],
    reason: str,
    variables: dict[str, str] | None,
    branch: str | None,
) -> Row:
    environment_id, service_id = instance["environmentId"], instance["serviceId"]
    environment = world.get("environments", environment_id)
    deployment = world.add(
        "deployments",
        projectId=environment["projectId"],
        environmentId=environment_id,
        serviceId=service_id,
        instanceId=instance["id"],
        status=status,
        stopped=False,
        imageAt=None,
        next=list(steps),
        enteredAt=world.clock(),
        history=[],
        meta=_meta(world, instance, commit, reason, branch),
        variables=(
            running_variables(world, environment_id, service_id) if variables is None else variables
        ),
        preDeploy=predeploy.wanted(instance),
    )
    instance["deploymentIds"].append(deployment["id"])
    deployment["variables"] |= {"RAILWAY_DEPLOYMENT_ID": deployment["id"]}
    if commit:
        branch = deployment["meta"].get("branch") or ""
        deployment["variables"] |= {"RAILWAY_GIT_COMMIT_SHA": commit, "RAILWAY_GIT_BRANCH": branch}
    if steps:
        world.data["moving"].append(deployment["id"])
    _enter(world, deployment, status, world.clock())
    return deployment


def is_image(instance: Row) -> bool:
    """Return whether the service runs an image of a registry."""
    return bool((instance["source"] or {}).get("image"))


def _meta(
    world: World, instance: Row, commit: str | None, reason: str, branch: str | None
) -> dict[str, Any]:
    """Return what Railway tells of a deployment.

    Images and uploads have no commit, and Railway then leaves the keys out.
    """
    if is_image(instance):
        return {"image": instance["source"]["image"], "reason": reason}
    if commit is None:
        return {"reason": reason, "cliMessage": None, "rootDirectory": instance["rootDirectory"]}
    trigger = world.one(
        "triggers", environmentId=instance["environmentId"], serviceId=instance["serviceId"]
    )
    return git.describe(world.repository, commit) | {
        "repo": (instance["source"] or {}).get("repo") or world.repository_name,
        "branch": branch or (trigger["branch"] if trigger else None),
        "reason": reason,
        "rootDirectory": instance["rootDirectory"],
    }


def settle(world: World) -> None:
    """Move every deployment to where it is by now, in the order in which the moves fell due."""
    if world.data["frozen"]:
        return
    now = world.clock()
    while True:
        moving = [world.data["deployments"][id] for id in world.data["moving"]]
        moving = [row for row in moving if not predeploy.holds(row)]
        due = min(moving, key=lambda row: row["enteredAt"], default=None)
        if due is None or due["enteredAt"] + world.seconds_per_state > now:
            return
        _enter(world, due, due["next"].pop(0), due["enteredAt"] + world.seconds_per_state)


def _enter(world: World, deployment: Row, status: str, at: float) -> None:
    """Put the deployment into `status`, with all that follows from it."""
    shown = world.iso(at)
    deployment |= {"status": status, "enteredAt": at, "statusUpdatedAt": shown, "updatedAt": shown}
    deployment["history"].append([status, shown])
    moving = world.data["moving"]
    if not deployment["next"] and deployment["id"] in moving:
        moving.remove(deployment["id"])
    if status in ("DEPLOYING", "SUCCESS") and deployment["imageAt"] is None:
        deployment["imageAt"] = at
    world.dirty = True
    if status in EVENTS:
        world.outbox.append((f"Deployment.{EVENTS[status]}", dict(deployment)))
    if status == "DEPLOYING":
        predeploy.begin(world, deployment)
    if status == "SUCCESS":
        if world.data["instances"].get(deployment["instanceId"], {}).get("cronSchedule"):
            deployment["stopped"] = True  # its run is over, and nothing runs until the next
        _take_over(world, deployment, at)


def _take_over(world: World, deployment: Row, at: float) -> None:
    """Retire the deployments before this one, which came up: it replaces them."""
    instance = world.get("instances", deployment["instanceId"])
    siblings = history(world, instance)
    place = siblings.index(deployment)
    if any(row["status"] in LIVE for row in siblings[place + 1 :]):
        _end(world, deployment, "REMOVED", at)
        return
    instance["activeDeploymentId"] = deployment["id"]
    for row in siblings[:place]:
        if row["status"] in IN_PROGRESS | LIVE | {"CRASHED"}:
            _end(world, row, "REMOVED", at)


def _end(world: World, deployment: Row, status: str, at: float) -> None:
    deployment["next"] = []
    predeploy.end(deployment)
    _enter(world, deployment, status, at)


def finish(world: World, deployment: Row, status: str) -> None:
    """End the deployment with `status` now, wherever it stood."""
    _end(world, deployment, status, world.clock())
    instance = world.data["instances"].get(deployment["instanceId"])
    if status == "REMOVED" and instance and instance["activeDeploymentId"] == deployment["id"]:
        instance["activeDeploymentId"] = None


def resume(world: World, deployment: Row) -> None:
    """Let a deployment that waited for a person go on."""
    if deployment["status"] != "NEEDS_APPROVAL":
        raise Refused("Problem processing request")
    deployment["next"] = list(BUILD)
    world.data["moving"].append(deployment["id"])
    _enter(world, deployment, "QUEUED", world.clock())


def history(world: World, instance: Row) -> list[Row]:
    """Return its deployments, oldest first."""
    return [world.data["deployments"][id] for id in instance["deploymentIds"]]


def latest(world: World, instance: Row) -> Row | None:
    ids = instance["deploymentIds"]
    return world.data["deployments"][ids[-1]] if ids else None


def active(world: World, instance: Row) -> Row | None:
    return world.data["deployments"].get(instance["activeDeploymentId"])


def associated_commit(world: World, instance: Row) -> str | None:
    """Return the commit a deploy without one takes: that of the latest deployment, else the
    branch's head.

    None for an image. What was uploaded cannot be deployed where it was not, as has been seen of
    copies.
    """
    last = latest(world, instance)
    if last or is_image(instance):
        return last["meta"].get("commitHash") if last else None
    if not (instance["source"] or {}).get("repo"):
        raise Refused("Deployment not found")
    return branch_head(world, instance)


def branch_head(world: World, instance: Row) -> str:
    """Return the head of the branch that the service's trigger names; refuse when there is none."""
    trigger = world.one(
        "triggers", environmentId=instance["environmentId"], serviceId=instance["serviceId"]
    )
    if trigger and trigger["repository"] != world.repository_name:
        head = world.data.get("elsewhere", {}).get(f"{trigger['repository']} {trigger['branch']}")
    else:
        head = git.commit(world.repository, f"refs/heads/{trigger['branch']}") if trigger else None
    if head is None:
        raise Refused("No deployments or source found for the service", "BAD_USER_INPUT")
    return head
