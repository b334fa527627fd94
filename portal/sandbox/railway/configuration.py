"""An environment as one JSON document: reading it, patching it, copying it into a new
environment.
"""

import hashlib
import json
from typing import Any

from . import git
from .movement import associated_commit, branch_head, deploy, is_image
from .variables import own_variables, references, set_variable
from .world import Refused, Row, World

BUILD_SETTINGS: dict[str, Any] = {
    "builder": "RAILPACK",
    "buildCommand": None,
    "dockerfilePath": None,
    "watchPatterns": [],
}
DEPLOY_SETTINGS: dict[str, Any] = {
    "startCommand": None,
    "preDeployCommand": None,
    "healthcheckPath": None,
    "healthcheckTimeout": None,
    "overlapSeconds": None,
    "drainingSeconds": None,
    "restartPolicyType": "ON_FAILURE",
    "restartPolicyMaxRetries": 10,
    "numReplicas": 1,
    "cronSchedule": None,
    "region": None,
    "sleepApplication": None,
}
OTHER_SETTINGS = {"rootDirectory": None, "railwayConfigFile": None}
SETTINGS = BUILD_SETTINGS | DEPLOY_SETTINGS | OTHER_SETTINGS


def add_instance(world: World, environment_id: str, service_id: str, late: float = 0) -> Row:
    """Return the service in that environment, as yet without source, address or deployment."""
    return world.add(
        "instances",
        environmentId=environment_id,
        serviceId=service_id,
        source=None,
        activeDeploymentId=None,
        deploymentIds=[],
        autoDeploy=True,
        visibleAt=world.clock() + late,
        outcomes=[],
        skipNext=0,
        neverNext=0,
        quiet=False,
        volumeMounts={},
        broken={},
        **{
            name: list(value) if isinstance(value, list) else value
            for name, value in SETTINGS.items()
        },
    )


def update_settings(instance: Row, changes: dict[str, Any]) -> None:
    """Write settings of one instance; refuse more than one pre-deploy command, as Railway does."""
    command = changes.get("preDeployCommand")
    if isinstance(command, str):
        changes = changes | {"preDeployCommand": [command]}
    elif command is not None and len(command) > 1:
        raise Refused("Error in preDeployCommand - Invalid input", "BAD_USER_INPUT")
    instance |= {
        name: SETTINGS[name] if value is None else value
        for name, value in changes.items()
        if name in SETTINGS
    }


def set_trigger(world: World, instance: Row, **values: Any) -> Row:
    """Return the one trigger of that instance, made or changed."""
    place = {"environmentId": instance["environmentId"], "serviceId": instance["serviceId"]}
    trigger = world.one("triggers", **place)
    ours = values.get("repository", world.repository_name) == world.repository_name
    if (branch := values.get("branch")) and ours:
        head = git.commit(world.repository, f"refs/heads/{branch}")
        world.data["heads"].setdefault(branch, head or "")
    if trigger is None:
        environment = world.get("environments", instance["environmentId"])
        defaults = {"provider": "github", "repository": world.repository_name, "checkSuites": False}
        return world.add(
            "triggers", projectId=environment["projectId"], **(place | defaults | values)
        )
    trigger |= values | {"updatedAt": world.iso()}
    return trigger


def add_domain(
    world: World, environment_id: str, service_id: str, target_port: int | None = None
) -> Row:
    """Open an address of its own on a free port of 127.0.0.1."""
    environment = world.get("environments", environment_id)
    domain = world.add(
        "domains",
        projectId=environment["projectId"],
        environmentId=environment_id,
        serviceId=service_id,
        targetPort=target_port,
        domain="",
    )
    domain["domain"] = f"127.0.0.1:{world.addresses.listen(domain['id'])}"
    return domain


def drop_domain(world: World, domain: Row) -> None:
    world.addresses.close(domain["id"])
    del world.data["domains"][domain["id"]]


def reopen_addresses(world: World) -> None:
    """Open, after a restart, the same ports where they are still free."""
    for domain in world.rows("domains"):
        port = int(domain["domain"].rpartition(":")[2])
        domain["domain"] = f"127.0.0.1:{world.addresses.listen(domain['id'], port)}"


def environment_config(world: World, environment_id: str, *, decrypt: bool) -> dict[str, Any]:
    """Return the document that `environmentPatchCommit` patches; without `decrypt` variables carry
    no values.
    """
    return {
        "services": {
            instance["serviceId"]: _service_config(world, instance, decrypt=decrypt)
            for instance in world.rows("instances", environmentId=environment_id)
        },
        "sharedVariables": _variables_config(world, environment_id, None, decrypt=decrypt),
    }


def _service_config(world: World, instance: Row, *, decrypt: bool) -> dict[str, Any]:
    place = {"environmentId": instance["environmentId"], "serviceId": instance["serviceId"]}
    trigger = world.one("triggers", **place)
    source = dict(instance["source"] or {}) | {"rootDirectory": instance["rootDirectory"]}
    if trigger:
        source |= {"branch": trigger["branch"], "checkSuites": trigger["checkSuites"]}
    return {
        "source": {name: value for name, value in source.items() if value is not None},
        "build": {name: instance[name] for name in BUILD_SETTINGS if instance[name]},
        "deploy": {name: instance[name] for name in DEPLOY_SETTINGS if instance[name] is not None},
        "networking": {
            "serviceDomains": {
                row["domain"]: {"port": row["targetPort"]} for row in world.rows("domains", **place)
            }
        },
        "volumeMounts": instance.get("volumeMounts") or {},
        "variables": _variables_config(world, *place.values(), decrypt=decrypt),
    }


