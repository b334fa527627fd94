"""What a deployment says of itself: its steps and its log lines, told from the states it went
through.
"""

from typing import Any

from .access import Caller
from .resolving import page, query
from .world import Row

STEPS = {
    "QUEUED": ["SNAPSHOT_CODE"],
    "BUILDING": ["BUILD_IMAGE", "PUBLISH_IMAGE"],
    "DEPLOYING": ["CREATE_CONTAINER", "HEALTHCHECK"],
}
ENDED_BADLY = {
    "BUILDING": "Build failed: the build command exited with status 1",
    "DEPLOYING": "Healthcheck failed: the service answered 503",
}
BUILD_LINES = ["Using Detected Dockerfile", "[1/2] COPY . .", "[2/2] RUN build"]
DEPLOY_LINES = ["Starting Container", "Listening on :8080"]


@query
def deploymentEvents(caller: Caller, id: str, **window: Any) -> Row:
    deployment = caller.owned("deployments", id)
    noted = deployment.get("preDeploy") or {}
    events: list[Row] = []
    history = deployment["history"]
    for place, (status, at) in enumerate(history):
        after, ended = history[place + 1] if place + 1 < len(history) else (None, None)
        steps = STEPS.get(status, [])
        if status == "DEPLOYING" and noted:
            # Nothing is started before the command has ended well.
            steps = ["PRE_DEPLOY_COMMAND", *(steps if noted["state"] == "done" else ())]
        for step in steps:
            failed = after == "FAILED" and step == steps[-1]
            message = (
                "Pre-deploy command failed"
                if step == "PRE_DEPLOY_COMMAND"
                else ENDED_BADLY.get(status)
            )
            payload = {"error": message} if failed else {}
            events.append(
                {
                    "id": f"{id}-{len(events)}",
                    "step": step,
                    "createdAt": at,
                    "completedAt": ended,
                    "payload": payload,
                }
            )
    return page(events, **window)


@query
def buildLogs(caller: Caller, deploymentId: str, **window: Any) -> list[Row]:
    deployment = caller.owned("deployments", deploymentId)
    return _within(_lines(deployment, "BUILDING", BUILD_LINES), **window)


@query
def deploymentLogs(caller: Caller, deploymentId: str, **window: Any) -> list[Row]:
    deployment = caller.owned("deployments", deploymentId)
    return _within(_container_lines(deployment), **window)


def _container_lines(deployment: Row) -> list[Row]:
    """Return what the pre-deploy command said, and then the container, which starts only if that
    ended well.
    """
    noted = deployment.get("preDeploy")
    if not noted:
        return _lines(deployment, "DEPLOYING", DEPLOY_LINES)
    lines = [_line(deployment, at, "info", message) for at, message in noted["lines"]]
    started = _lines(deployment, "DEPLOYING", DEPLOY_LINES if noted["state"] == "done" else [])
    ended = noted["endedAt"] or ""
    return lines + [line | {"timestamp": max(line["timestamp"], ended)} for line in started]


@query
def environmentLogs(
    caller: Caller,
    environmentId: str,
    filter: str | None = None,
    beforeLimit: int | None = 100,
    **window: Any,
) -> list[Row]:
    """Return all services' container lines, oldest first; builds are left out."""
    caller.environment(environmentId)
    lines = [
        line
        for deployment in caller.world.rows("deployments", environmentId=environmentId)
        for line in _container_lines(deployment)
    ]
    lines.sort(key=lambda line: line["timestamp"])
    return _within(lines, filter=filter, limit=beforeLimit)


def _lines(deployment: Row, during: str, messages: list[str]) -> list[Row]:
    lines = []
    for place, (status, at) in enumerate(deployment["history"]):
        failed = status in ("FAILED", "CRASHED") and deployment["history"][place - 1][0] in (
            during,
            "SUCCESS",
        )
        final = messages if status == during else ["Exited with status 1"] if failed else []
        severity = "error" if failed else "info"
        lines += [_line(deployment, at, severity, message) for message in final]
    return lines


def _line(deployment: Row, at: str, severity: str, message: str) -> Row:
    tags = {key: deployment[key] for key in ("projectId", "environmentId", "serviceId")}
    return {
        "timestamp": at,
        "severity": severity,
        "message": message,
        "tags": (
            tags
            | {"deploymentId": deployment["id"], "deploymentInstanceId": f"{deployment['id']}-1"}
        ),
        "attributes": [{"key": "level", "value": severity}],
    }


def _within(
    lines: list[Row],
    limit: int | None = 100,
    filter: str | None = None,
    startDate: str | None = None,
    endDate: str | None = None,
) -> list[Row]:
    """Return the last `limit` lines whose message or service holds every word of `filter`."""
    words = [
        word.strip('"').removeprefix("@service:")
        for word in (filter or "").split()
        if word != "AND"
    ]
    lines_within = [
        line
        for line in lines
        if (startDate or "") <= line["timestamp"] <= (endDate or "9999")
        and all(
            word.lower()
            in f"{line['message']} {line['tags']['serviceId']} {line['severity']}".lower()
            for word in words
        )
    ]
    return lines_within[-(limit or 100) :]
