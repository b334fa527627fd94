"""The Railway stand-in: GraphQL over HTTP, real addresses for services, deploys on push."""

import json
import logging
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, build_schema, execute_sync

from portal.sandbox import documents
from portal.sandbox.server import Request, Response

from . import (  # noqa: F401 - these modules register resolvers
    deployment_mutations,
    environments,
    logs,
    mutations,
    pages,
    predeploy,
    queries,
    variable_queries,
    volumes,
)
from .access import ACCOUNT, Caller, identify
from .addresses import Addresses
from .configuration import reopen_addresses
from .movement import settle
from .pushes import catch_up, pushed
from .resolving import resolve
from .story import Story
from .webhooks import Sender
from .world import Refused, World

log = logging.getLogger(__name__)

PATH = "/graphql/v2"
HOUR = 3600
TOLD_FROM_OUTSIDE = {
    *(
        "add_environment",
        "add_service",
        "set_trigger",
        "set_variable",
        "deploy",
        "address",
        "finish",
        "latest",
    ),
    *("fail_next", "skip_next", "never_next", "break_path", "freeze", "unfreeze", "set_knobs"),
    *(
        "add_webhook",
        "add_token",
        "running_variables",
        "run_scheduled",
        "push_elsewhere",
        "set_containers",
    ),
}


@lru_cache(1)
def schema() -> GraphQLSchema:
    return build_schema(Path(__file__).with_name("schema.graphql").read_text())


