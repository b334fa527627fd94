"""Calls about deployments: their logs, what is deployed, and which pushes deploy."""

from collections.abc import Sequence

from environments.railway import answers, batch
from environments.railway.calls import Calls
from environments.railway.objects import Deployment, LogLine, PushDeploys
from environments.railway.shape import part, shaped
from environments.railway.transport import SERVICE, fragment
from portal.outbound.http import ApiError
from portal.outbound.parsing import Malformed, commit, field, text


class Deployments(Calls):
    """Reads, starts, stops and takes back deployments."""

    def deployment(self, deployment_id: str) -> Deployment:
        """Return one deployment as it is now."""
        data = self.transport.ask("deployment", id=deployment_id)
        with shaped():
            return answers.read_deployment(part(data, "deployment"))

    def deployments(
        self, project: str, environment: str, service: str, first: int = 25
    ) -> tuple[Deployment, ...]:
        """Return the newest `first` deployments of a service in an environment, in Railway's
        order.
        """
        scope = {"projectId": project, "environmentId": environment, "serviceId": service}
        data = self.transport.ask("deployments", input=scope, first=first)
        with shaped():
            return tuple(
                answers.read_deployment(node) for node in answers.nodes(part(data, "deployments"))
            )

    def deployments_of(
        self, project: str, places: Sequence[tuple[str, str]], first: int = 25
    ) -> list[tuple[Deployment, ...]]:
        """Return `deployments` of many (environment, service), in their order; one request for
        every 20.
        """
        read: list[tuple[Deployment, ...]] = []
        for some in batch.chunks(places, batch.MOST_HISTORIES):
            scopes = {
                f"i{n}": {"projectId": project, "environmentId": environment, "serviceId": service}
                for n, (environment, service) in enumerate(some)
            }
            asked = batch.histories_document(len(some), fragment("_deployment"))
            data = self.transport.ask_text(asked, first=first, **scopes)
            with shaped():
                read += [
                    tuple(
                        answers.read_deployment(node) for node in answers.nodes(part(data, f"p{n}"))
                    )
                    for n in range(len(some))
                ]
        return read

    def push_deploys(self, project: str, environment: str, service: str) -> PushDeploys:
        """Return whether a push to its branch deploys the service in that environment."""
        scope = {"projectId": project, "environmentId": environment, "serviceId": service}
        data = self.transport.ask("push_deploys", **scope)
        with shaped():
            return answers.read_push_deploys(field(data, "serviceInstanceAutoDeployStatus", dict))

    def push_deploys_of(self, project: str, places: Sequence[tuple[str, str]]) -> list[PushDeploys]:
        """Return `push_deploys` of many (environment, service), in their order; one request for
        every 60.
        """
        read: list[PushDeploys] = []
        for some in batch.chunks(places):
            document = batch.push_deploys_document(len(some))
            data = self.transport.ask_text(document, projectId=project, **batch.values(some))
            with shaped():
                read += [
                    answers.read_push_deploys(field(data, f"p{n}", dict)) for n in range(len(some))
                ]
        return read

    def build_log(self, deployment_id: str, limit: int = 500) -> tuple[LogLine, ...]:
        """Return at most `limit` (5000) lines of the build's log."""
        return self._log("build_log", deployment_id, limit)

    def deployment_log(self, deployment_id: str, limit: int = 500) -> tuple[LogLine, ...]:
        """Return at most `limit` (5000) lines of the running deployment's log."""
        return self._log("deployment_log", deployment_id, limit)

    def _log(self, name: str, deployment_id: str, limit: int) -> tuple[LogLine, ...]:
        limit = max(1, min(limit, MAX_LOG_LINES))
        data = self.transport.ask(name, deploymentId=deployment_id, limit=limit)
        with shaped():
            return tuple(
                answers.read_log_line(item) for item in field(data, "lines", list)[-limit:]
            )

    def deploy_commit(self, environment: str, service: str, sha: str) -> str:
        """Deploy exactly the commit `sha`; return the deployment's id."""
        if commit(sha) is None:
            sentence = f"“{text(sha, 80)}” is no full commit id: give all 40 digits."
            raise ApiError(SERVICE, "refused", sentence)
        data = self.transport.write(
            "deploy_commit", environmentId=environment, serviceId=service, commitSha=sha
        )
        with shaped(write=True):
            return field(data, "serviceInstanceDeployV2", str)

    def redeploy(self, deployment_id: str) -> str:
        """Deploy the same code and settings again; return the new deployment's id."""
        data = self.transport.write("redeploy", id=deployment_id)
        with shaped(write=True):
            return field(field(data, "deploymentRedeploy", dict), "id", str)

    def rollback(self, deployment_id: str) -> None:
        """Bring back that deployment's image *and variables*.

        Railway names no id: look at the latest.
        """
        data = self.transport.write("rollback", id=deployment_id)
        with shaped(write=True):
            if not field(data, "deploymentRollback", bool):
                sentence = (
                    "Railway refuses to roll back: its image may no longer be kept; redeploy the"
                    " commit."
                )
                raise ApiError(SERVICE, "refused", sentence, status=200)

    def set_trigger_branch(self, trigger_id: str, branch: str) -> None:
        """Have the service deploy from `branch` from now on."""
        data = self.transport.write("set_trigger_branch", triggerId=trigger_id, branch=branch)
        with shaped(write=True):
            if field(field(data, "deploymentTriggerUpdate", dict), "branch", str) != branch:
                raise Malformed("the trigger has another branch")

    def set_autodeploy(
        self, project: str, environment: str, service: str, *, enabled: bool
    ) -> None:
        """Set whether a push deploys the service in that environment."""
        scope = {"projectId": project, "environmentId": environment, "serviceId": service}
        data = self.transport.write("set_autodeploy", input=scope | {"enabled": enabled})
        with shaped(write=True):
            if (
                field(field(data, "serviceInstanceAutoDeployUpdate", dict), "enabled", bool)
                != enabled
            ):
                raise Malformed("the setting did not change")

    def cancel(self, deployment_id: str) -> None:
        """Stop a deployment that is under way."""
        data = self.transport.write("cancel_deployment", id=deployment_id)
        with shaped(write=True):
            if not field(data, "deploymentCancel", bool):
                raise Malformed("deploymentCancel is false")

    def deploy_as_is(self, environment: str, service: str) -> str:
        """Deploy a service that is not built from GitHub, or the commit it has; return the
        deployment's id.
        """
        data = self.transport.write("deploy_as_is", environmentId=environment, serviceId=service)
        with shaped(write=True):
            return field(data, "serviceInstanceDeployV2", str)


MAX_LOG_LINES = 5000
