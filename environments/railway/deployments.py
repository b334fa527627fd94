"""Calls about deployments: their logs, what is deployed, and which pushes deploy."""

from collections.abc import Callable, Sequence
from itertools import batched

from environments.railway import batch
from environments.railway.answers import nodes, read_deployment, read_log_line, read_push_deploys
from environments.railway.calls import Calls, done, id_of, under
from environments.railway.objects import Deployment, LogLine, PushDeploys
from environments.railway.transport import SERVICE, fragment
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject, Malformed, commit, field, text

MAX_LOG_LINES = 5000


class Deployments(Calls):
    """Reads, starts, stops and takes back deployments."""

    def deployment(self, deployment_id: str) -> Deployment:
        """Return one deployment as it is now."""
        return self._ask("deployment", under("deployment", read_deployment), id=deployment_id)

    def deployments(
        self, project: str, environment: str, service: str, first: int = 25
    ) -> tuple[Deployment, ...]:
        """Return a service's newest `first` deployments in an environment, in Railway's order."""
        scope = _scope(project, environment, service)
        return self._ask("deployments", under("deployments", _history), input=scope, first=first)

    def deployments_of(
        self, project: str, places: Sequence[tuple[str, str]], first: int = 25
    ) -> list[tuple[Deployment, ...]]:
        """Return `deployments` of many places, in their order; one request for every 20."""
        deployments: list[tuple[Deployment, ...]] = []
        for some in batched(places, batch.MOST_HISTORIES):
            scopes = {f"i{n}": _scope(project, *place) for n, place in enumerate(some)}
            document = batch.histories_document(len(some), fragment("_deployment"))
            readers = [under(f"p{n}", _history) for n in range(len(some))]
            deployments += self._ask_text(document, _each(readers), first=first, **scopes)
        return deployments

    def push_deploys(self, project: str, environment: str, service: str) -> PushDeploys:
        """Return whether a push to its branch deploys the service in that environment."""
        read = under("serviceInstanceAutoDeployStatus", read_push_deploys)
        return self._ask("push_deploys", read, **_scope(project, environment, service))

    def push_deploys_of(self, project: str, places: Sequence[tuple[str, str]]) -> list[PushDeploys]:
        """Return `push_deploys` of many places, in their order; one request for every 60."""
        statuses: list[PushDeploys] = []
        for some in batched(places, batch.MOST):
            document = batch.push_deploys_document(len(some))
            readers = [under(f"p{n}", read_push_deploys) for n in range(len(some))]
            variables = {"projectId": project, **batch.values(some)}
            statuses += self._ask_text(document, _each(readers), **variables)
        return statuses

    def build_log(self, deployment_id: str, limit: int = 500) -> tuple[LogLine, ...]:
        """Return at most `limit` (5000) lines of the build's log."""
        return self._log("build_log", deployment_id, limit)

    def deployment_log(self, deployment_id: str, limit: int = 500) -> tuple[LogLine, ...]:
        """Return at most `limit` (5000) lines of the running deployment's log."""
        return self._log("deployment_log", deployment_id, limit)

    def _log(self, name: str, deployment_id: str, limit: int) -> tuple[LogLine, ...]:
        limit = max(1, min(limit, MAX_LOG_LINES))

        def read(data: JsonObject) -> tuple[LogLine, ...]:
            return tuple(map(read_log_line, field(data, "lines", list)[-limit:]))

        return self._ask(name, read, deploymentId=deployment_id, limit=limit)

    def deploy_commit(self, environment: str, service: str, sha: str) -> str:
        """Deploy exactly the commit `sha`; return the deployment's id."""
        if commit(sha) is None:
            sentence = f"“{text(sha, 80)}” is no full commit id: give all 40 digits."
            raise ApiError(SERVICE, "refused", sentence)
        return self._write(
            "deploy_commit", _deployed, environmentId=environment, serviceId=service, commitSha=sha
        )

    def deploy_as_is(self, environment: str, service: str) -> str:
        """Deploy an image, or the commit that is there; return the deployment's id."""
        return self._write("deploy_as_is", _deployed, environmentId=environment, serviceId=service)

    def redeploy(self, deployment_id: str) -> str:
        """Deploy the same code and settings again; return the new deployment's id."""
        return self._write("redeploy", under("deploymentRedeploy", id_of), id=deployment_id)

    def rollback(self, deployment_id: str) -> None:
        """Bring back that deployment's image *and variables*.

        Railway names no id: look at the latest.
        """
        self._write("rollback", _rolled_back, id=deployment_id)

    def set_trigger_branch(self, trigger_id: str, branch: str) -> None:
        """Have the service deploy from `branch` from now on."""

        def read(trigger: JsonObject) -> None:
            if field(trigger, "branch", str) != branch:
                raise Malformed("the trigger has another branch")

        read_trigger = under("deploymentTriggerUpdate", read)
        self._write("set_trigger_branch", read_trigger, triggerId=trigger_id, branch=branch)

    def set_autodeploy(
        self, project: str, environment: str, service: str, *, enabled: bool
    ) -> None:
        """Set whether a push deploys the service in that environment."""

        def read(setting: JsonObject) -> None:
            if field(setting, "enabled", bool) != enabled:
                raise Malformed("the setting did not change")

        wanted = {**_scope(project, environment, service), "enabled": enabled}
        read_setting = under("serviceInstanceAutoDeployUpdate", read)
        self._write("set_autodeploy", read_setting, input=wanted)

    def cancel(self, deployment_id: str) -> None:
        """Stop a deployment that is under way."""
        self._write("cancel_deployment", done("deploymentCancel"), id=deployment_id)


def _scope(project: str, environment: str, service: str) -> dict[str, str]:
    return {"projectId": project, "environmentId": environment, "serviceId": service}


def _each[T](readers: Sequence[Callable[[JsonObject], T]]) -> Callable[[JsonObject], list[T]]:
    return lambda data: [read(data) for read in readers]


def _history(connection: JsonObject) -> tuple[Deployment, ...]:
    return tuple(map(read_deployment, nodes(connection)))


def _deployed(data: JsonObject) -> str:
    return field(data, "serviceInstanceDeployV2", str)


def _rolled_back(data: JsonObject) -> None:
    if not field(data, "deploymentRollback", bool):
        sentence = (
            "Railway refuses to roll back: its image may no longer be kept; redeploy the commit."
        )
        raise ApiError(SERVICE, "refused", sentence, status=200)
