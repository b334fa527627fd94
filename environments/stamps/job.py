"""The job of a stamp: it proves, waits for two people, checks again and writes."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings

from environments.clients import withhold
from environments.databases.address import NoDatabase, read_revisions, url_of
from environments.databases.permission import APPROVE
from environments.databases.scratch_request import request_of
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.models import Stamp, place_of
from environments.schema.history.revision import HistoryError
from environments.schema.rehearsal import adoption
from environments.schema.rehearsal.dump import Cancelled, DumpError
from environments.schema.run import address, database
from environments.schema.run.virtualenvs import NotPrepared
from portal.configuration.signing import may_sign
from portal.jobs import Finished, JobStatus, Outcome, Requeue, holds
from portal.outbound.http import ApiError, WatchOnly
from portal.server.postgres_wheel import StartError

PATIENCE = timedelta(minutes=10)
WAIT_SECONDS = 3600.0  # the people's clicks wake it
UNCHANGED = "Nothing was changed:"
HOPELESS = (NotPrepared, NoDatabase, HistoryError)


def step(job: Stamp, *, now: datetime) -> Outcome:
    """Prove which revision the schema is; or, once two people agreed, write it down."""
    if job.cancel_requested_at:
        return Finished(JobStatus.CANCELLED, f"{UNCHANGED} the stamp was taken back.")
    try:
        if not job.schema:
            return _prove(job)
        if job.approved_by is None:
            return Requeue(WAIT_SECONDS, job.sentence)
        return _write(job, now)
    except WatchOnly as held:
        return Requeue(WAIT_SECONDS, str(held))
    except Cancelled:
        return Finished(JobStatus.CANCELLED, f"{UNCHANGED} the stamp was taken back.")
    except HOPELESS as error:
        return Finished(JobStatus.FAILED, f"{UNCHANGED} {error}")
    except (ApiError, GitError, address.DatabaseError, DumpError, StartError) as error:
        if now - job.created_at > PATIENCE:
            return Finished(JobStatus.FAILED, f"{UNCHANGED} {error}")
        return Requeue(10, f"It could not be done yet: {error}")


def _alive(job: Stamp) -> Callable[[], bool]:
    def alive() -> bool:
        return Stamp.objects.filter(pk=job.pk, cancel_requested_at=None).exists() and holds(job)

    return alive


def _mirror(job: Stamp) -> Mirror:
    mirror = mirror_of(job.environment.project)
    if not mirror.has(job.commit):
        mirror.fetch()
    return mirror


def _prove(job: Stamp) -> Outcome:
    mirror = _mirror(job)
    alive, rows = _alive(job), Stamp.objects.filter(pk=job.pk, fence=job.fence)

    def on_tried(tried: int, of: int) -> None:
        rows.update(tried=tried, sentence=f"{tried} of {of} revisions were made and compared.")

    proof = adoption.prove(mirror, request_of(job, mirror, alive), on_tried=on_tried, alive=alive)
    kept = {
        "before": list(proof.before),
        "schema": proof.schema if proof.proven else "",
        "equal": [list(heads) for heads in proof.equal],
        "nearest": [] if proof.proven else list(proof.nearest),
        "differences": [difference.sentence for difference in proof.differences[:50]],
        "tried": proof.tried,
    }
    rows.update(**kept)
    for name, value in kept.items():
        setattr(job, name, value)
    if not proof.proven:
        return Finished(JobStatus.FAILED, f"{UNCHANGED} {proof.sentence}")
    return Requeue(WAIT_SECONDS, proof.sentence)


def _write(job: Stamp, now: datetime) -> Outcome:
    """Look again, and stamp in one transaction, under the lock of runs."""
    if not may_sign(job.approved_by, APPROVE):
        why = f"{job.approved_by} approved this stamp and may no longer do so."
        return Finished(JobStatus.FAILED, f"{UNCHANGED} {why}")
    place = place_of(job.environment, job.database)
    url, alive, table = url_of(place), _alive(job), job.database.version_table
    folder = settings.VAR_DIR / "stamps"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{job.pk}.sql"

    def proven() -> bool:
        try:
            text = adoption.dump(url, file, alive)
        finally:
            file.unlink(missing_ok=True)
            file.with_suffix(".said").unlink(missing_ok=True)
        return adoption.digest(text, database.split_table(table)[0]) == job.schema

    target = ", ".join(job.target)
    doing = f"write {target} into the version table of {job.database.of(job.environment)}"
    withhold(job.environment.project, "database", doing, {"target": job.target})
    before, after = tuple(job.before), tuple(job.target)
    try:
        adoption.stamp(url, table, before=before, target=after, proven=proven, alive=alive)
    except adoption.StampError as error:
        if error.busy:
            return Requeue(5, str(error))
        return Finished(JobStatus.FAILED, f"{UNCHANGED} {error}")
    read_revisions(place, now=now)
    was = f", in place of {', '.join(job.before)}" if job.before else ""
    message = f"is stamped: its version table holds {target}{was}."
    return Finished(JobStatus.SUCCEEDED, f"{job.database.of(job.environment)} {message}")
