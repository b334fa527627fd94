"""Volumes and their backups: a backup takes a moment, as a workflow that can be asked about."""

from typing import Any

from .access import Caller
from .resolving import field, mutation, page, query
from .world import Row


@field("Environment", "volumeInstances")
def volumes_of_environment(source: Row, caller: Caller, **window: Any) -> Row:
    rows = caller.world.rows("volumes", environmentId=source["id"])
    return page(rows if caller.sees(source["id"]) else [], **window)


@query
def volumeInstanceBackupList(caller: Caller, volumeInstanceId: str) -> list[Row]:
    caller.owned("volumes", volumeInstanceId)
    rows = caller.world.rows("backups", volumeInstanceId=volumeInstanceId)
    return [row for row in rows if row["readyAt"] <= caller.world.clock() and not row["error"]]


@mutation
def volumeInstanceBackupCreate(
    caller: Caller, volumeInstanceId: str, name: str | None = None
) -> Row:
    volume = caller.owned("volumes", volumeInstanceId)
    world = caller.world
    row = world.add(
        "backups",
        volumeInstanceId=volumeInstanceId,
        environmentId=volume["environmentId"],
        name=name or "Manual",
        expiresAt=None,
        readyAt=world.clock() + world.seconds_per_state,
        error=volume["backupError"],
    )
    return {"workflowId": row["id"]}


@query
def workflowStatus(caller: Caller, workflowId: str) -> Row:
    row = caller.world.one("backups", id=workflowId)
    if row is None:
        return {"status": "NotFound", "error": None}
    if row["readyAt"] > caller.world.clock():
        return {"status": "Running", "error": None}
    return {"status": "Error" if row["error"] else "Complete", "error": row["error"]}
