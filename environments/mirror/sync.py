"""Railway's truth into our rows: known rows updated, new ones added, vanished ones marked gone."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from environments import railway
from environments.databases.lent_commands import Lent, lent_commands
from environments.drift.detect import compare
from environments.findings import out_of_band
from environments.models import (
    LONG_LIVED,
    AtStart,
    Deployment,
    Environment,
    EnvironmentKind,
    Project,
    RailwaySync,
    Service,
    ServiceInstance,
)
from environments.railway import ProjectTree
from environments.services import expected
from environments.services.rollback_candidates import at_start


@transaction.atomic
def apply(project: Project, tree: ProjectTree, *, now: datetime) -> None:
    """Writes one reading of the project, in a fixed number of queries.

    Nothing is marked gone by a reading that was not complete.
    """
    RailwaySync.objects.select_for_update().get(project=project)
    services = _services(project, tree, now)
    environments = _environments(project, tree, now)
    lent = lent_commands(project, now=now)
    instances, moved = _instances(tree, services, environments, lent, now)
    _deployments(tree, instances, now)
    if tree.complete:
        alive = [row.pk for row in instances.values()]
        ServiceInstance.objects.filter(environment__project=project).exclude(pk__in=alive).delete()
    RailwaySync.objects.filter(project=project).update(
        synced_at=now, pr_environments=tree.pr_environments
    )
    compare(project, now=now, complete=tree.complete)
    for row, was in moved:  # last, for until the end nobody else can add an event
        out_of_band.trigger_moved(row, was, now=now)


def _services(project: Project, tree: ProjectTree, now: datetime) -> dict[str, Service]:
    if tree.complete:
        alive = [state.id for state in tree.services]
        Service.objects.filter(project=project, gone_at=None).exclude(railway_id__in=alive).update(
            gone_at=now
        )
    rows = Service.objects.bulk_create(
        [
            Service(project=project, railway_id=state.id, name=state.name[:200])
            for state in tree.services
        ],
        update_conflicts=True,
        unique_fields=["project", "railway_id"],
        update_fields=["name", "gone_at"],
    )
    return {row.railway_id: row for row in rows}


def _environments(project: Project, tree: ProjectTree, now: datetime) -> dict[str, Environment]:
    if tree.complete:
        alive = [state.id for state in tree.environments]
        vanished = (
            Environment.objects.present().filter(project=project).exclude(railway_id__in=alive)
        )
        vanished.update(gone_at=now)
    kinds = _kinds(project, tree)
    # Kinds are unique per project: those that lose one give it up before another takes it.
    for row in Environment.objects.present().long_lived().filter(project=project):
        if kinds.get(row.railway_id, row.kind) != row.kind:
            Environment.objects.filter(pk=row.pk).update(kind=EnvironmentKind.OTHER)
    rows = Environment.objects.bulk_create(
        [
            Environment(
                project=project,
                railway_id=state.id,
                name=state.name[:200],
                kind=kinds[state.id],
                seen_at=now,
                config_etag=state.config_etag,
                pull_number=_pull_number(state),
                by_railway=state.pr_number is not None,
            )
            for state in sorted(tree.environments, key=lambda one: one.id)
        ],
        update_conflicts=True,
        unique_fields=["project", "railway_id"],
        update_fields=[
            "name",
            "kind",
            "seen_at",
            "gone_at",
            "config_etag",
            "pull_number",
            "by_railway",
        ],
    )
    return {row.railway_id: row for row in rows}


def _pull_number(state: railway.Environment) -> int | None:
    """The pull request that an environment is for: as Railway says, else as its name does."""
    if state.pr_number is not None:
        return state.pr_number if 0 < state.pr_number < 2**31 else None
    message = state.name.lower().removeprefix("pr-")
    named = (
        message != state.name.lower()
        and message.isascii()
        and message.isdigit()
        and len(message) < 10
    )
    return int(message) if named else None


def _kinds(project: Project, tree: ProjectTree) -> dict[str, str]:
    """Environment id → kind.

    Of two with one name the older is meant; the other is a finding elsewhere.
    """
    kinds: dict[str, str] = {}
    there = [state.name for state in tree.environments if not _is_preview(state)]
    named = {
        meant: EnvironmentKind(kind)
        for kind, name in expected.expected_names(project).items()
        if (meant := expected.meant(name, there)) is not None
    }
    for state in sorted(tree.environments, key=lambda one: (str(one.created_at or ""), one.id)):
        kind = EnvironmentKind.OTHER
        if _is_preview(state):
            kind = EnvironmentKind.PREVIEW
        elif state.name in named and named[state.name] not in kinds.values():
            kind = named[state.name]
        kinds[state.id] = kind
    return kinds


def _is_preview(state: railway.Environment) -> bool:
    return state.is_ephemeral or state.name.startswith("pr-")


def _instances(
    tree: ProjectTree,
    services: dict[str, Service],
    environments: dict[str, Environment],
    lent: Mapping[tuple[str, str], Lent],
    now: datetime,
) -> tuple[dict[str, ServiceInstance], list[tuple[ServiceInstance, ServiceInstance]]]:
    """The instances by Railway's id, and those that were known with how they were before.

    What could not be read keeps the time it was last seen.
    """
    known: dict[
        tuple[str, str], ServiceInstance
    ] = {}  # by environment and service: a broken answer may repeat one
    unknown: dict[tuple[str, str], ServiceInstance] = {}
    for environment in tree.environments:
        triggers = {trigger.service_id: trigger for trigger in environment.triggers}
        for state in environment.instances:
            if state.service_id not in services:
                continue  # its service was deleted, or the reading is not complete
            trigger = triggers.get(state.service_id)
            row = ServiceInstance(
                service=services[state.service_id],
                environment=environments[environment.id],
                railway_id=state.id,
                repository=_repository(state, trigger, services[state.service_id].project)[:201],
                branch=((trigger.branch if trigger else None) or "")[:200],
                image=(state.image or "")[:300],
                watch_patterns=list(state.watch_patterns),
                root_directory=_directory(state.root_directory),
                config_file=(state.config_file or "")[:500],
                cron=state.cron or "",
                domains=[domain.domain for domain in state.domains if domain.counts],
                seen_at=now if state.readable else None,
                healthcheck_path=(state.healthcheck_path or "")[:500],
                at_start=_at_start(state, lent.get((environment.id, state.service_id))),
            )
            (known if state.readable and environment.readable else unknown)[
                environment.id, state.service_id
            ] = row
    kept = [
        "railway_id",
        "repository",
        "branch",
        "image",
        "watch_patterns",
        "cron",
        "domains",
        "at_start",
        "at_start_before",
    ]
    kept += ["healthcheck_path", "root_directory", "config_file"]
    before = {
        (row.service_id, row.environment_id): row for row in _long_lived(environments.values())
    }
    for row in known.values():
        if was := before.get((row.service_id, row.environment_id)):
            row.at_start_before = was.at_start
    rows = _upsert_instances(known.values(), [*kept, "seen_at"])
    pairs = [(row, before.get((row.service_id, row.environment_id))) for row in rows]
    _confirm_limits([(row, was) for row, was in pairs if row.environment.kind in LONG_LIVED])
    rows += _upsert_instances(unknown.values(), ["railway_id"])
    moved = [(row, was) for row, was in pairs if was is not None]
    return {row.railway_id: row for row in rows}, moved


def _at_start(state: railway.ServiceInstance, lent: Lent | None) -> AtStart:
    """Whether its own commands run Alembic; one that a run of the portal has set meanwhile is
    none of them.
    """
    command = state.pre_deploy_command
    if lent and command == " && ".join(lent.command):
        command = " && ".join(lent.was) or None
    return at_start(command, state.start_command)


def _long_lived(environments: Iterable[Environment]) -> Iterable[ServiceInstance]:
    """The instances of staging and production as they were read before."""
    return ServiceInstance.objects.filter(
        environment__in=[
            environment for environment in environments if environment.kind in LONG_LIVED
        ]
    )


def _confirm_limits(pairs: Iterable[tuple[ServiceInstance, ServiceInstance | None]]) -> None:
    """What a service watches may excuse it, so it counts when two readings in a row say the same.

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
    """A directory of the repository without slashes around it; "" for all of it."""
    return (
        (message or "").strip("/").removeprefix("./").strip("/.")[:500]
        if (message or "").strip("/.")
        else ""
    )


