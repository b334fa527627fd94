"""Who asks, and what that kind of token may see and do."""

from dataclasses import dataclass
from typing import Any

from .world import Refused, Row, World

ACCOUNT, WORKSPACE, PROJECT = "account", "workspace", "project"


@dataclass
class Caller:
    """One request: the world, the token that came with it (None: none that is known) and its
    header.
    """

    world: World
    token: Row | None
    as_project_token: bool
    # Set by a resolver whose answer will be lost on the way, as a gateway's timeout does.
    answer_lost: bool = False

    @property
    def kind(self) -> str | None:
        return self.token["kind"] if self.token else None

    def need(self, *kinds: str) -> None:
        if self.kind not in kinds:
            raise Refused()

    def project(self, id: str | None) -> Row:
        row = self.world.get("projects", id)
        if self.token is None or self.token.get("projectId") not in (None, id):
            raise Refused()
        return row

    def sees(self, environment_id: str | None) -> bool:
        """Return whether the token reaches into that environment; a project token is bound to
        one.
        """
        return self.token is not None and self.token.get("environmentId") in (None, environment_id)

    def environment(self, id: str | None, *, deleted: bool = False) -> Row:
        """Return the environment; refuse one that is missing, deleted or out of the token's
        reach.
        """
        row = self.world.get("environments", id)
        if not self.sees(id) or (row["deletedAt"] and not deleted):
            raise Refused()
        return row

    def owned(self, table: str, id: str | None) -> Row:
        """Return a row that lies in an environment, and the right to it."""
        row = self.world.get(table, id)
        self.environment(row["environmentId"])
        return row

    def instance(self, place: dict[str, Any]) -> Row:
        """Return the service instance that `environmentId` and `serviceId` in `place` name."""
        self.environment(place["environmentId"])
        return self.world.instance(place["environmentId"], place["serviceId"])


def identify(world: World, headers: dict[str, str]) -> Caller:
    """Return who sent these headers.

    A project token sent as Bearer, or the reverse, is named as Railway does.
    """
    project_token = headers.get("project-access-token")
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    token = world.one("tokens", token=project_token or bearer)
    right_header = token is not None and (token["kind"] == PROJECT) == (project_token is not None)
    if not right_header and (token is not None or project_token is not None):
        raise Refused("Project Token not found")
    return Caller(world, token, project_token is not None)
