"""The staged changes of an environment."""

from typing import Any

from .world import Row, World


def patch_of(world: World, environment_id: str) -> Row:
    """Return the environment's one patch: being applied, staged or committed."""
    patch = world.one("patches", environmentId=environment_id)
    return patch or set_patch(world, environment_id, {}, "COMMITTED")


def set_patch(
    world: World, environment_id: str, patch: dict[str, Any], state: str, *, seconds: float = 0
) -> Row:
    """Replace the environment's patch; for `seconds` it shows as APPLYING."""
    world.drop("patches", environmentId=environment_id)
    now = world.clock()
    return world.add(
        "patches",
        environmentId=environment_id,
        patch=patch,
        state=state,
        appliesAt=now + seconds,
        appliedAt=None if state == "STAGED" else world.iso(now + seconds),
        lastAppliedError=None,
        message=None,
    )


def deep_merge(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return `patch` laid over `base`; a null stays, since it means "remove"."""
    merged = dict(base)
    for name, value in patch.items():
        old = merged.get(name)
        merged[name] = (
            deep_merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return merged
