"""A backup of the database's volume, taken by Railway before a risky run of production.

The row is written before Railway is asked, and the backup has the run's name, so that one look
after a lost answer or a killed worker finds it instead of taking another.
"""

from datetime import datetime, timedelta

from django.utils.dateparse import parse_datetime

from environments.clients import railway_of
from environments.models import MigrationRun, ServiceInstance, place_of
from portal.jobs import Requeue
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject

PATIENCE = timedelta(minutes=10)
LOOK_SECONDS = 3.0
TAKING = Requeue(LOOK_SECONDS, "Railway is taking a backup of the database's volume.")


def take(job: MigrationRun, *, now: datetime) -> JsonObject | str | Requeue:
    """Look once: find the volume, ask for its backup once, and wait until it is there.

    Return what the run keeps of the backup; else why there is none, "" where Railway has no volume
    of this database. Never raises: what Railway refuses can be dumped instead.
    """
    place = place_of(job.environment, job.database)
    services = ServiceInstance.objects.filter(service__name=job.database.public_service)
    service = services.filter(environment=job.environment).select_related("service").first()
    if place.url or service is None:  # an address that was entered here may belong to somebody else
        return ""
    known = job.backup.get("volume")
    try:
        if known is None:
            return _begin(job, service.service.railway_id, now)
        return _look(job, known, now)
    except ApiError as error:
        known = job.backup.get("volume")
        lost = error.kind == "unknown_outcome" or "workflow" in (known or {})
        if known is not None and lost and _waited(known, now) < PATIENCE:
            return Requeue(LOOK_SECONDS, f"Railway's backup is not known yet: {error}")
        return str(error)


def _begin(job: MigrationRun, service: str, now: datetime) -> str | Requeue:
    railway = railway_of(job.environment.project)
    volume = railway.volume(job.environment.railway_id, service)
    if volume is None:
        return ""
    known = {"id": volume, "name": f"release portal, run {job.pk}", "at": now.isoformat()}
    job.keep(backup={"volume": known})
    workflow = railway.back_up_volume(volume, known["name"])
    job.keep(backup={"volume": known | {"workflow": workflow or ""}})
    return TAKING


def _look(job: MigrationRun, known: dict[str, str], now: datetime) -> JsonObject | str | Requeue:
    railway = railway_of(job.environment.project)
    if backup := railway.volume_backup(known["id"], known["name"]):
        return _kept(job, known, backup, now)
    if workflow := known.get("workflow"):
        status, error = railway.workflow(workflow)
        if status == "error":
            return f"{error or 'it failed'}.".replace("..", ".")
    if _waited(known, now) > PATIENCE:
        return f"it was not there after {PATIENCE.seconds // 60} minutes."
    return TAKING


def _kept(job: MigrationRun, known: dict[str, str], backup: str, now: datetime) -> JsonObject:
    where = f"{job.database.public_service} in {job.environment}"
    return {
        "at": now.isoformat(),
        "volume": known,
        "backup": backup,
        "sentence": f"Railway took a backup of the volume of {where}: “{known['name']}”.",
        "restore": (
            f"To go back: on Railway open {where}, Backups, “{known['name']}”, Restore, and deploy"
            " the change. The whole database is then as it was before this run; what was written"
            " since is gone, so stop what writes first."
        ),
    }


def _waited(known: dict[str, str], now: datetime) -> timedelta:
    began = parse_datetime(known["at"])
    return now - began if began else PATIENCE
