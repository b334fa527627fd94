"""Calls about the pre-deploy command and what is staged in an environment."""

from collections.abc import Sequence

from environments.railway.calls import Calls, id_of, under
from portal.outbound.parsing import JsonObject, Malformed, field, word


class StagedChanges(Calls):
    """Reads, stages and commits changes of an environment's settings."""

    def pre_deploy(self, environment: str, service: str) -> tuple[str, ...]:
        """Return the pre-deploy command that is set there: none, or one."""
        read = under("serviceInstance", _command)
        return self._ask("instance_settings", read, environmentId=environment, serviceId=service)

    def staged(self, environment: str) -> dict[str, object]:
        """Return what is staged in an environment and waits to be committed; {} when nothing is."""

        def read(changes: JsonObject) -> dict[str, object]:
            is_staged = word(field(changes, "status", str)) == "staged"
            return field(changes, "patch", dict) if is_staged else {}

        read_changes = under("environmentStagedChanges", read)
        return self._ask("staged_changes", read_changes, environmentId=environment)

    def stage_pre_deploy(self, environment: str, service: str, command: Sequence[str]) -> None:
        """Stage a service's pre-deploy command (none, or one), in this environment alone."""
        patch, staged = pre_deploy_patch(service, command), under("environmentStageChanges", id_of)
        self._write("stage_changes", staged, environmentId=environment, patch=patch)

    def commit_staged(self, environment: str, message: str) -> None:
        """Apply what is staged in an environment, and deploy nothing."""

        def read(data: JsonObject) -> None:
            field(data, "environmentPatchCommitStaged", str)

        self._write("commit_staged", read, environmentId=environment, message=message)


def pre_deploy_patch(service: str, command: Sequence[str]) -> dict[str, object]:
    """Return the change that sets the command, as a list of one, or takes it away."""
    return {"services": {service: {"deploy": {"preDeployCommand": list(command) or None}}}}


def _command(instance: JsonObject) -> tuple[str, ...]:
    """Railway answers free JSON: a list, a text, or null."""
    command = instance.get("preDeployCommand") or []
    parts = [command] if isinstance(command, str) else command
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise Malformed("preDeployCommand is no list of texts")
    return tuple(parts)
