"""Resolvers of everything that changes something, apart from environments."""

import base64
import hashlib
from typing import Any

import httpx

from . import movement, redeploying
from .access import ACCOUNT, WORKSPACE, Caller
from .configuration import add_domain, drop_domain, set_trigger, update_settings
from .queries import visible_instances
from .resolving import mutation
from .variables import own_variables, references, set_variable
from .world import Refused, Row

# Deployments


# Services


@mutation
def deploymentTriggerCreate(caller: Caller, input: Row) -> Row:
    """Refuse a second trigger for the same service and environment."""
    instance = caller.instance(input)
    place = {"environmentId": input["environmentId"], "serviceId": input["serviceId"]}
    if caller.world.one("triggers", **place):
        raise Refused("Problem processing request", "BAD_USER_INPUT")
    names = ("provider", "repository", "branch")
    instance["source"] = {"repo": input["repository"], "image": None}
    check_suites = bool(input.get("checkSuites"))
    return set_trigger(
        caller.world, instance, checkSuites=check_suites, **{name: input[name] for name in names}
    )


@mutation
def deploymentTriggerUpdate(caller: Caller, id: str, input: Row) -> Row:
    """Change the branch and deploy nothing. `rootDirectory` fails, as has been seen."""
    if "rootDirectory" in input:
        raise Refused("Problem processing request")
    instance = caller.instance(caller.owned("triggers", id))
    return set_trigger(
        caller.world,
        instance,
        **{name: value for name, value in input.items() if value is not None},
    )


@mutation
def deploymentTriggerDelete(caller: Caller, id: str) -> bool:
    caller.world.drop("triggers", id=caller.owned("triggers", id)["id"])
    return True


@mutation
def serviceInstanceAutoDeployUpdate(caller: Caller, input: Row) -> Row:
    caller.instance(input)["autoDeploy"] = input["enabled"]
    return {"enabled": input["enabled"]}


@mutation
def serviceInstanceUpdate(
    caller: Caller, serviceId: str, input: Row, environmentId: str | None = None
) -> bool:
    """Without `environmentId` every environment that is no fork changes. Deploys nothing."""
    world = caller.world
    if environmentId is None:
        own = world.rows("environments", sourceEnvironmentId=None, deletedAt=None)
        wanted = {row["id"] for row in own if caller.sees(row["id"])}
        instances = [
            row
            for row in world.rows("instances", serviceId=serviceId)
            if row["environmentId"] in wanted
        ]
    else:
        instances = [caller.instance({"environmentId": environmentId, "serviceId": serviceId})]
    for instance in instances:
        update_settings(instance, input)
        if input.get("source"):
            instance["source"] = {"repo": None, "image": None} | input["source"]
    return True


@mutation
def serviceDomainCreate(caller: Caller, input: Row) -> Row:
    """Make another address at every call, as Railway does."""
    caller.instance(input)
    return add_domain(
        caller.world, input["environmentId"], input["serviceId"], input.get("targetPort")
    )


@mutation
def serviceDomainDelete(caller: Caller, id: str) -> bool:
    drop_domain(caller.world, caller.owned("domains", id))
    return True


# Variables


def _affected(
    caller: Caller, environment_id: str, service_id: str | None, names: set[str]
) -> list[Row]:
    """Return the instances that a change of these variables redeploys."""
    if service_id is not None:
        return [caller.instance({"environmentId": environment_id, "serviceId": service_id})]
    wanted = {f"shared.{name}" for name in names}
    return [
        instance
        for instance in visible_instances(caller.world, environment_id)
        if any(
            wanted & set(references(row["value"]))
            for row in own_variables(caller.world, environment_id, instance["serviceId"])
        )
    ]


def _refuse_while_building(caller: Caller, instances: list[Row]) -> None:
    for instance in instances:
        last = movement.latest(caller.world, instance)
        if last and last["status"] in movement.IN_PROGRESS:
            raise Refused(
                "Cannot redeploy yet, please wait for the original deployment to finish building"
            )


def _write_variables(
    caller: Caller, input: Row, values: dict[str, Any], *, replace: bool = False
) -> bool:
    """Write, and redeploy what changed unless `skipDeploys`; refuse beforehand while one still
    builds.
    """
    caller.environment(input["environmentId"])
    world, place = caller.world, (input["environmentId"], input.get("serviceId"))
    affected = [] if input.get("skipDeploys") else _affected(caller, *place, set(values))
    if place[1] is not None:
        caller.instance({"environmentId": place[0], "serviceId": place[1]})
    _refuse_while_building(caller, affected)
    changed = [set_variable(world, *place, name, str(value)) for name, value in values.items()]
    if replace:
        for row in own_variables(world, *place):
            if row["name"] not in values:
                world.drop("variables", id=row["id"])
                changed.append(True)
    if any(changed):
        redeploying.redeploy_configured(world, affected)
    return True