class RailwayStandIn(Story):
    """An app for `portal.sandbox.server.Server`; its state lies in `directory` and survives a `kill
    -9`.

    `repository` is the bare repository that deployments are made from, `repository_name` its
    `owner/name`.
    `clock` gives seconds since the epoch; a deployment stays `seconds_per_state` in each state.
    """

    def __init__(
        self,
        directory: Path,
        *,
        repository: Path,
        repository_name: str,
        account_token: str = "sandbox-railway-token",  # noqa: S107 - a name for loopback, no secret
        project_name: str | None = None,
        clock: Callable[[], float] = time.time,
        seconds_per_state: float = 0.5,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        addresses = Addresses()
        path = directory / "railway.json"
        self.world = World(path, repository, repository_name, clock, seconds_per_state, addresses)
        if not self.world.load():
            self._begin(project_name or repository_name.rpartition("/")[2], account_token)
        self.project_id: str = next(iter(self.world.data["projects"]))
        reopen_addresses(self.world)
        catch_up(self.world)
        predeploy.begin_again(self.world)
        self.world.save()
        addresses.answer = lambda owner, path: pages.answer(self.world, owner, path)
        self._sender = Sender(self.world)

    def _begin(self, project_name: str, account_token: str) -> None:
        data = self.world.data
        data["workspace"] = {"id": "sandbox-workspace", "name": "Sandbox"}
        data["account"] = {
            "id": "sandbox-account",
            "name": "Sandbox",
            "email": "sandbox@example.com",
        }
        self.world.add(
            "projects",
            name=project_name,
            description=None,
            isPublic=False,
            workspaceId=data["workspace"]["id"],
            baseEnvironmentId=None,
            primaryEnvironmentId=None,
            prDeploys=False,
            botPrEnvironments=False,
            focusedPrEnvironments=False,
        )
        self.world.add(
            "tokens",
            token=account_token,
            kind=ACCOUNT,
            name=ACCOUNT,
            environmentId=None,
            projectId=None,
        )

    @property
    def is_new(self) -> bool:
        """True until the first environment is there."""
        return not self.world.data["environments"]

    def pushed(self, branch: str, before: str, after: str) -> None:
        """Tell of a push: every trigger on `branch` deploys `after`."""
        with self.world.changing():
            settle(self.world)
            pushed(self.world, branch, before, after)

    def stop(self) -> None:
        """Close every address and end the threads; the state stays on disk."""
        self._sender.stop()
        predeploy.end_all(self.world)
        self.world.addresses.stop()

    def __call__(self, request: Request) -> Response:
        if request.path == "/_sandbox/story" and request.method == "POST":
            return self._tell(request)
        if request.path != PATH or request.method != "POST":
            return Response(404, {"message": "Not Found"})
        with self.world.reading():
            limited = self._spend()
            settle(self.world)
            response = limited or self._graphql(request)
            return Response(
                response.status, response.body, self._limit_headers() | response.headers
            )

    def _tell(self, request: Request) -> Response:
        deliveries = []
        try:
            for line in json.loads(request.body):
                name = line.pop("do")
                if name not in TOLD_FROM_OUTSIDE:
                    raise KeyError(f"There is no story {name!r}.")
                deliveries.append(getattr(self, name)(**line))
        except (KeyError, TypeError, ValueError, Refused) as error:
            return Response(400, {"message": str(error)})
        return Response(200, deliveries)

    def _graphql(self, request: Request) -> Response:
        try:
            sent = request.json()
            query, variables = sent["query"], sent.get("variables") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            return _failed(400, [GraphQLError("Must provide query string.")], "BAD_USER_INPUT")
        document, errors = documents.read(schema(), query)
        if document is None or errors:
            return _failed(
                400, errors, f"GRAPHQL_{'PARSE' if document is None else 'VALIDATION'}_FAILED"
            )
        try:
            caller = identify(self.world, request.headers)
        except Refused as refusal:
            return _failed(200, [GraphQLError(str(refusal))])
        result = execute_sync(
            schema(),
            document,
            context_value=caller,
            variable_values=variables,
            operation_name=sent.get("operationName"),
            field_resolver=resolve,
        )
        return self._answered(result, caller)

    def _answered(self, result: ExecutionResult, caller: Caller) -> Response:
        if caller.answer_lost:
            return Response(
                504, b"<html><h1>504 Gateway Time-out</h1></html>", {"Content-Type": "text/html"}
            )
        if not result.errors:
            return Response(200, {"data": result.data})
        if all(error.path is None for error in result.errors):
            return _failed(400, result.errors, "BAD_USER_INPUT")
        return _failed(200, result.errors, data=result.data)

    def _spend(self) -> Response | None:
        """Count one request; a 429 when the hour's budget is spent."""
        now, data = self.world.clock(), self.world.data
        limit = int(data["knobs"].get("rate_limit", 10_000))
        budget = data.get("budget")
        if budget is None or now >= budget["resets_at"] or budget["limit"] != limit:
            budget = data["budget"] = {"limit": limit, "remaining": limit, "resets_at": now + HOUR}
        if budget["remaining"] <= 0:
            wait = max(1, round(budget["resets_at"] - now))
            return Response(429, {"message": "Too many requests"}, {"Retry-After": str(wait)})
        budget["remaining"] -= 1
        return None

    def _limit_headers(self) -> dict[str, str]:
        budget = self.world.data["budget"]
        return {
            "RateLimit-Policy": f"{budget['limit']};w={HOUR}",
            "X-RateLimit-Limit": str(budget["limit"]),
            "X-RateLimit-Remaining": str(budget["remaining"]),
            "X-RateLimit-Reset": self.world.iso(budget["resets_at"]),
        }


def _failed(
    status: int, errors: list[GraphQLError], code: str = "INTERNAL_SERVER_ERROR", data: Any = None
) -> Response:
    """Return `errors` as Railway words them.

    A fault of ours reads as Railway's own passing fault, and is logged.
    """
    shown = []
    for error in errors:
        cause = error.original_error
        entry: dict[str, Any] = {"message": error.message, "extensions": {"code": code}}
        if isinstance(cause, Refused):
            entry["extensions"] = cause.extensions
        elif cause is not None and not isinstance(cause, GraphQLError):
            log.error("A resolver failed.", exc_info=cause)
            entry["message"] = "Problem processing request"
        if error.path is not None:
            entry["path"] = error.path
        if error.locations:
            entry["locations"] = [location.formatted for location in error.locations]
        shown.append(entry | {"traceId": "sandbox"})
    return Response(status, {"errors": shown, "data": data})
