"""What a push to a branch deploys, and what it skips."""

import json
import tomllib
from typing import Any

from portal.gitignore import is_exception, takes_in

from . import git
from .movement import create, deploy
from .world import Row, World


def pushed(world: World, branch: str, before: str, after: str) -> None:
    """Deploy `after` to every service whose trigger follows `branch`, as a push to GitHub does.

    A push told twice counts once.
    """
    if not after.strip("0") or world.data["heads"].get(branch) == after:
        return
    world.data["heads"][branch] = after
    changed = git.changed_paths(world.repository, before, after)
    for trigger in world.rows("triggers", branch=branch, repository=world.repository_name):
        instance = world.one(
            "instances", environmentId=trigger["environmentId"], serviceId=trigger["serviceId"]
        )
        if instance is None or not instance["autoDeploy"]:
            continue
        touched = watched(world, instance, changed, after)
        if instance["neverNext"]:
            instance["neverNext"] -= 1
        elif not touched and instance.get("quiet"):
            continue
        elif instance["skipNext"] or not touched:
            instance["skipNext"] = max(0, instance["skipNext"] - 1)
            skipped(world, instance, after, branch)
        else:
            deploy(world, instance, after, branch=branch)


def skipped(world: World, instance: Row, commit: str, branch: str) -> Row:
    """Return what a push leaves that does not deploy the service."""
    return create(world, instance, commit, "SKIPPED", [], "deploy", None, branch)


def catch_up(world: World) -> None:
    """Deploy what was pushed while nobody told: before a restart, or in the moment of a kill."""
    for branch, before in list(world.data["heads"].items()):
        head = git.commit(world.repository, f"refs/heads/{branch}")
        if head and head != before:
            pushed(world, branch, before, head)


def watched(world: World, instance: Row, changed: list[str] | None, commit: str) -> bool:
    """Return whether the service watches any of the paths, from the repository's root; None: it is
    not known which.

    Its configuration as code at `commit` goes before what is set here. A root directory limits
    nothing, but for a service of the `rooted` kind: Railway's documentation said so once, and says
    nothing now.
    """
    if changed is None:
        return True
    patterns = in_repository(world, instance, commit).get("build", {}).get("watchPatterns")
    patterns = instance["watchPatterns"] if patterns is None else patterns
    if not patterns and instance.get("rooted"):
        return any(path.startswith(f"{instance['rootDirectory'].strip('/')}/") for path in changed)
    if not patterns:
        return True
    if all(is_exception(pattern) for pattern in patterns):
        patterns = ["*", *patterns]
    return any(takes_in(patterns, path) for path in changed)


def in_repository(world: World, instance: Row, commit: str) -> dict[str, Any]:
    """Return the service's configuration as code at a commit; {} where there is none."""
    named = instance.get("railwayConfigFile")
    for path in (named.lstrip("/"),) if named else ("railway.toml", "railway.json"):
        if (message := git.show(world.repository, commit, path)) is not None:
            return dict(tomllib.loads(message) if path.endswith(".toml") else json.loads(message))
    return {}


def pushed_elsewhere(world: World, repository: str, branch: str, commit: str) -> None:
    """Deploy `commit` of another repository to every service that follows `branch` there."""
    world.data.setdefault("elsewhere", {})[f"{repository} {branch}"] = commit
    for trigger in world.rows("triggers", branch=branch, repository=repository):
        instance = world.one(
            "instances", environmentId=trigger["environmentId"], serviceId=trigger["serviceId"]
        )
        if instance is not None and instance["autoDeploy"]:
            deploy(world, instance, commit, branch=branch)
