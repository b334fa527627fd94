"""The Railway client: reads are tried again, writes are sent once, every answer is frozen or
`ApiError`.

Source: Railway's public GraphQL API (`https://backboard.railway.com/graphql/v2`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings

from environments.railway import answers, batch
from environments.railway.answers import Deployment, LogLine, ProjectTree, PushDeploys, Rule
from environments.railway.batch import Place
from environments.railway.transport import SERVICE, Transport, fragment
from environments.railway.tree import read_tree
from portal.outbound.credentials import Secret
from portal.outbound.http import ApiError, Withhold, malformed, unknown_outcome
from portal.outbound.parsing import (
    JsonObject,
    Malformed,
    commit,
    field,
    get_path,
    optional,
    text,
    word,
)

MAX_LOG_LINES = 5000
COPY_SECONDS = (
    90.0  # copying an environment can outlast half a minute; Railway's own client waits as long
)
# Errors that say "not with this token", as against "no answer".
_REFUSALS = frozenset({"unauthorized", "wrong_header", "forbidden", "not_found", "refused"})


@dataclass(frozen=True)
class TokenReport:
    """What a token is.

    `kind`: "account", "workspace", "project" or "unknown"; `sentence` is for people.
    """

    kind: str
    sentence: str
    workspaces: tuple[tuple[str, str], ...] = ()  # (id, name)
    project: tuple[str, str] | None = None  # (id, name)
    environment: tuple[str, str] | None = None  # (id, name): a project token reaches no other


@contextmanager
def _shaped(*, write: bool = False) -> Iterator[None]:
    """Turns an answer of the wrong shape into an `ApiError`."""
    try:
        yield
    except Malformed as error:
        raise (unknown_outcome if write else malformed)(SERVICE, str(error)) from error


class Railway:
    """Railway, by default with the token and address of the settings; `kind` "project": a
    project token.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        api_url: str | None = None,
        kind: str | None = None,
        withhold: Withhold | None = None,
    ) -> None:
        header = None if kind is None else ("project" if kind == "project" else "bearer")
        self.transport = Transport(
            settings.RAILWAY_API_URL if api_url is None else api_url,
            token,
            header,
            withhold=withhold,
        )
        self._known: dict[tuple[str, str, str | None, bool], dict[str, Secret | None]] = {}

    # Reads

    def project(self, project_id: str) -> ProjectTree:
        """The whole project: one call, and more only where Railway says that there is more."""
        return read_tree(self.transport, project_id)

    def deployment(self, deployment_id: str) -> Deployment:
        """One deployment as it is now."""
        data = self.transport.ask("deployment", id=deployment_id)
        with _shaped():
            return answers.read_deployment(_part(data, "deployment"))

    def deployments(
        self, project: str, environment: str, service: str, first: int = 25
    ) -> tuple[Deployment, ...]:
        """The newest `first` deployments of a service in an environment, in Railway's order."""
        scope = {"projectId": project, "environmentId": environment, "serviceId": service}
        data = self.transport.ask("deployments", input=scope, first=first)
        with _shaped():
            return tuple(
                answers.read_deployment(node) for node in answers.nodes(_part(data, "deployments"))
            )

    def deployments_of(
        self, project: str, places: Sequence[tuple[str, str]], first: int = 25
    ) -> list[tuple[Deployment, ...]]:
        """`deployments` of many (environment, service), in their order; one request for every
        20.
        """
        read: list[tuple[Deployment, ...]] = []
        for some in batch.chunks(places, batch.MOST_HISTORIES):
            scopes = {
                f"i{n}": {"projectId": project, "environmentId": environment, "serviceId": service}
                for n, (environment, service) in enumerate(some)
            }
            asked = batch.histories_document(len(some), fragment("_deployment"))
            data = self.transport.ask_text(asked, first=first, **scopes)
            with _shaped():
                read += [
                    tuple(
                        answers.read_deployment(node)
                        for node in answers.nodes(_part(data, f"p{n}"))
                    )
                    for n in range(len(some))
                ]
        return read

    def push_deploys(self, project: str, environment: str, service: str) -> PushDeploys:
        """Whether a push to its branch deploys the service in that environment."""
        scope = {"projectId": project, "environmentId": environment, "serviceId": service}
        data = self.transport.ask("push_deploys", **scope)
        with _shaped():
            return answers.read_push_deploys(field(data, "serviceInstanceAutoDeployStatus", dict))

    def push_deploys_of(self, project: str, places: Sequence[tuple[str, str]]) -> list[PushDeploys]:
        """`push_deploys` of many (environment, service), in their order; one request for every
        60.
        """
        read: list[PushDeploys] = []
        for some in batch.chunks(places):
            document = batch.push_deploys_document(len(some))
            data = self.transport.ask_text(document, projectId=project, **batch.values(some))
            with _shaped():
                read += [
                    answers.read_push_deploys(field(data, f"p{n}", dict)) for n in range(len(some))
                ]
        return read

    def build_log(self, deployment_id: str, limit: int = 500) -> tuple[LogLine, ...]:
        """At most `limit` (5000) lines of the build's log."""
        return self._log("build_log", deployment_id, limit)

    def deployment_log(self, deployment_id: str, limit: int = 500) -> tuple[LogLine, ...]:
        """At most `limit` (5000) lines of the running deployment's log."""
        return self._log("deployment_log", deployment_id, limit)

    def _log(self, name: str, deployment_id: str, limit: int) -> tuple[LogLine, ...]:
        limit = max(1, min(limit, MAX_LOG_LINES))
        data = self.transport.ask(name, deploymentId=deployment_id, limit=limit)
        with _shaped():
            return tuple(
                answers.read_log_line(item) for item in field(data, "lines", list)[-limit:]
            )

    def variables(
        self, project: str, environment: str, service: str | None, *, unrendered: bool
    ) -> dict[str, Secret | None]:
        """Variables by name; None is a sealed one: its value never comes back. No `service`: the
        shared.

        `unrendered` keeps references (`${{Service.NAME}}`) as written.
        """
        known = self._known.get((project, environment, service, unrendered))
        if known is not None:
            return known
        data = self.transport.ask(
            "variables",
            projectId=project,
            environmentId=environment,
            serviceId=service,
            unrendered=unrendered,
        )
        with _shaped():
            return _secrets(data, "variables")

    def variables_of(
        self, project: str, places: Sequence[Place], *, unrendered: bool
    ) -> dict[Place, dict[str, Secret | None] | ApiError]:
        """`variables` of many (environment, service), in one request for every 60; the error where
        it is refused.

        Railway answers a document with one refused place with nothing at all: then each place is
        asked by itself.
        """
        read: dict[Place, dict[str, Secret | None] | ApiError] = {}
        for some in batch.chunks(places):
            given = {"projectId": project, "unrendered": unrendered} | batch.values(some)
            try:
                data = self.transport.ask_text(batch.variables_document(len(some)), **given)
                with _shaped():
                    read |= {place: _secrets(data, f"p{n}") for n, place in enumerate(some)}
            except ApiError as error:
                if error.kind not in _REFUSALS or error.kind in ("unauthorized", "wrong_header"):
                    raise
                read |= {
                    place: self._variables_or_refusal(project, place, unrendered) for place in some
                }
        return read

    def _variables_or_refusal(
        self, project: str, place: Place, unrendered: bool
    ) -> dict[str, Secret | None] | ApiError:
        try:
            return self.variables(project, *place, unrendered=unrendered)
        except ApiError as error:
            if error.kind not in _REFUSALS:
                raise
            return error

    def remember(self, project: str, places: Sequence[Place]) -> None:
        """Read the rendered variables of `places` together; `variables` of this object then answers
        from memory.

        For one look at many places: nothing outlives this object. What is refused is asked again by
        itself.
        """
        found = self.variables_of(project, places, unrendered=False)
        for (environment, service), one in found.items():
            if not isinstance(one, ApiError):
                self._known[project, environment, service, False] = one

    def pre_deploy(self, environment: str, service: str) -> tuple[str, ...]:
        """The pre-deploy command that is set there: none, or one."""
        data = self.transport.ask("instance_settings", environmentId=environment, serviceId=service)
        with _shaped():
            found = field(
                {"set": get_path(_part(data, "serviceInstance"), "preDeployCommand")}, "set", object
            )
            if found is None or isinstance(found, str):
                return (found,) if found else ()
            if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
                raise Malformed("preDeployCommand is no list of texts")
            return tuple(found)

    def staged(self, environment: str) -> dict[str, object]:
        """What is staged in an environment and waits to be committed; {} when nothing is."""
        data = self.transport.ask("staged_changes", environmentId=environment)
        with _shaped():
            changes = field(data, "environmentStagedChanges", dict)
            return (
                field(changes, "patch", dict)
                if word(field(changes, "status", str)) == "staged"
                else {}
            )

    def rules(self, workspace: str, project: str) -> tuple[Rule, ...]:
        """The notification rules that concern a project."""
        data = self.transport.ask("notification_rules", workspaceId=workspace, projectId=project)
        with _shaped():
            return tuple(answers.read_rule(item) for item in field(data, "notificationRules", list))

    def volume(self, environment: str, service: str) -> str | None:
        """The id of the volume that the service has in that environment; None where it has
        none that is ready.
        """
        data = self.transport.ask("volumes", environmentId=environment)
        with _shaped():
            found = answers.nodes(field(_part(data, "environment"), "volumeInstances", dict))
            ready = (
                field(one, "id", str)
                for one in found
                if optional(one, "serviceId", str) == service
                and word(optional(one, "state", str) or "ready") == "ready"
            )
            return next(ready, None)

    def volume_backup(self, volume: str, name: str) -> str | None:
        """The id of the volume's newest backup of that name; None where there is none."""
        data = self.transport.ask("volume_backups", volumeInstanceId=volume)
        with _shaped():
            found = [
                (field(one, "createdAt", str), field(one, "id", str))
                for one in field(data, "volumeInstanceBackupList", list)
                if optional(one, "name", str) == name
            ]
        return max(found)[1] if found else None

    def workflow(self, workflow_id: str) -> tuple[str, str]:
        """How a workflow stands: complete, error, notfound or running; and Railway's reason."""
        data = self.transport.ask("workflow", workflowId=workflow_id)
        with _shaped():
            found = _part(data, "workflowStatus")
            return word(field(found, "status", str)), text(optional(found, "error", str) or "")

    # Writes: sent once

    def back_up_volume(self, volume: str, name: str) -> str | None:
        """Begins a backup of a volume; returns the id of the workflow that takes it."""
        data = self.transport.write("create_volume_backup", volumeInstanceId=volume, label=name)
        with _shaped(write=True):
            found = field(data, "volumeInstanceBackupCreate", dict)
            return optional(found, "workflowId", str)

    def add_rule(self, workspace: str, project: str, url: str, events: Sequence[str]) -> str:
        """From now on Railway posts these events of all the project's environments to `url`;
        returns the id.
        """
        scope = {"workspaceId": workspace, "projectId": project}
        data = self.transport.write("add_notification_rule", input=scope | _posting(url, events))
        with _shaped(write=True):
            return field(field(data, "notificationRuleCreate", dict), "id", str)

    def change_rule(self, rule_id: str, url: str, events: Sequence[str]) -> None:
        """Makes a rule what `add_rule` would have made."""
        data = self.transport.write(
            "change_notification_rule", id=rule_id, input=_posting(url, events)
        )
        with _shaped(write=True):
            if field(field(data, "notificationRuleUpdate", dict), "id", str) != rule_id:
                raise Malformed("another rule came back")

    def deploy_commit(self, environment: str, service: str, sha: str) -> str:
        """Deploys exactly the commit `sha`; returns the deployment's id."""
        if commit(sha) is None:
            sentence = f"“{text(sha, 80)}” is no full commit id: give all 40 digits."
            raise ApiError(SERVICE, "refused", sentence)
        data = self.transport.write(
            "deploy_commit", environmentId=environment, serviceId=service, commitSha=sha
        )
        with _shaped(write=True):
            return field(data, "serviceInstanceDeployV2", str)

    def redeploy(self, deployment_id: str) -> str:
        """Deploys the same code and settings again; returns the new deployment's id."""
        data = self.transport.write("redeploy", id=deployment_id)
        with _shaped(write=True):
            return field(field(data, "deploymentRedeploy", dict), "id", str)

    def rollback(self, deployment_id: str) -> None:
        """Brings back that deployment's image *and variables*.

        Railway names no id: look at the latest.
        """
        data = self.transport.write("rollback", id=deployment_id)
        with _shaped(write=True):
            if not field(data, "deploymentRollback", bool):
                sentence = (
                    "Railway refuses to roll back: its image may no longer be kept; redeploy the"
                    " commit."
                )
                raise ApiError(SERVICE, "refused", sentence, status=200)

    def set_trigger_branch(self, trigger_id: str, branch: str) -> None:
        """From now on the service deploys from `branch`."""
        data = self.transport.write("set_trigger_branch", triggerId=trigger_id, branch=branch)
        with _shaped(write=True):
            if field(field(data, "deploymentTriggerUpdate", dict), "branch", str) != branch:
                raise Malformed("the trigger has another branch")

    def set_autodeploy(
        self, project: str, environment: str, service: str, *, enabled: bool
    ) -> None:
        """Whether a push deploys the service in that environment."""
        scope = {"projectId": project, "environmentId": environment, "serviceId": service}
        data = self.transport.write("set_autodeploy", input=scope | {"enabled": enabled})
        with _shaped(write=True):
            if (
                field(field(data, "serviceInstanceAutoDeployUpdate", dict), "enabled", bool)
                != enabled
            ):
                raise Malformed("the setting did not change")

    def stage_pre_deploy(self, environment: str, service: str, command: Sequence[str]) -> None:
        """Stages `command` (none, or one) as that service's pre-deploy command, in this
        environment alone.
        """
        patch = pre_deploy_patch(service, command)
        data = self.transport.write("stage_changes", environmentId=environment, patch=patch)
        with _shaped(write=True):
            field(field(data, "environmentStageChanges", dict), "id", str)

    def commit_staged(self, environment: str, message: str) -> None:
        """Applies what is staged in an environment, and deploys nothing."""
        data = self.transport.write("commit_staged", environmentId=environment, message=message)
        with _shaped(write=True):
            field(data, "environmentPatchCommitStaged", str)

    def cancel(self, deployment_id: str) -> None:
        """Stops a deployment that is under way."""
        data = self.transport.write("cancel_deployment", id=deployment_id)
        with _shaped(write=True):
            if not field(data, "deploymentCancel", bool):
                raise Malformed("deploymentCancel is false")

    # Environments

    def create_environment(self, project: str, name: str, *, source: str) -> str:
        """An ephemeral copy of the environment `source`, nothing of it deployed yet; returns its
        id.

        Raises `ApiError`: too_quickly (nothing was made), unknown_outcome (look for the name before
        asking again).
        """
        wanted: dict[str, object] = {
            "projectId": project,
            "name": name,
            "sourceEnvironmentId": source,
        }
        wanted |= {"ephemeral": True, "skipInitialDeploys": True}
        data = self.transport.write("create_environment", read_seconds=COPY_SECONDS, input=wanted)
        with _shaped(write=True):
            return field(field(data, "environmentCreate", dict), "id", str)

    def delete_environment(self, environment: str) -> None:
        """Deletes an environment with all that is in it.

        “Not Authorized” is also how one that is gone reads.
        """
        data = self.transport.write("delete_environment", read_seconds=COPY_SECONDS, id=environment)
        with _shaped(write=True):
            if not field(data, "environmentDelete", bool):
                raise Malformed("environmentDelete is false")

    def being_changed(self, environment: str) -> bool:
        """Whether Railway is still applying the copy."""
        data = self.transport.ask("changes_in_progress", environmentId=environment)
        with _shaped():
            return word(field(_part(data, "environmentStagedChanges"), "status", str)) == "applying"

    def set_variables(
        self, project: str, environment: str, service: str, values: Mapping[str, str]
    ) -> None:
        """Sets these variables of a service and deploys nothing; others stay."""
        scope = {"projectId": project, "environmentId": environment, "serviceId": service}
        wanted = scope | {"variables": dict(values), "replace": False, "skipDeploys": True}
        data = self.transport.write("set_variables", input=wanted)
        with _shaped(write=True):
            if not field(data, "variableCollectionUpsert", bool):
                raise Malformed("variableCollectionUpsert is false")

    def deploy_as_is(self, environment: str, service: str) -> str:
        """Deploys a service that is not built from GitHub, or the commit it has; returns the
        deployment's id.
        """
        data = self.transport.write("deploy_as_is", environmentId=environment, serviceId=service)
        with _shaped(write=True):
            return field(data, "serviceInstanceDeployV2", str)

    # The token

    def token_kind(self) -> TokenReport:
        """What the token is and reaches, found by asking.

        Raises `ApiError` only when there is no answer.
        """
        bearer, project = (
            self.transport.with_header("bearer"),
            self.transport.with_header("project"),
        )
        if workspaces := _answer(bearer, "token_workspaces"):
            with _shaped():
                reached = tuple(
                    (field(item, "id", str), text(field(item, "name", str)))
                    for item in field(field(workspaces, "apiToken", dict), "workspaces", list)
                )
            names = ", ".join(name for _, name in reached) or "no workspace"
            if _answer(bearer, "token_account"):
                sentence = (
                    f"Account token with access to {names}. A workspace token would be safer: it "
                    "reaches only one workspace."
                )
                return TokenReport("account", sentence, reached)
            return TokenReport("workspace", f"Workspace token for {names}.", reached)
        if scope := _answer(project, "token_project"):
            return _project_report(scope)
        sentence = "Railway knows no such token: make a workspace token and set RAILWAY_API_TOKEN."
        return TokenReport("unknown", sentence)


