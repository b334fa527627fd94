"""Which deployment of each service can be restored, and with which variables."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from environments.clients import railway_of
from environments.models import AtStart, Environment, ServiceInstance
from environments.railway import Deployment, Railway
from environments.services.roles import Role, belongs, role_of
from environments.variables.comparison import going_back
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject
from releases.gates.context import INSTANCES
from releases.models import RollbackAssessment
from releases.models.releases import Release
from releases.rollback.candidates import READY, Restorable, newest_first, restorable

LISTED = 25  # deployments of a service that are read


def assess_services(
    job: RollbackAssessment, release: Release, production: Environment
) -> list[tuple[Restorable, ServiceInstance]]:
    """Return production's services that are built from a commit, with what can be restored."""
    project, railway = release.project, railway_of(release.project)
    noted: Mapping[str, Mapping[str, str]] | None = job.ran_before
    keep = timedelta(hours=project.retention_hours) if project.retention_hours else None
    instances = INSTANCES.filter(environment=production).order_by("service__name")
    # A database, an image, another repository: no commit of the project tells what it is.
    ours = [
        (instance, role)
        for instance in instances
        if (role := role_of(instance, None, project.repository)) in (Role.CODE, Role.EMPTY)
    ]
    places = [(production.railway_id, instance.service.railway_id) for instance, _ in ours]
    histories = railway.deployments_of(project.railway_project_id, places, LISTED)
    rows = []
    for (instance, role), newest in zip(ours, histories, strict=True):
        key = instance.service.railway_id
        before = None if noted is None else noted.get(key, {})
        deployments = _with_noted(railway, newest, before)
        if any(deployment.commit for deployment in deployments):
            role = Role.CODE  # what has lost its source has one still
        if role is not Role.CODE or not belongs(instance.service.belongs, role):
            continue
        name, merged = instance.service.name, release.merge_commit
        judged = restorable(name, key, deployments, before=before, released=merged, keep=keep)
        rows.append((judged, instance))
    return rows


def _with_noted(
    railway: Railway, deployments: tuple[Deployment, ...], before: Mapping[str, str] | None
) -> tuple[Deployment, ...]:
    """Return a service's newest deployments, and the noted one, however many came after it."""
    noted = before.get("deployment") if before else None
    if noted and all(deployment.id != noted for deployment in deployments):
        try:
            deployments = (*deployments, railway.deployment(noted))
        except ApiError as error:
            if error.kind not in ("not_found", "forbidden", "refused"):
                raise  # no answer is not “gone”
    return newest_first(deployments)


def with_variables(
    restorable: Restorable, instance: ServiceInstance, environment: Environment | None
) -> JsonObject:
    """Return the row of a service: what would be restored, and what would go back with it."""
    back = None
    if environment is not None and restorable.state == READY:
        back = going_back(environment, instance.service, restorable.made_at)
    return asdict(restorable) | {
        "made_at": _text(restorable.made_at),
        "until": _text(restorable.until),
        "at_start": instance.runs_alembic.label,
        "at_start_known": instance.runs_alembic != AtStart.UNKNOWN,
        "variables": [list(change) for change in back.changed] if back else [],
        "variables_unknown": list(back.unknown) if back else [],
    }


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