def _variables_config(
    world: World, environment_id: str, service_id: str | None, *, decrypt: bool
) -> dict[str, Any]:
    config = {}
    for row in own_variables(world, environment_id, service_id):
        value = {"value": row["value"]} if decrypt and not row["isSealed"] else {}
        config[row["name"]] = value | ({"isSealed": True} if row["isSealed"] else {})
    return config


def etag(world: World, environment_id: str) -> str:
    config = environment_config(world, environment_id, decrypt=True)
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:32]


def apply_patch(
    world: World, environment_id: str, patch: dict[str, Any], *, skip_deploys: bool
) -> None:
    """Commit a patch. Only services whose configuration came out different are deployed."""
    before = environment_config(world, environment_id, decrypt=True)["services"]
    shared = _apply_variables(world, environment_id, None, patch.get("sharedVariables") or {})
    for service_id, part in (patch.get("services") or {}).items():
        _apply_service(world, environment_id, service_id, part or {})
    if skip_deploys:
        return
    for instance in world.rows("instances", environmentId=environment_id):
        config = _service_config(world, instance, decrypt=True)
        old = before.get(instance["serviceId"], {})
        if config != old or shared & _shared_references(config):
            moved = config["source"].get("branch") != old.get("source", {}).get("branch")
            _deploy_configured(world, instance, to_head=moved)


def _deploy_configured(world: World, instance: Row, *, to_head: bool) -> None:
    trigger = world.one(
        "triggers", environmentId=instance["environmentId"], serviceId=instance["serviceId"]
    )
    known = trigger and git.commit(world.repository, f"refs/heads/{trigger['branch']}")
    ours = not trigger or trigger["repository"] == world.repository_name
    if (known and ours) or instance["deploymentIds"] or is_image(instance) or not ours:
        find = branch_head if to_head and known and ours else associated_commit
        deploy(world, instance, find(world, instance))


def _shared_references(config: dict[str, Any]) -> set[str]:
    named = (
        name for row in config["variables"].values() for name in references(row.get("value", ""))
    )
    return {name.removeprefix("shared.") for name in named if name.startswith("shared.")}


def _apply_service(
    world: World, environment_id: str, service_id: str, part: dict[str, Any]
) -> None:
    world.get("services", service_id)
    instance = world.one("instances", environmentId=environment_id, serviceId=service_id)
    if part.get("isDeleted"):
        drop_service_rows(world, environmentId=environment_id, serviceId=service_id)
        return
    if instance is None:
        if not part.get("isCreated"):
            raise Refused("Problem processing request", "BAD_USER_INPUT")
        instance = add_instance(
            world, environment_id, service_id, world.data["knobs"].get("late", 0)
        )
    _apply_source(world, instance, part.get("source") or {})
    update_settings(instance, (part.get("build") or {}) | (part.get("deploy") or {}))
    instance["volumeMounts"] = part.get("volumeMounts") or instance.get("volumeMounts") or {}
    _apply_variables(world, environment_id, service_id, part.get("variables") or {})
    for name, port in ((part.get("networking") or {}).get("serviceDomains") or {}).items():
        domain = world.one(
            "domains", domain=name, environmentId=environment_id, serviceId=service_id
        )
        if port is None and domain:
            drop_domain(world, domain)
        elif port is not None and not domain:
            add_domain(world, environment_id, service_id, port.get("port"))


def _apply_source(world: World, instance: Row, source: dict[str, Any]) -> None:
    if "rootDirectory" in source:
        instance["rootDirectory"] = source["rootDirectory"]
    if "repo" in source or "image" in source:
        instance["source"] = {"repo": source.get("repo"), "image": source.get("image")}
    trigger: Row = {name: source[name] for name in ("branch", "checkSuites") if name in source}
    place = {"environmentId": instance["environmentId"], "serviceId": instance["serviceId"]}
    if "branch" in trigger or (trigger and world.one("triggers", **place)):
        if source.get("repo"):
            trigger["repository"] = source["repo"]
        set_trigger(world, instance, **trigger)


def _apply_variables(
    world: World, environment_id: str, service_id: str | None, part: dict[str, Any]
) -> set[str]:
    """Set and (where null) delete variables; return the names that changed."""
    changed = set()
    for name, entry in part.items():
        if entry is None:
            world.drop("variables", environmentId=environment_id, serviceId=service_id, name=name)
            changed.add(name)
        elif entry.get("value") is not None and set_variable(
            world, environment_id, service_id, name, str(entry["value"]), entry.get("isSealed")
        ):
            changed.add(name)
    return changed


def drop_service_rows(world: World, **place: str) -> None:
    """Take an instance (or, given only `environmentId`, all of them) away with all that is its
    own.
    """
    for domain in world.rows("domains", **place):
        drop_domain(world, domain)
    gone = {row["id"] for row in world.rows("deployments", **place)}
    world.data["moving"] = [id for id in world.data["moving"] if id not in gone]
    for table in ("instances", "triggers", "variables", "deployments"):
        world.drop(table, **place)


def created_config(world: World, source_id: str) -> dict[str, Any]:
    """Return the patch that makes a copy of an environment: everything but sealed variables."""
    config = environment_config(world, source_id, decrypt=True)
    for part in config["services"].values():
        part["isCreated"] = True
    return config
