"""What a test or a demonstration arranges: services, branches, variables, and how things go wrong.

Services and environments are named by name or id. The same calls can be made from another process
with
`POST /_sandbox/story` and a JSON list of `{"do": "fail_next", "service": "backend", …}`.
"""

from typing import Any

from . import movement, pull_environments, pushes, redeploying
from .configuration import add_domain, add_instance, set_trigger, update_settings
from .environments import new_environment
from .variables import running_variables, set_variable
from .world import Refused, Row, World

DEPLOYMENT_EVENTS = [f"Deployment.{name}" for name in sorted(set(movement.EVENTS.values()))]


class Story:
    """The story methods of `RailwayStandIn`. Unknown names raise `KeyError`."""

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

    def add_environment(
        self,
        name: str,
        *,
        source: str | None = None,
        ephemeral: bool = False,
        meta: Row | None = None,
    ) -> str:
        """Return a new environment with every service of the project in it (a fork: with none).

        Return its id.
        """
        with self.world.changing():
            source_id = self._named("environments", source)["id"] if source else None
            row = new_environment(
                self.world, self.project_id, name, source_id, ephemeral=ephemeral, meta=meta
            )
            project = self.world.get("projects", self.project_id)
            project["primaryEnvironmentId"] = project["primaryEnvironmentId"] or row["id"]
            for service in self.world.rows("services") if source is None else []:
                self._place(service, row)
            return row["id"]

    def add_service(self, name: str, root_directory: str | None = None, **spec: Any) -> str:
        """Add a service built from the repository to each environment that is no fork. Return its
        id.

        `spec`: settings of its instances (`watchPatterns`, `cronSchedule`, …); `image` or
        `repository`: where it is built from instead, both None: it is only uploaded; `public`
        False: it has no address; `volume`: where one is mounted; `quiet`: pushes that touch nothing
        watched leave no deployment; `rooted`: those outside its root directory are skipped.
        """
        with self.world.changing():
            spec = {"repository": self.world.repository_name, "image": None, "public": True} | spec
            if spec["image"]:
                spec["repository"] = None
            service = self.world.add(
                "services",
                name=name,
                icon=None,
                projectId=self.project_id,
                rootDirectory=root_directory,
                spec=spec,
            )
            for environment in self.world.rows(
                "environments", sourceEnvironmentId=None, deletedAt=None
            ):
                self._place(service, environment)
            return service["id"]

    def _place(self, service: Row, environment: Row) -> None:
        spec = service.get("spec") or {
            "repository": self.world.repository_name,
            "image": None,
            "public": True,
        }
        instance = add_instance(self.world, environment["id"], service["id"])
        built = spec["repository"] or spec["image"]
        instance |= {
            "source": {"repo": spec["repository"], "image": spec["image"]} if built else None,
            "rootDirectory": service["rootDirectory"],
            "healthcheckPath": "/health" if spec["public"] else None,
            "quiet": bool(spec.get("quiet")),
            "rooted": bool(spec.get("rooted")),
            "volumeMounts": (
                {f"volume-{service['name']}": {"mountPath": spec["volume"]}}
                if spec.get("volume")
                else {}
            ),
        }
        update_settings(instance, {name: value for name, value in spec.items() if value})
        if spec["public"]:
            add_domain(self.world, environment["id"], service["id"])

    def add_volume(self, service: str, environment: str, *, backup_error: str | None = None) -> str:
        """Add a volume to the service there; return its id. `backup_error`: why no backup of it
        works.
        """
        with self.world.changing():
            instance = self._instance(service, environment)
            return self.world.add(
                "volumes",
                environmentId=instance["environmentId"],
                serviceId=instance["serviceId"],
                mountPath="/var/lib/postgresql/data",
                sizeMB=5000,
                state="READY",
                backupError=backup_error,
            )["id"]

    def backups(self) -> list[Row]:
        """Return every backup of a volume, in the order of their making."""
        with self.world.reading():
            return self.world.rows("backups")

    def set_trigger(
        self, service: str, environment: str, branch: str, *, check_suites: bool = False
    ) -> str:
        """Let pushes to `branch` of its repository deploy the service there.

        Return the trigger's id.
        """
        with self.world.changing():
            instance = self._instance(service, environment)
            repository = (instance["source"] or {}).get("repo") or self.world.repository_name
            values = {"branch": branch, "checkSuites": check_suites, "repository": repository}
            return set_trigger(self.world, instance, **values)["id"]

    def set_variable(
        self, environment: str, service: str | None, name: str, value: str, *, sealed: bool = False
    ) -> None:
        """Set a variable without deploying; `service` None: a shared one."""
        with self.world.changing():
            service_id = self._named("services", service)["id"] if service else None
            environment_id = self._named("environments", environment)["id"]
            set_variable(self.world, environment_id, service_id, name, value, sealed)

    def running_variables(self, service: str, environment: str) -> dict[str, str]:
        """Return what the live deployment's container got, sealed values too."""
        with self.world.reading():
            movement.settle(self.world)
            deployment = movement.active(self.world, self._instance(service, environment))
            if deployment:
                return dict(deployment["variables"])
            instance = self._instance(service, environment)
            return running_variables(self.world, instance["environmentId"], instance["serviceId"])

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

    def switch_autodeploy(self, service: str, environment: str, enabled: bool) -> None:
        """Let pushes deploy the service there, or no longer."""
        with self.world.changing():
            self._instance(service, environment)["autoDeploy"] = enabled

    def address(self, service: str, environment: str) -> str:
        """Return `http://127.0.0.1:port` of the service there."""
        with self.world.reading():
            instance = self._instance(service, environment)
            place = {key: instance[key] for key in ("environmentId", "serviceId")}
            domain = self.world.one("domains", **place)
            if domain is None:
                raise KeyError(f"The service {service!r} has no address in {environment!r}.")
            return f"http://{domain['domain']}"

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

    def set_command(
        self,
        service: str,
        environment: str,
        *,
        start: str | None = None,
        pre_deploy: str | None = None,
    ) -> None:
        """Set what runs before and at the start of the service."""
        with self.world.changing():
            instance = self._instance(service, environment)
            instance["startCommand"] = start
            instance["preDeployCommand"] = [pre_deploy] if pre_deploy else None

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

    def set_pr_environments(self, on: bool, base: str = "staging") -> None:
        """Switch Railway's own environments of pull requests on or off; they copy `base`."""
        with self.world.changing():
            project = self.world.get("projects", self.project_id)
            project |= {
                "prDeploys": on,
                "baseEnvironmentId": self._named("environments", base)["id"],
            }

    def pull_opened(self, number: int, title: str, branch: str, base: str) -> str:
        """Tell Railway of an opened pull request.

        Return the id of the environment it makes, or "".
        """
        with self.world.changing():
            project = self.world.get("projects", self.project_id)
            pull = {"number": number, "title": title, "branch": branch, "base": base}
            row = pull_environments.pull_opened(self.world, project, pull)
            return row["id"] if row else ""

    def pull_closed(self, number: int) -> None:
        """Tell Railway that a pull request was merged or closed."""
        with self.world.changing():
            pull_environments.pull_closed(self.world, number)

    def made_by_action(self, name: str, branch: str, base: str = "staging") -> str:
        """Make an environment for a pull request's branch, as a team's GitHub Action does.

        Return its id.
        """
        with self.world.changing():
            project, source = (
                self.world.get("projects", self.project_id),
                self._named("environments", base),
            )
            return pull_environments.made_by_action(
                self.world, project, name, source["id"], branch
            )["id"]

    def set_knobs(self, **knobs: float) -> None:
        """Set the limits of environments. `cooldown`: seconds between creations of environments
        (30).

        `late`: seconds until the services of a new environment appear (0). `lose_answers`: this
        many creations happen but answer 504. `drop_webhooks`: this many events reach nobody.
        `repeat_webhooks`: this many extra copies of every event. `rate_limit`: requests per hour
        (10000).
        """
        known = {
            "cooldown",
            "late",
            "lose_answers",
            "drop_webhooks",
            "repeat_webhooks",
            "rate_limit",
        }
        if unknown := set(knobs) - known:
            raise KeyError(f"There is no knob {sorted(unknown)[0]!r}.")
        with self.world.changing():
            self.world.data["knobs"] |= knobs

    def add_webhook(
        self, url: str, headers: dict[str, str] | None = None, event_types: list[str] | None = None
    ) -> str:
        """Add a rule that posts deployment events of all environments to `url`. Return its id."""
        with self.world.changing():
            config = {"type": "webhook", "url": url, "headers": headers or {}}
            return self.world.add(
                "rules",
                workspaceId=self.world.data["workspace"]["id"],
                projectId=self.project_id,
                environmentId=None,
                serviceId=None,
                eventTypes=event_types or DEPLOYMENT_EVENTS,
                severities=[],
                ephemeralEnvironments=True,
                channels=[{"id": "0", "config": config}],
            )["id"]

    def add_token(self, token: str, kind: str, environment: str | None = None) -> None:
        """Add a token of `kind` account, workspace or project; a project token is bound to
        `environment`.
        """
        with self.world.changing():
            bound = self._named("environments", environment)["id"] if environment else None
            if (kind == "project") != (bound is not None):
                raise Refused("A project token, and only that, is bound to an environment.")
            project_id = self.project_id if bound else None
            self.world.drop("tokens", token=token)
            self.world.add(
                "tokens",
                token=token,
                kind=kind,
                name=kind,
                environmentId=bound,
                projectId=project_id,
            )
