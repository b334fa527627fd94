"""Calls about volumes and their backups."""

from environments.railway.answers import nodes
from environments.railway.calls import Calls, id_of, under
from portal.outbound.parsing import JsonObject, field, optional, text, word


class Volumes(Calls):
    """Reads and backs up volumes."""

    def volume(self, environment: str, service: str) -> str | None:
        """Return the id of the service's volume in that environment; None where none is ready."""

        def read(volumes: JsonObject) -> str | None:
            ready = (
                id_of(node)
                for node in nodes(volumes)
                if optional(node, "serviceId", str) == service
                and word(optional(node, "state", str) or "ready") == "ready"
            )
            return next(ready, None)

        read_volumes = under("environment", under("volumeInstances", read))
        return self._ask("volumes", read_volumes, environmentId=environment)

    def volume_backup(self, volume: str, name: str) -> str | None:
        """Return the id of the volume's newest backup of that name; None where there is none."""

        def read(data: JsonObject) -> list[tuple[str, str]]:
            return [
                (field(backup, "createdAt", str), id_of(backup))
                for backup in field(data, "volumeInstanceBackupList", list)
                if optional(backup, "name", str) == name
            ]

        backups = self._ask("volume_backups", read, volumeInstanceId=volume)
        return max(backups)[1] if backups else None

    def workflow(self, workflow_id: str) -> tuple[str, str]:
        """Return complete, error, notfound or running, and Railway's reason."""

        def read(workflow: JsonObject) -> tuple[str, str]:
            return word(field(workflow, "status", str)), text(optional(workflow, "error", str))

        return self._ask("workflow", under("workflowStatus", read), workflowId=workflow_id)

    def back_up_volume(self, volume: str, name: str) -> str | None:
        """Begin a backup of a volume; return the id of the workflow that takes it."""

        def read(backup: JsonObject) -> str | None:
            return optional(backup, "workflowId", str)

        begun = under("volumeInstanceBackupCreate", read)
        return self._write("create_volume_backup", begun, volumeInstanceId=volume, label=name)