@mutation
def variableUpsert(caller: Caller, input: Row) -> bool:
    return _write_variables(caller, input, {input["name"]: input["value"]})


@mutation
def variableCollectionUpsert(caller: Caller, input: Row) -> bool:
    return _write_variables(caller, input, input["variables"], replace=bool(input.get("replace")))


@mutation
def variableDelete(caller: Caller, input: Row) -> bool:
    """Redeploy: the mutation has no `skipDeploys`."""
    caller.environment(input["environmentId"])
    world, place = caller.world, (input["environmentId"], input.get("serviceId"))
    row = world.one("variables", environmentId=place[0], serviceId=place[1], name=input["name"])
    if row is None:
        raise Refused("Problem processing request")
    affected = _affected(caller, *place, {input["name"]})
    _refuse_while_building(caller, affected)
    world.drop("variables", id=row["id"])
    redeploying.redeploy_configured(world, affected)
    return True


@mutation
def sharedVariableConfigure(caller: Caller, input: Row) -> Row:
    """Offer a shared variable to services: each gets a variable that refers to it."""
    caller.environment(input["environmentId"])
    world, name = caller.world, input["name"]
    shared = world.one("variables", environmentId=input["environmentId"], serviceId=None, name=name)
    if shared is None:
        raise Refused()
    for service_id in input["enabledServiceIds"]:
        caller.instance({"environmentId": input["environmentId"], "serviceId": service_id})
        set_variable(world, input["environmentId"], service_id, name, f"${{{{shared.{name}}}}}")
    for service_id in input["disabledServiceIds"]:
        world.drop(
            "variables", environmentId=input["environmentId"], serviceId=service_id, name=name
        )
    return shared


# The rest


@mutation
def projectUpdate(caller: Caller, id: str, input: Row) -> Row:
    caller.need(ACCOUNT, WORKSPACE)
    project = caller.project(id)
    project |= input | {"updatedAt": caller.world.iso()}
    return project


def _channels(caller: Caller, configs: list[Row]) -> list[Row]:
    workspace_id = caller.world.data["workspace"]["id"]
    return [
        {"id": f"{place}", "config": config, "workspaceId": workspace_id}
        for place, config in enumerate(configs)
    ]


@mutation
def notificationRuleCreate(caller: Caller, input: Row) -> Row:
    caller.need(ACCOUNT, WORKSPACE)
    if input["workspaceId"] != caller.world.data["workspace"]["id"]:
        raise Refused()
    if input.get("projectId"):
        caller.project(input["projectId"])
    return caller.world.add(
        "rules",
        workspaceId=input["workspaceId"],
        projectId=input.get("projectId"),
        environmentId=None,
        serviceId=None,
        eventTypes=input["eventTypes"],
        severities=input.get("severities") or [],
        ephemeralEnvironments=bool(input.get("ephemeralEnvironments")),
        channels=_channels(caller, input["channelConfigs"]),
    )


@mutation
def notificationRuleUpdate(caller: Caller, id: str, input: Row) -> Row:
    caller.need(ACCOUNT, WORKSPACE)
    rule = caller.world.get("rules", id)
    changes = {name: value for name, value in input.items() if value is not None}
    if "channelConfigs" in changes:
        changes["channels"] = _channels(caller, changes.pop("channelConfigs"))
    rule |= changes | {"updatedAt": caller.world.iso()}
    return rule


@mutation
def notificationRuleDelete(caller: Caller, id: str) -> bool:
    caller.need(ACCOUNT, WORKSPACE)
    caller.world.drop("rules", id=caller.world.get("rules", id)["id"])
    return True


@mutation
def webhookTest(caller: Caller, url: str, payload: str) -> int:
    caller.need(ACCOUNT, WORKSPACE)
    try:
        headers = {"Content-Type": "application/json"}
        return httpx.post(
            url, content=payload, headers=headers, timeout=5, trust_env=False
        ).status_code
    except httpx.HTTPError:
        raise Refused("Problem processing request") from None


@mutation
def sshPublicKeyCreate(caller: Caller, input: Row) -> Row:
    caller.need(ACCOUNT, WORKSPACE)
    try:
        key = base64.b64decode(input["publicKey"].split()[1], validate=True)
    except (IndexError, ValueError):
        raise Refused("Invalid public key", "BAD_USER_INPUT") from None
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return caller.world.add("keys", **input, fingerprint=f"SHA256:{digest}")