def _repository(
    state: railway.ServiceInstance, trigger: railway.Trigger | None, project: Project
) -> str:
    """Where it is built from: the project's repository if anything says so, for else no release
    would wait for it. One that was renamed is called here what the project calls it.

    What was deployed from a repository last is no image, whatever its source says.
    """
    latest = state.latest_deployment
    message = [trigger.repository if trigger else None, state.repo, latest.repo if latest else None]
    if any(project.is_own(one) for one in message):
        return project.repository
    return next(filter(None, message), "")


def _upsert_instances(rows: Iterable[ServiceInstance], fields: list[str]) -> list[ServiceInstance]:
    return ServiceInstance.objects.bulk_create(
        list(rows),
        update_conflicts=True,
        unique_fields=["service", "environment"],
        update_fields=fields,
    )


def _deployments(tree: ProjectTree, instances: dict[str, ServiceInstance], now: datetime) -> None:
    rows: dict[str, Deployment] = {}
    for state in (state for environment in tree.environments for state in environment.instances):
        if state.id not in instances or not state.readable:
            continue
        latest, active = (
            state.latest_deployment,
            {deployment.id for deployment in state.active_deployments},
        )
        for one in (*state.active_deployments, *([latest] if latest else [])):
            rows[one.id] = _deployment(one, instances[state.id], latest, active, now)
    _mark_unlisted(rows)
    readable = [
        instances[state.id].pk
        for environment in tree.environments
        for state in environment.instances
        if state.id in instances and state.readable
    ]
    outdated = Deployment.objects.filter(
        Q(is_latest=True) | Q(is_active=True), instance__in=readable
    )
    outdated.exclude(railway_id__in=rows).update(is_latest=False, is_active=False)
    Deployment.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["railway_id"],
        update_fields=[
            "status",
            "commit",
            "branch",
            "stopped",
            "containers",
            "is_latest",
            "is_active",
            "created_at",
            "seen_at",
        ],
    )


def _mark_unlisted(rows: dict[str, Deployment]) -> None:
    """A live deployment whose containers were listed before and are no longer is in a state that
    nobody knows.
    """
    silent = [
        row
        for row in rows.values()
        if row.status == "SUCCESS" and not row.stopped and not row.containers
    ]
    if not silent:
        return
    known = Deployment.objects.filter(railway_id__in=[row.railway_id for row in silent]).exclude(
        containers=[]
    )
    listed = set(known.values_list("railway_id", flat=True))
    for row in silent:
        row.containers = ["UNLISTED"] if row.railway_id in listed else []


def _deployment(
    deployment: railway.Deployment,
    instance: ServiceInstance,
    latest: railway.Deployment | None,
    active: set[str],
    now: datetime,
) -> Deployment:
    return Deployment(
        instance=instance,
        railway_id=deployment.id,
        status=deployment.status[:40],
        commit=(deployment.commit or "")[:64],
        branch=(deployment.branch or "")[:200],
        stopped=bool(deployment.stopped),
        containers=[state[:40] for state in deployment.instances[:50]],
        is_latest=latest is not None and deployment.id == latest.id,
        is_active=deployment.id in active,
        created_at=deployment.created_at,
        seen_at=now,
    )
