"""Mutations on environments: making, deleting and patching them."""

from typing import Any

from .access import ACCOUNT, WORKSPACE, Caller
from .configuration import apply_patch, created_config, drop_service_rows
from .patches import deep_merge, patch_of, set_patch
from .resolving import mutation
from .world import Refused, Row, World

COOLDOWN_SECONDS = 30


@mutation
def environmentCreate(caller: Caller, input: Row) -> Row:
    """Return an empty environment, or a copy. Names need not be unique; one creation per
    cooldown.
    """
    caller.need(ACCOUNT, WORKSPACE)
    project = caller.project(input["projectId"])
    source_id = input.get("sourceEnvironmentId")
    if source_id:
        caller.environment(source_id)
    _cool_down(caller.world)
    environment = new_environment(
        caller.world,
        project["id"],
        input["name"],
        source_id,
        ephemeral=bool(input.get("ephemeral")),
    )
    if source_id:
        copy_environment(caller.world, environment, source_id, input)
    knobs = caller.world.data["knobs"]
    if knobs.get("lose_answers"):
        knobs["lose_answers"] -= 1
        caller.answer_lost = True
    return environment


def new_environment(
    world: World,
    project_id: str,
    name: str,
    source_id: str | None = None,
    *,
    ephemeral: bool = False,
    meta: Row | None = None,
) -> Row:
    return world.add(
        "environments",
        projectId=project_id,
        name=name,
        isEphemeral=ephemeral,
        sourceEnvironmentId=source_id,
        meta=meta,
    )


def _cool_down(world: World) -> None:
    knobs = world.data["knobs"]
    seconds = knobs.get("cooldown", COOLDOWN_SECONDS)
    if world.clock() - knobs.get("created_at", 0) < seconds:
        raise Refused(
            "You are creating environments too quickly. This workspace allows 1 environment per"
            f" {seconds:g} seconds"
        )
    knobs["created_at"] = world.clock()


def copy_environment(world: World, environment: Row, source_id: str, input: Row) -> None:
    patch = created_config(world, source_id)
    if input.get("stageInitialChanges"):
        set_patch(world, environment["id"], patch, "STAGED")
        return
    apply_patch(world, environment["id"], patch, skip_deploys=bool(input.get("skipInitialDeploys")))
    set_patch(
        world, environment["id"], patch, "COMMITTED", seconds=world.data["knobs"].get("late", 0)
    )


@mutation
def environmentDelete(caller: Caller, id: str) -> bool:
    """Delete it; a second call is "Not Authorized", which is how one that is gone reads."""
    caller.need(ACCOUNT, WORKSPACE)
    drop_environment(caller.world, caller.environment(id))
    return True


def drop_environment(world: World, environment: Row) -> None:
    """Delete it with everything in it."""
    drop_service_rows(world, environmentId=environment["id"])
    world.drop("patches", environmentId=environment["id"])
    environment["deletedAt"] = world.iso()


@mutation
def environmentPatchCommit(
    caller: Caller, environmentId: str, patch: Any = None, commitMessage: str | None = None
) -> str:
    caller.environment(environmentId)
    apply_patch(caller.world, environmentId, _checked(patch), skip_deploys=False)
    return set_patch(caller.world, environmentId, patch or {}, "COMMITTED")["id"]


@mutation
def environmentStageChanges(
    caller: Caller, environmentId: str, input: Any, merge: bool | None = False
) -> Row:
    caller.environment(environmentId)
    staged = patch_of(caller.world, environmentId)
    base = staged["patch"] if merge and staged["state"] == "STAGED" else {}
    return set_patch(caller.world, environmentId, deep_merge(base, _checked(input)), "STAGED")


@mutation
def environmentPatchCommitStaged(
    caller: Caller,
    environmentId: str,
    commitMessage: str | None = None,
    skipDeploys: bool | None = False,
) -> str:
    caller.environment(environmentId)
    staged = patch_of(caller.world, environmentId)
    if staged["state"] != "STAGED":
        raise Refused("No patch to apply", "BAD_USER_INPUT")
    apply_patch(caller.world, environmentId, staged["patch"], skip_deploys=bool(skipDeploys))
    return set_patch(caller.world, environmentId, staged["patch"], "COMMITTED")["id"]


def _checked(patch: Any) -> dict[str, Any]:
    if patch is not None and not isinstance(patch, dict):
        raise Refused("Invalid patch", "BAD_USER_INPUT")
    return patch or {}
