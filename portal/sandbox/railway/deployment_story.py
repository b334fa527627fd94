"""What a test arranges of deployments: which there are, how they end, and what they answer."""

from typing import Any

from . import movement, pushes, redeploying
from .world import Row, World


class DeploymentStory:
    """The story methods about deployments. Unknown names raise `KeyError`."""

    world: World
    project_id: str

    def _named(self, table: str, name: str) -> Row:
        wanted: dict[str, Any] = {"deletedAt": None} if table == "environments" else {}
        for row in self.world.rows(table, **wanted):
            if name in (row["id"], row["name"]):
                return row
        raise KeyError(f"There is no {name!r} among the {table}.")

    def _instance(self, service: str, environment: str) -> Row:
        service_id, environment_id = (
            self._named("services", service)["id"],
            self._named("environments", environment)["id"],
        )
        row = self.world.one("instances", serviceId=service_id, environmentId=environment_id)
        if row is None:
            raise KeyError(f"The service {service!r} is not in {environment!r}.")
        return row

    def deploy(
        self, service: str, environment: str, commit: str | None = None, *, live: bool = False
    ) -> str:
        """Start a deployment of `commit` (None: of its image, or of uploaded files), or with `live`
        one that is up.

        Return its id.
        """
        with self.world.changing():
            row = movement.deploy(self.world, self._instance(service, environment), commit)
            if live:
                movement.finish(self.world, row, "SUCCESS")
            return row["id"]

    def skip(self, service: str, environment: str, commit: str, branch: str) -> str:
        """Return a push of `commit` that touched nothing the service watches left a skipped
        deployment.

        Return its id.
        """
        with self.world.changing():
            return pushes.skipped(self.world, self._instance(service, environment), commit, branch)[
                "id"
            ]

    def run_scheduled(self, service: str, environment: str) -> str:
        """Run a scheduled service: a new deployment of what it has. Return its id."""
        with self.world.changing():
            movement.settle(self.world)
            instance = self._instance(service, environment)
            commit = movement.associated_commit(self.world, instance)
            return movement.deploy(self.world, instance, commit, built=True)["id"]

    def push_elsewhere(self, repository: str, branch: str, commit: str) -> None:
        """Push `commit` to a branch of another repository, from which services here are built."""
        with self.world.changing():
            movement.settle(self.world)
            pushes.pushed_elsewhere(self.world, repository, branch, commit)

    def set_containers(self, service: str, environment: str, *states: str) -> None:
        """Set how the containers of the live deployment are, in Railway's words; none: as usual."""
        with self.world.changing():
            movement.settle(self.world)
            deployment = movement.active(self.world, self._instance(service, environment))
            if deployment is not None:
                deployment["containers"] = list(states) or None

    def redeploy(self, service: str, environment: str, *, by: str | None = None) -> str:
        """Press “Redeploy” on the dashboard. Return the new deployment's id."""
        with self.world.changing():
            movement.settle(self.world)
            instance = self._instance(service, environment)
            return self._by(
                redeploying.redeploy(
                    self.world, instance, of=movement.active(self.world, instance)
                ),
                by,
            )

    def roll_back(self, deployment_id: str, *, by: str | None = None) -> str:
        """Press “Rollback” on the dashboard. Return the new deployment's id."""
        with self.world.changing():
            movement.settle(self.world)
            return self._by(
                redeploying.roll_back(self.world, self.world.get("deployments", deployment_id)), by
            )

    def _by(self, deployment: Row, name: str | None) -> str:
        if name:
            login = name.split()[0].lower()
            deployment["creator"] = {
                "id": login,
                "name": name,
                "email": f"{login}@example.com",
                "avatar": None,
            }
        return deployment["id"]

    def latest(self, service: str, environment: str) -> Row | None:
        """Return the latest deployment's row, brought up to now; None while there is none."""
        with self.world.reading():
            movement.settle(self.world)
            row = movement.latest(self.world, self._instance(service, environment))
            return dict(row) if row else None

    def live_commit(self, service: str, environment: str) -> str:
        """Return the commit that the service serves there; "" where nothing is live."""
        with self.world.reading():
            movement.settle(self.world)
            row = movement.active(self.world, self._instance(service, environment))
            return (row["meta"].get("commitHash") or "") if row else ""

    def forget_images(self, service: str, environment: str, only: str = "") -> None:
        """Drop, as Railway does after a while, the images of what was deployed there before, or
        that of the deployment `only`.
        """
        with self.world.changing():
            instance = self._instance(service, environment)
            for row in movement.history(self.world, instance):
                if row["id"] != instance["activeDeploymentId"] and only in ("", row["id"]):
                    row["imageAt"] = None

    def finish(self, deployment_id: str, status: str) -> None:
        """Put a deployment into `status` now, for good or until told otherwise."""
        with self.world.changing():
            movement.finish(self.world, self.world.get("deployments", deployment_id), status)

    def finish_latest(self, service: str, environment: str, status: str) -> None:
        """Do the same for the newest deployment of the service there."""
        with self.world.changing():
            if row := movement.latest(self.world, self._instance(service, environment)):
                movement.finish(self.world, row, status)

    def fail_next(
        self, service: str, environment: str, status: str = "FAILED", times: int = 1
    ) -> None:
        """Let the next deployments end in (or stop at) `status`: one of `movement.OUTCOMES`."""
        if status not in movement.OUTCOMES:
            raise KeyError(f"No deployment can be made to end as {status!r}.")
        with self.world.changing():
            self._instance(service, environment)["outcomes"] += [status] * times

    def skip_next(self, service: str, environment: str, times: int = 1) -> None:
        """Let the next pushes leave a SKIPPED deployment."""
        with self.world.changing():
            self._instance(service, environment)["skipNext"] += times

    def never_next(self, service: str, environment: str, times: int = 1) -> None:
        """Let the next pushes leave no deployment at all."""
        with self.world.changing():
            self._instance(service, environment)["neverNext"] += times

    def break_path(
        self, service: str, environment: str, path: str, status: int | None, spares: str = ""
    ) -> None:
        """Let the service answer `path` with `status`; None repairs it.

        `spares`: the commit whose deployments answer properly all the same.
        """
        with self.world.changing():
            broken = self._instance(service, environment)["broken"]
            broken.pop(path, None)
            if status is not None:
                broken[path] = [status, spares]

    def forget_outcomes(self, service: str, environment: str) -> None:
        """Take back every `fail_next` that has not happened yet."""
        with self.world.changing():
            self._instance(service, environment)["outcomes"].clear()

    def freeze(self) -> None:
        """Keep deployments in their states until `unfreeze`."""
        with self.world.changing():
            movement.settle(self.world)
            self.world.data["frozen"] = True

    def unfreeze(self) -> None:
        with self.world.changing():
            self.world.data["frozen"] = False
            for id in self.world.data["moving"]:
                self.world.data["deployments"][id]["enteredAt"] = self.world.clock()
