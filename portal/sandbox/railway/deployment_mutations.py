"""Resolvers that start, stop, repeat and approve deployments."""

from . import git, movement, redeploying
from .access import ACCOUNT, WORKSPACE, Caller
from .resolving import mutation
from .world import Refused, Row


def _checked_commit(caller: Caller, sha: str | None) -> str | None:
    if sha is None:
        return None
    commit = git.commit(caller.world.repository, sha)
    if commit is None:
        raise Refused("Commit not found", "BAD_USER_INPUT")
    return commit


@mutation
def serviceInstanceDeployV2(
    caller: Caller, environmentId: str, serviceId: str, commitSha: str | None = None
) -> str:
    instance = caller.instance({"environmentId": environmentId, "serviceId": serviceId})
    commit = _checked_commit(caller, commitSha) or movement.associated_commit(
        caller.world, instance
    )
    return movement.deploy(caller.world, instance, commit)["id"]


@mutation
def serviceInstanceDeploy(
    caller: Caller,
    environmentId: str,
    serviceId: str,
    commitSha: str | None = None,
    latestCommit: bool | None = False,
) -> bool:
    instance = caller.instance({"environmentId": environmentId, "serviceId": serviceId})
    find = movement.branch_head if latestCommit else movement.associated_commit
    commit = _checked_commit(caller, commitSha) or find(caller.world, instance)
    movement.deploy(caller.world, instance, commit)
    return True


@mutation
def serviceInstanceRedeploy(caller: Caller, environmentId: str, serviceId: str) -> bool:
    instance = caller.instance({"environmentId": environmentId, "serviceId": serviceId})
    redeploying.redeploy(caller.world, instance, of=movement.active(caller.world, instance))
    return True


@mutation
def deploymentRedeploy(caller: Caller, id: str, usePreviousImageTag: bool | None = False) -> Row:
    caller.need(ACCOUNT, WORKSPACE)
    deployment = caller.owned("deployments", id)
    instance = caller.world.get("instances", deployment["instanceId"])
    return redeploying.redeploy(
        caller.world, instance, of=deployment, built=bool(usePreviousImageTag)
    )


@mutation
def deploymentRollback(caller: Caller, id: str) -> bool:
    redeploying.roll_back(caller.world, caller.owned("deployments", id))
    return True


@mutation
def deploymentApprove(caller: Caller, id: str) -> bool:
    movement.resume(caller.world, caller.owned("deployments", id))
    return True


@mutation
def deploymentCancel(caller: Caller, id: str) -> bool:
    deployment = caller.owned("deployments", id)
    if deployment["status"] not in movement.IN_PROGRESS:
        raise Refused("Problem processing request")
    movement.finish(caller.world, deployment, "REMOVED")
    return True


@mutation
def deploymentRemove(caller: Caller, id: str) -> bool:
    movement.finish(caller.world, caller.owned("deployments", id), "REMOVED")
    return True


@mutation
def deploymentStop(caller: Caller, id: str) -> bool:
    """Leave the status SUCCESS, as has been seen; only `deploymentStopped` tells."""
    caller.owned("deployments", id)["stopped"] = True
    return True


@mutation
def deploymentRestart(caller: Caller, id: str) -> bool:
    deployment = caller.owned("deployments", id)
    deployment["stopped"] = False
    if deployment["status"] == "CRASHED":
        movement.finish(caller.world, deployment, "SUCCESS")
    return True


@mutation
def deploymentInstanceExecutionCreate(caller: Caller, input: Row) -> bool:
    caller.owned("instances", input["serviceInstanceId"])
    return True
