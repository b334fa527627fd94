"""Copies a Railway project into our rows; what Railway no longer has is marked as gone."""

from datetime import datetime

from django.db import transaction

from environments import railway
from environments.databases.pre_deploy_command import lent_commands
from environments.drift.detect import compare
from environments.drift.rules import Rows
from environments.findings import out_of_band
from environments.models import (
    LONG_LIVED,
    Environment,
    EnvironmentKind,
    Project,
    RailwaySync,
    Service,
    ServiceInstance,
)
from environments.railway import ProjectTree
from environments.railway_mirror.deployments import write_deployments
from environments.railway_mirror.instances import write_instances
from environments.services import expected

READ = ("name", "kind", "seen_at", "gone_at", "config_etag", "pull_number", "by_railway")


@transaction.atomic
def apply(project: Project, tree: ProjectTree, *, now: datetime) -> Rows:
    """Write one reading of the project, in a fixed number of queries; return the rows as they are
    then.

    Nothing is marked gone by a reading that was not complete.
    """
    RailwaySync.objects.select_for_update().get(project=project)
    services = _services(project, tree, now)
    environments = _environments(project, tree, now)
    lent = lent_commands(project, now=now)
    instances, moved = write_instances(tree, services, environments, lent, now)
    write_deployments(tree, instances, now)
    if tree.complete:
        alive = [row.pk for row in instances.values()]
        ServiceInstance.objects.filter(environment__project=project).exclude(pk__in=alive).delete()
    RailwaySync.objects.filter(project=project).update(
        synced_at=now, pr_environments=tree.pr_environments
    )
    rows = compare(project, now=now, complete=tree.complete)
    for row, was in moved:  # last, for until the end nobody else can add an event
        out_of_band.trigger_moved(row, was, now=now)
    return rows


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
    kinds = _kinds(project, tree)
    present = list(Environment.objects.present().filter(project=project))
    if vanished := [row.pk for row in present if tree.complete and row.railway_id not in kinds]:
        Environment.objects.filter(pk__in=vanished).update(gone_at=now)
    # Kinds are unique per project: those that lose one give it up before another takes it.
    for row in present:
        if row.kind in LONG_LIVED and kinds.get(row.railway_id, row.kind) != row.kind:
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
            for state in sorted(tree.environments, key=lambda environment: environment.id)
        ],
        update_conflicts=True,
        unique_fields=["project", "railway_id"],
        update_fields=READ,
    )
    return {row.railway_id: row for row in rows}


def _pull_number(state: railway.Environment) -> int | None:
    """Return an environment's pull request: as Railway says, else as its name does."""
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
    for state in sorted(
        tree.environments,
        key=lambda environment: (str(environment.created_at or ""), environment.id),
    ):
        kind = EnvironmentKind.OTHER
        if _is_preview(state):
            kind = EnvironmentKind.PREVIEW
        elif state.name in named and named[state.name] not in kinds.values():
            kind = named[state.name]
        kinds[state.id] = kind
    return kinds


def _is_preview(state: railway.Environment) -> bool:
    return state.is_ephemeral or state.name.startswith("pr-")
