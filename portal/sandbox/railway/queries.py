"""Resolvers of everything that is read.

What is not named here is a row's value of the same name.
"""

from typing import Any

from . import configuration, movement, patches
from .access import ACCOUNT, PROJECT, WORKSPACE, Caller
from .deployment_queries import deployment_url, deployments
from .resolving import RESOLVERS, field, page, query
from .world import Refused, Row, World


def visible_instances(world: World, environment_id: str) -> list[Row]:
    rows = world.rows("instances", environmentId=environment_id)
    return [row for row in rows if row["visibleAt"] <= world.clock()]


def live_environments(caller: Caller, project_id: str, ephemeral: bool | None = None) -> list[Row]:
    rows = caller.world.rows("environments", projectId=project_id, deletedAt=None)
    return [row for row in rows if ephemeral is None or row["isEphemeral"] == ephemeral]


# Tokens


@query
def me(caller: Caller) -> Row:
    caller.need(ACCOUNT)
    return caller.world.data["account"] | {"workspaces": [caller.world.data["workspace"]]}


@query
def apiToken(caller: Caller) -> Row:
    caller.need(ACCOUNT, WORKSPACE)
    return {"workspaces": [caller.world.data["workspace"]]}


@query
def projectToken(caller: Caller) -> Row:
    if caller.token is None or caller.kind != PROJECT:
        raise Refused("Project Token not found")
    world, token = caller.world, caller.token
    return token | {
        "displayToken": token["token"][:4] + "…",
        "project": world.get("projects", token["projectId"]),
        "environment": world.get("environments", token["environmentId"]),
    }


@query
def workspace(caller: Caller, workspaceId: str) -> Row:
    caller.need(ACCOUNT, WORKSPACE)
    if workspaceId != caller.world.data["workspace"]["id"]:
        raise Refused()
    return caller.world.data["workspace"]


@field("Workspace", "apiTokenRateLimit")
def api_token_rate_limit(source: Row, caller: Caller) -> Row:
    budget = caller.world.data["budget"]
    return {
        "remainingPoints": budget["remaining"],
        "resetsAt": caller.world.iso(budget["resets_at"]),
    }


# Projects and environments


@query
def projects(
    caller: Caller, workspaceId: str | None = None, includeDeleted: bool = False, **window: Any
) -> Row:
    """Without `workspaceId` an account token gets an empty list, as has been seen."""
    caller.need(ACCOUNT, WORKSPACE)
    if workspaceId is None and caller.kind == ACCOUNT:
        return page([], **window)
    wanted = workspaceId or caller.world.data["workspace"]["id"]
    return page(caller.world.rows("projects", workspaceId=wanted), **window)


@query
def project(caller: Caller, id: str) -> Row:
    return caller.project(id)


@query
def environment(caller: Caller, id: str, projectId: str | None = None) -> Row:
    """Also one that was deleted, with its `deletedAt`: only the list tells what exists."""
    return caller.environment(id, deleted=True)


@query
def environments(
    caller: Caller, projectId: str, isEphemeral: bool | None = None, **window: Any
) -> Row:
    caller.project(projectId)
    return page(live_environments(caller, projectId, isEphemeral), **window)


@field("Project", "environments")
def environments_of_project(
    source: Row, caller: Caller, isEphemeral: bool | None = None, sort: str = "asc", **window: Any
) -> Row:
    rows = live_environments(caller, source["id"], isEphemeral)
    return page(rows[::-1] if sort == "desc" else rows, **window)


@field("Project", "services")
def services(source: Row, caller: Caller, **window: Any) -> Row:
    return page(caller.world.rows("services", projectId=source["id"]), **window)


@query
def service(caller: Caller, id: str) -> Row:
    row = caller.world.get("services", id)
    caller.project(row["projectId"])
    return row


@field("Environment", "canAccess")
def can_access(source: Row, caller: Caller) -> bool:
    return caller.sees(source["id"])


@field("Environment", "sourceEnvironment")
def source_environment(source: Row, caller: Caller) -> Row | None:
    return caller.world.data["environments"].get(source["sourceEnvironmentId"])


@field("Environment", "unmergedChangesCount")
def unmerged_changes(source: Row, caller: Caller) -> int:
    patch = caller.world.one("patches", environmentId=source["id"])
    return len(patch["patch"].get("services") or {}) if patch and patch["state"] == "STAGED" else 0


@field("Environment", "config")
def config(source: Row, caller: Caller, decryptVariables: bool | None = False) -> Row:
    caller.environment(source["id"], deleted=True)
    return configuration.environment_config(
        caller.world, source["id"], decrypt=bool(decryptVariables)
    )


