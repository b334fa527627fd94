"""The Railway client: reads are tried again, writes are sent once, every answer is frozen or
`ApiError`.

Source: Railway's public GraphQL API (`https://backboard.railway.com/graphql/v2`).
"""

from environments.railway.calls import done, id_of, under
from environments.railway.deployments import Deployments
from environments.railway.notification_rules import NotificationRules
from environments.railway.objects import ProjectTree
from environments.railway.staged_changes import StagedChanges
from environments.railway.token import TokenReport, ask_whether_known, read_token
from environments.railway.tree import read_tree
from environments.railway.variables import Variables
from environments.railway.volumes import Volumes
from portal.outbound.parsing import JsonObject, field, word

# Copying an environment can outlast half a minute; Railway's own client waits as long.
COPY_SECONDS = 90.0


class Railway(Deployments, Variables, StagedChanges, Volumes, NotificationRules):
    """Railway, by default as the settings say; `kind` "project": a project token."""

    def project(self, project_id: str) -> ProjectTree:
        """Return the whole project: one call, and more where Railway says there is more."""
        return read_tree(self.transport, project_id)

    def create_environment(self, project: str, name: str, *, source: str) -> str:
        """Create an ephemeral copy of the environment `source`, nothing of it deployed yet; return
        its id.

        Raise `ApiError`: too_quickly (nothing was made), unknown_outcome (look for the name before
        asking again).
        """
        wanted: dict[str, object] = {"projectId": project, "name": name}
        wanted |= {"sourceEnvironmentId": source, "ephemeral": True, "skipInitialDeploys": True}
        made = under("environmentCreate", id_of)
        return self._write("create_environment", made, read_seconds=COPY_SECONDS, input=wanted)

    def delete_environment(self, environment: str) -> None:
        """Delete an environment with all that is in it.

        “Not Authorized” is also how one that is gone reads.
        """
        deleted = done("environmentDelete")
        self._write("delete_environment", deleted, read_seconds=COPY_SECONDS, id=environment)

    def being_changed(self, environment: str) -> bool:
        """Return whether Railway is still applying the copy."""

        def read(changes: JsonObject) -> bool:
            return word(field(changes, "status", str)) == "applying"

        read_changes = under("environmentStagedChanges", read)
        return self._ask("changes_in_progress", read_changes, environmentId=environment)

    def token_kind(self) -> TokenReport:
        """Return what the token is and reaches, found by asking.

        Raise `ApiError` only when there is no answer.
        """
        return read_token(self.transport)

    def ask_whether_known(self) -> None:
        """Ask the least that any token may. Raise `ApiError` for one that Railway does not take."""
        ask_whether_known(self.transport)
