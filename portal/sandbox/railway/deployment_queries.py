"""Resolvers of what is read about deployments."""

from typing import Any

from . import movement, redeploying
from .access import Caller
from .resolving import field, page, query
from .world import Refused, Row


@query
def deployment(caller: Caller, id: str) -> Row:
    return caller.owned("deployments", id)


@query
def deployments(caller: Caller, input: Row, **window: Any) -> Row:
    """Return the rows newest first. What the token may not see is left out, not refused."""
    if caller.token is None:
        raise Refused()
    place = {
        key: input[key] for key in ("projectId", "environmentId", "serviceId") if input.get(key)
    }
    status = input.get("status") or {}
    rows = [
        row
        for row in reversed(caller.world.rows("deployments", **place))
        if caller.sees(row["environmentId"])
        and row["status"] in status.get("in", [row["status"]])
        and row["status"] not in status.get("notIn", [])
    ]
    return page(rows, **window)


@field("Deployment", "deploymentStopped")
def deployment_stopped(source: Row, caller: Caller) -> bool:
    """Return True as well while it starts, sleeps or is gone; tells something only beside
    SUCCESS.
    """
    return source["stopped"] or source["status"] != "SUCCESS"


@field("Deployment", "canRedeploy")
def can_redeploy(source: Row, caller: Caller) -> bool:
    return source["status"] not in movement.IN_PROGRESS


@field("Deployment", "canRollback")
def can_roll_back(source: Row, caller: Caller) -> bool:
    return redeploying.can_roll_back(caller.world, source)


@field("Deployment", "url")
def deployment_url(source: Row, caller: Caller) -> str | None:
    place = {"environmentId": source["environmentId"], "serviceId": source["serviceId"]}
    domain = caller.world.one("domains", **place)
    return domain["domain"] if domain else None


@field("Deployment", "creator")
def creator(source: Row, caller: Caller) -> Row:
    """Return who made it, as far as a story names them; else whose account it is."""
    return source.get("creator") or caller.world.data["account"]


@field("Deployment", "environment")
def environment_of_deployment(source: Row, caller: Caller) -> Row:
    return caller.world.get("environments", source["environmentId"])


@field("Deployment", "service")
def service_of_deployment(source: Row, caller: Caller) -> Row:
    return caller.world.get("services", source["serviceId"])


# One container runs a little before its deployment is called a success, as has been seen.
CONTAINERS = {
    "INITIALIZING": "INITIALIZING",
    "DEPLOYING": "RUNNING",
    "SUCCESS": "RUNNING",
    "SLEEPING": "STOPPED",
    "CRASHED": "CRASHED",
    "REMOVING": "REMOVING",
}


@field("Deployment", "instances")
def deployment_instances(source: Row, caller: Caller) -> list[Row]:
    """Return one container, or what a story says of several; that of a scheduled run has exited
    when the run is over.
    """
    states = source.get("containers")
    if states is None:
        instance = caller.world.data["instances"].get(source["instanceId"], {})
        over = "EXITED" if instance.get("cronSchedule") else "STOPPED"
        states = [over if source["stopped"] else CONTAINERS.get(source["status"])]
    return [
        {"id": f"{source['id']}-{n}", "status": state} for n, state in enumerate(states, 1) if state
    ]
