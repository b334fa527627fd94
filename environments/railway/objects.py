"""What Railway has, as frozen values in its own words; enum values new to us stay as they are."""

from dataclasses import dataclass
from datetime import datetime

from environments.railway.deployment_states import PASS, running


@dataclass(frozen=True)
class Deployment:
    """One deployment.

    `commit`, `branch` … come from Railway's free-form `meta`: None where it has none.

    `stopped` counts only with status SUCCESS: it is true while a deployment starts, and a stopped
    one keeps SUCCESS. `instances` holds the status of each running copy. `creator` is known of a
    service's history only.
    """

    id: str
    status: str
    stopped: bool
    created_at: datetime | None
    status_updated_at: datetime | None
    url: str
    can_rollback: bool
    commit: str | None
    branch: str | None
    repo: str | None
    reason: str | None
    instances: tuple[str, ...]
    creator: str | None = None

    @property
    def serves(self) -> bool:
        """Whether it answers requests: one that sleeps wakes, a stopped one keeps SUCCESS."""
        return running(self.status, stopped=self.stopped, containers=self.instances)[0] == PASS


@dataclass(frozen=True)
class Domain:
    domain: str
    sync_status: str

    @property
    def counts(self) -> bool:
        """Whether the service has the domain, and goes on having it."""
        return self.sync_status not in ("DELETED", "DELETING")


@dataclass(frozen=True)
class ServiceInstance:
    """A service in one environment.

    `readable` False: it exists, and its deployments are not known.
    """

    id: str
    service_id: str
    service_name: str
    environment_id: str
    repo: str | None = None
    image: str | None = None
    root_directory: str | None = None
    config_file: str | None = None
    healthcheck_path: str | None = None
    start_command: str | None = None
    pre_deploy_command: str | None = None
    watch_patterns: tuple[str, ...] = ()
    cron: str | None = None
    domains: tuple[Domain, ...] = ()
    latest_deployment: Deployment | None = None
    active_deployments: tuple[Deployment, ...] = ()
    readable: bool = True


@dataclass(frozen=True)
class Trigger:
    """Which branch a service deploys from; one per service and environment."""

    id: str
    service_id: str | None
    repository: str
    branch: str


@dataclass(frozen=True)
class Environment:
    """`readable` False: some of its instances or triggers are not known."""

    id: str
    name: str
    can_access: bool
    is_ephemeral: bool
    created_at: datetime | None
    pr_number: int | None
    config_etag: str = ""  # opaque; changes whenever the environment's settings or variables change
    triggers: tuple[Trigger, ...] = ()
    instances: tuple[ServiceInstance, ...] = ()
    readable: bool = True

    def branch_of(self, service_id: str) -> str | None:
        """Return the branch from which the service deploys here, or None without a trigger."""
        return next(
            (trigger.branch for trigger in self.triggers if trigger.service_id == service_id), None
        )


@dataclass(frozen=True)
class Service:
    id: str
    name: str


@dataclass(frozen=True)
class ProjectTree:
    """A project as it is now. `complete` False: something is missing, and `problems` says what."""

    id: str
    name: str
    workspace_id: str | None
    services: tuple[Service, ...]
    environments: tuple[Environment, ...]
    complete: bool
    problems: tuple[str, ...]
    pr_environments: bool = False  # Railway makes an environment for each pull request itself


@dataclass(frozen=True)
class LogLine:
    at: datetime | None
    severity: str
    message: str


@dataclass(frozen=True)
class PushDeploys:
    """Whether a push deploys; `reason` is Railway's, for what cannot be switched on."""

    enabled: bool
    can_enable: bool
    reason: str


@dataclass(frozen=True)
class Rule:
    """A notification rule and the addresses that it posts to.

    No `project_id`: all of the workspace's.
    """

    id: str
    project_id: str | None
    urls: tuple[str, ...]
    event_types: frozenset[str]  # in lower case
    ephemeral_environments: bool
