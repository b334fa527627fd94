"""Calls about volumes and their backups."""

from environments.railway import answers
from environments.railway.calls import Calls
from environments.railway.shape import part, shaped
from portal.outbound.parsing import field, optional, text, word


class Volumes(Calls):
    """Reads and backs up volumes."""

    def volume(self, environment: str, service: str) -> str | None:
        """Return the id of the volume that the service has in that environment; None where it has
        none that is ready.
        """
        data = self.transport.ask("volumes", environmentId=environment)
        with shaped():
            found = answers.nodes(field(part(data, "environment"), "volumeInstances", dict))
            ready = (
                field(one, "id", str)
                for one in found
                if optional(one, "serviceId", str) == service
                and word(optional(one, "state", str) or "ready") == "ready"
            )
            return next(ready, None)

    def volume_backup(self, volume: str, name: str) -> str | None:
        """Return the id of the volume's newest backup of that name; None where there is none."""
        data = self.transport.ask("volume_backups", volumeInstanceId=volume)
        with shaped():
            found = [
                (field(one, "createdAt", str), field(one, "id", str))
                for one in field(data, "volumeInstanceBackupList", list)
                if optional(one, "name", str) == name
            ]
        return max(found)[1] if found else None

    def workflow(self, workflow_id: str) -> tuple[str, str]:
        """Return how a workflow stands: complete, error, notfound or running; and Railway's
        reason.
        """
        data = self.transport.ask("workflow", workflowId=workflow_id)
        with shaped():
            found = part(data, "workflowStatus")
            return word(field(found, "status", str)), text(optional(found, "error", str) or "")

    def back_up_volume(self, volume: str, name: str) -> str | None:
        """Begin a backup of a volume; return the id of the workflow that takes it."""
        data = self.transport.write("create_volume_backup", volumeInstanceId=volume, label=name)
        with shaped(write=True):
            found = field(data, "volumeInstanceBackupCreate", dict)
            return optional(found, "workflowId", str)