@field("Environment", "configEtag")
def config_etag(source: Row, caller: Caller) -> str:
    return configuration.etag(caller.world, source["id"])


@field("Environment", "deploymentTriggers")
def triggers_of_environment(source: Row, caller: Caller, **window: Any) -> Row:
    shown = {row["serviceId"] for row in visible_instances(caller.world, source["id"])}
    rows = (
        caller.world.rows("triggers", environmentId=source["id"])
        if caller.sees(source["id"])
        else []
    )
    return page([row for row in rows if row["serviceId"] in shown], **window)


@field("Environment", "serviceInstances")
def instances_of_environment(source: Row, caller: Caller, **window: Any) -> Row:
    return page(
        visible_instances(caller.world, source["id"]) if caller.sees(source["id"]) else [], **window
    )


@field("Environment", "deployments")
def deployments_of_environment(source: Row, caller: Caller, **window: Any) -> Row:
    return deployments(caller, {"environmentId": source["id"]}, **window)


@field("Environment", "variables")
def variables_of_environment(source: Row, caller: Caller, **window: Any) -> Row:
    caller.environment(source["id"])
    return page(caller.world.rows("variables", environmentId=source["id"]), **window)


@query
def environmentStagedChanges(caller: Caller, environmentId: str) -> Row:
    caller.environment(environmentId)
    return patches.patch_of(caller.world, environmentId)


@field("EnvironmentPatch", "status")
def patch_status(source: Row, caller: Caller) -> str:
    return "APPLYING" if source["appliesAt"] > caller.world.clock() else source["state"]


# Services


@query
def serviceInstance(caller: Caller, environmentId: str, serviceId: str) -> Row:
    return caller.instance({"environmentId": environmentId, "serviceId": serviceId})


@field("ServiceInstance", "serviceName")
def service_name(source: Row, caller: Caller) -> str:
    return caller.world.get("services", source["serviceId"])["name"]


@field("ServiceInstance", "domains")
def domains_of_instance(source: Row, caller: Caller) -> Row:
    place = {"environmentId": source["environmentId"], "serviceId": source["serviceId"]}
    rows = caller.world.rows("domains", **place)
    return {"serviceDomains": [row | {"syncStatus": "ACTIVE"} for row in rows], "customDomains": []}


@field("ServiceDomain", "syncStatus")
def sync_status(source: Row, caller: Caller) -> str:
    return "ACTIVE"


@field("ServiceInstance", "latestDeployment")
def latest_deployment(source: Row, caller: Caller) -> Row | None:
    return movement.latest(caller.world, source)


@field("ServiceInstance", "activeDeployments")
def active_deployments(source: Row, caller: Caller) -> list[Row]:
    row = movement.active(caller.world, source)
    return [row] if row else []


@query
def domains(caller: Caller, environmentId: str, serviceId: str, projectId: str) -> Row:
    return domains_of_instance(
        caller.instance({"environmentId": environmentId, "serviceId": serviceId}), caller
    )


@query
def deploymentTriggers(
    caller: Caller, environmentId: str, serviceId: str, projectId: str, **window: Any
) -> Row:
    caller.instance({"environmentId": environmentId, "serviceId": serviceId})
    return page(
        caller.world.rows("triggers", environmentId=environmentId, serviceId=serviceId), **window
    )


@query
def serviceInstanceAutoDeployStatus(
    caller: Caller, environmentId: str, serviceId: str, projectId: str
) -> Row:
    instance = caller.instance({"environmentId": environmentId, "serviceId": serviceId})
    trigger = caller.world.one("triggers", environmentId=environmentId, serviceId=serviceId)
    reason = None if trigger else "The service is not connected to a branch"
    return {
        "enabled": bool(trigger) and instance["autoDeploy"],
        "canEnable": bool(trigger),
        "reason": reason,
    }


# Variables


# Webhooks


@query
def notificationRules(caller: Caller, workspaceId: str, projectId: str | None = None) -> list[Row]:
    caller.need(ACCOUNT, WORKSPACE)
    rows = caller.world.rows("rules", workspaceId=workspaceId)
    return [row for row in rows if projectId is None or row["projectId"] in (None, projectId)]


@field("NotificationChannel", "config")
def channel_config(source: Row, caller: Caller) -> Row:
    """Return the rule; header values are write-only."""
    config = dict(source["config"])
    return config | (
        {"headers": dict.fromkeys(config["headers"], "***")} if config.get("headers") else {}
    )


# Deployments and logs


RESOLVERS["Deployment", "staticUrl"] = deployment_url
