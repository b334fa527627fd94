"""Copies Railway's service instances into our rows."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from environments import railway
from environments.databases.pre_deploy_command import Lent
from environments.models import LONG_LIVED, AtStart, Environment, Project, Service, ServiceInstance
from environments.railway import ProjectTree
from environments.services.start_command import at_start

READ = (
    *("railway_id", "repository", "branch", "image", "watch_patterns", "cron", "domains"),
    *("at_start", "at_start_before", "healthcheck_path", "root_directory", "config_file"),
)


def write_instances(
    tree: ProjectTree,
    services: dict[str, Service],
    environments: dict[str, Environment],
    lent: Mapping[tuple[str, str], Lent],
    now: datetime,
) -> tuple[dict[str, ServiceInstance], list[tuple[ServiceInstance, ServiceInstance]]]:
    """Return the instances by Railway's id, and those that were known with how they were before.

    What could not be read keeps the time it was last seen.
    """
    known, unknown = _rows(tree, services, environments, lent, now)
    before = {
        (row.service_id, row.environment_id): row for row in _long_lived(environments.values())
    }
    for row in known:
        if was := before.get((row.service_id, row.environment_id)):
            row.at_start_before = was.at_start
    rows = _upsert_instances(known, [*READ, "seen_at"])
    pairs = [(row, before.get((row.service_id, row.environment_id))) for row in rows]
    _confirm_limits([(row, was) for row, was in pairs if row.environment.kind in LONG_LIVED])
    rows += _upsert_instances(unknown, ["railway_id"])
    moved = [(row, was) for row, was in pairs if was is not None]
    return {row.railway_id: row for row in rows}, moved


def _rows(
    tree: ProjectTree,
    services: dict[str, Service],
    environments: dict[str, Environment],
    lent: Mapping[tuple[str, str], Lent],
    now: datetime,
) -> tuple[list[ServiceInstance], list[ServiceInstance]]:
    """Return a row for each instance that could be read, and for each that could not."""
    # By environment and service: a broken answer may repeat one.
    known: dict[tuple[str, str], ServiceInstance] = {}
    unknown: dict[tuple[str, str], ServiceInstance] = {}
    for environment in tree.environments:
        triggers = {trigger.service_id: trigger for trigger in environment.triggers}
        for state in environment.instances:
            place = (environment.id, state.service_id)
            if state.service_id not in services:
                continue  # its service was deleted, or the reading is not complete
            row = _row(
                state, triggers.get(state.service_id), services[state.service_id], lent.get(place)
            )
            row.environment = environments[environment.id]
            row.seen_at = now if state.readable else None
            (known if state.readable and environment.readable else unknown)[place] = row
    return list(known.values()), list(unknown.values())


def _row(
    state: railway.ServiceInstance,
    trigger: railway.Trigger | None,
    service: Service,
    lent: Lent | None,
) -> ServiceInstance:
    return ServiceInstance(
        service=service,
        railway_id=state.id,
        repository=_repository(state, trigger, service.project)[:201],
        branch=((trigger.branch if trigger else None) or "")[:200],
        image=(state.image or "")[:300],
        watch_patterns=list(state.watch_patterns),
        root_directory=_directory(state.root_directory),
        config_file=(state.config_file or "")[:500],
        cron=state.cron or "",
        domains=[domain.domain for domain in state.domains if domain.counts],
        healthcheck_path=(state.healthcheck_path or "")[:500],
        at_start=_at_start(state, lent),
    )


def _at_start(state: railway.ServiceInstance, lent: Lent | None) -> AtStart:
    """Return whether its own commands run Alembic; one that the portal's run set is none."""
    command = state.pre_deploy_command
    if lent and command == " && ".join(lent.command):
        command = " && ".join(lent.was) or None
    return at_start(command, state.start_command)


def _long_lived(environments: Iterable[Environment]) -> Iterable[ServiceInstance]:
    """Return the instances of staging and production as they were read before."""
    wanted = [environment for environment in environments if environment.kind in LONG_LIVED]
    return ServiceInstance.objects.filter(environment__in=wanted)


def _confirm_limits(pairs: Iterable[tuple[ServiceInstance, ServiceInstance | None]]) -> None:
    """Keep what a service watches. It may excuse the service, so it counts when two readings in a
    row say the same.

    Two queries.
    """
    moved, confirmed = [], []
    for row, was in pairs:
        if was is None or was.limits != row.limits:
            moved.append(row.pk)
        elif was.unchanged.get("unconfirmed"):
            confirmed.append(row.pk)
    for rows, unchanged in ((moved, {"unconfirmed": True}), (confirmed, dict[str, bool]())):
        if rows:
            ServiceInstance.objects.filter(pk__in=rows).update(unchanged=unchanged)


def _directory(message: str | None) -> str:
    """Return a directory of the repository without slashes around it; "" for all of it."""
    return (message or "").strip("/").removeprefix("./").strip("/.")[:500]


def _repository(
    state: railway.ServiceInstance, trigger: railway.Trigger | None, project: Project
) -> str:
    """Return where it is built from: the project's repository if anything says so, for else no
    release would wait for it. One that was renamed is called here what the project calls it.

    What was deployed from a repository last is no image, whatever its source says.
    """
    latest = state.latest_deployment
    message = [trigger.repository if trigger else None, state.repo, latest.repo if latest else None]
    if any(project.is_own(address) for address in message):
        return project.repository
    return next(filter(None, message), "")


def _upsert_instances(rows: Iterable[ServiceInstance], fields: list[str]) -> list[ServiceInstance]:
    return ServiceInstance.objects.bulk_create(
        list(rows),
        update_conflicts=True,
        unique_fields=["service", "environment"],
        update_fields=fields,
    )