def pre_deploy_patch(service: str, command: Sequence[str]) -> dict[str, object]:
    """The change of an environment's configuration that sets the command, as a list of one, or
    takes it away.
    """
    return {"services": {service: {"deploy": {"preDeployCommand": list(command) or None}}}}


def _posting(url: str, events: Sequence[str]) -> dict[str, object]:
    channel = {"type": "webhook", "url": url}
    return {"eventTypes": list(events), "ephemeralEnvironments": True, "channelConfigs": [channel]}


def _answer(transport: Transport, name: str) -> dict[str, object] | None:
    try:
        return transport.ask(name)
    except ApiError as error:
        if error.kind in _REFUSALS:
            return None
        raise


def _project_report(scope: object) -> TokenReport:
    with _shaped():
        token = field(scope, "projectToken", dict)
        project = (field(token, "projectId", str), text(get_path(token, "project", "name")))
        environment = (
            field(token, "environmentId", str),
            text(get_path(token, "environment", "name")),
        )
    sentence = (
        f"A project token for {project[1]}, environment {environment[1]}: it sees no other"
        " environment and cannot redeploy; make a workspace token."
    )
    return TokenReport("project", sentence, (), project, environment)


def _part(data: Mapping[str, object], name: str) -> JsonObject:
    with _shaped():
        return field(data, name, dict)


def _secrets(data: Mapping[str, object], name: str) -> dict[str, Secret | None]:
    found = field(data, name, dict)
    return {key: _secret(found, key) for key in found}


def _secret(found: Mapping[str, object], name: str) -> Secret | None:
    value = optional(found, name, str)
    return None if value is None else Secret(value)
