"""Calls about the pre-deploy command and what is staged in an environment."""

from collections.abc import Sequence

from environments.railway.calls import Calls
from environments.railway.shape import part, shaped
from portal.outbound.parsing import Malformed, field, get_path, word


class StagedChanges(Calls):
    """Reads, stages and commits changes of an environment's settings."""

    def pre_deploy(self, environment: str, service: str) -> tuple[str, ...]:
        """Return the pre-deploy command that is set there: none, or one."""
        data = self.transport.ask("instance_settings", environmentId=environment, serviceId=service)
        with shaped():
            found = field(
                {"set": get_path(part(data, "serviceInstance"), "preDeployCommand")}, "set", object
            )
            if found is None or isinstance(found, str):
                return (found,) if found else ()
            if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
                raise Malformed("preDeployCommand is no list of texts")
            return tuple(found)

    def staged(self, environment: str) -> dict[str, object]:
        """Return what is staged in an environment and waits to be committed; {} when nothing is."""
        data = self.transport.ask("staged_changes", environmentId=environment)
        with shaped():
            changes = field(data, "environmentStagedChanges", dict)
            return (
                field(changes, "patch", dict)
                if word(field(changes, "status", str)) == "staged"
                else {}
            )

    def stage_pre_deploy(self, environment: str, service: str, command: Sequence[str]) -> None:
        """Stage `command` (none, or one) as that service's pre-deploy command, in this environment
        alone.
        """
        patch = pre_deploy_patch(service, command)
        data = self.transport.write("stage_changes", environmentId=environment, patch=patch)
        with shaped(write=True):
            field(field(data, "environmentStageChanges", dict), "id", str)

    def commit_staged(self, environment: str, message: str) -> None:
        """Apply what is staged in an environment, and deploy nothing."""
        data = self.transport.write("commit_staged", environmentId=environment, message=message)
        with shaped(write=True):
            field(data, "environmentPatchCommitStaged", str)


def pre_deploy_patch(service: str, command: Sequence[str]) -> dict[str, object]:
    """Return the change of an environment's configuration that sets the command, as a list of one,
    or takes it away.
    """
    return {"services": {service: {"deploy": {"preDeployCommand": list(command) or None}}}}
