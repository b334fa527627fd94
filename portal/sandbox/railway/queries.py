"""Resolvers of everything that is read.

What is not named here is a row's value of the same name.
"""

from collections.abc import Callable
from typing import Any

from graphql import GraphQLResolveInfo

from . import configuration, movement
from .access import ACCOUNT, PROJECT, WORKSPACE, Caller
from .variables import own_variables, references, running_variables, shown_variables
from .world import Refused, Row, World

Resolver = Callable[..., Any]
RESOLVERS: dict[tuple[str, str], Resolver] = {}
PAGE_LIMIT = 1000


def field(type_name: str, name: str) -> Callable[[Resolver], Resolver]:
    """Register `resolver(source, caller, **arguments)` for one field of one type."""

    def register(resolver: Resolver) -> Resolver:
        RESOLVERS[type_name, name] = resolver
        return resolver

    return register


def query(resolver: Callable[..., Any]) -> Callable[..., Any]:
    """Register `resolver(caller, **arguments)` for the field of `Query` with its name."""
    RESOLVERS["Query", resolver.__name__] = lambda source, caller, **arguments: resolver(
        caller, **arguments
    )
    return resolver


def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    """Return the field resolver given to graphql-core."""
    resolver = RESOLVERS.get((info.parent_type.name, info.field_name))
    if resolver is None:
        return source.get(info.field_name)
    return resolver(source, info.context, **arguments)


def page(
    rows: list[Row],
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Row:
    """Return a Relay connection over `rows`; a cursor is the row's id, one that is gone starts
    anew.
    """
    ids = [row["id"] for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    end = ids.index(before) if before in ids else len(rows)
    window = rows[start:end]
    window = window[-last:] if last else window[: PAGE_LIMIT if first is None else first]
    begins = ids.index(window[0]["id"]) if window else start
    return {
        "edges": [{"cursor": row["id"], "node": row} for row in window],
        "pageInfo": {
            "startCursor": window[0]["id"] if window else None,
            "endCursor": window[-1]["id"] if window else None,
            "hasNextPage": begins + len(window) < len(rows),
            "hasPreviousPage": begins > 0,
        },
    }


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
    return configuration.patch_of(caller.world, environmentId)


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


@query
def variables(
    caller: Caller,
    environmentId: str,
    projectId: str,
    serviceId: str | None = None,
    unrendered: bool | None = False,
) -> Row:
    caller.environment(environmentId)
    if serviceId is not None:
        caller.world.get("services", serviceId)
    return shown_variables(caller.world, environmentId, serviceId, unrendered=bool(unrendered))


@query
def variablesForServiceDeployment(
    caller: Caller, environmentId: str, projectId: str, serviceId: str
) -> Row:
    """Return the variables fully rendered; the values of sealed ones never come back, here
    neither.
    """
    caller.instance({"environmentId": environmentId, "serviceId": serviceId})
    sealed = {
        row["name"]
        for row in own_variables(caller.world, environmentId, serviceId)
        if row["isSealed"]
    }
    shown = running_variables(caller.world, environmentId, serviceId) | shown_variables(
        caller.world, environmentId, serviceId
    )
    return {name: None if name in sealed else value for name, value in shown.items()}


@field("Variable", "references")
def variable_references(source: Row, caller: Caller) -> list[str]:
    return references(source["value"])


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
    return movement.can_roll_back(caller.world, source)


@field("Deployment", "url")
def deployment_url(source: Row, caller: Caller) -> str | None:
    place = {"environmentId": source["environmentId"], "serviceId": source["serviceId"]}
    domain = caller.world.one("domains", **place)
    return domain["domain"] if domain else None


RESOLVERS["Deployment", "staticUrl"] = deployment_url


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
