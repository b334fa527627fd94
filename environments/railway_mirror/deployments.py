"""Copies Railway's deployments into our rows."""

from datetime import datetime

from environments import railway
from environments.models import Deployment, ServiceInstance
from environments.railway import ProjectTree

READ = (
    *("status", "commit", "branch", "stopped", "containers", "is_latest", "is_active"),
    *("created_at", "seen_at"),
)


def write_deployments(
    tree: ProjectTree, instances: dict[str, ServiceInstance], now: datetime
) -> None:
    rows: dict[str, Deployment] = {}
    every = [state for environment in tree.environments for state in environment.instances]
    states = [state for state in every if state.id in instances and state.readable]
    for state in states:
        latest, active = (
            state.latest_deployment,
            {deployment.id for deployment in state.active_deployments},
        )
        for active_one in (*state.active_deployments, *([latest] if latest else [])):
            rows[active_one.id] = _row(active_one, instances[state.id], latest, active, now)
    _mark_unlisted(rows)
    known = Deployment.objects.filter(instance__in=[instances[state.id].pk for state in states])
    outdated = known.current()
    outdated.exclude(railway_id__in=rows).update(is_latest=False, is_active=False)
    Deployment.objects.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=["railway_id"], update_fields=READ
    )


def _mark_unlisted(rows: dict[str, Deployment]) -> None:
    """Mark live deployments whose containers Railway no longer lists: their state is unknown."""
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


def _row(
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
