"""What the steps of repairs share: they write once, keep what they know, and give up in time."""

from collections.abc import Callable
from datetime import datetime, timedelta

from environments.models import Repair
from portal.jobs import Finished, JobStatus, Outcome, Requeue, holds, steps

PATIENCE = timedelta(minutes=5)
# A repair was asked for by a person, who is told at once that the project only watches.
FINAL = steps.FINAL | {"watch_only"}


def given_up(job: Repair, now: datetime, error: Exception) -> Outcome:
    if getattr(error, "kind", "") in FINAL:
        return Finished(JobStatus.FAILED, str(error))
    return ended_late(job, str(error), now) or Requeue(steps.PAUSE, str(error))


def ended_late(
    job: Repair, sentence: str, now: datetime, patience: timedelta = PATIENCE
) -> Finished | None:
    """Return the end of a repair that took too long: failed when nothing was written, else nobody
    knows.
    """
    if now - job.created_at < patience:
        return None
    if job.wrote_at is None:
        return Finished(JobStatus.FAILED, f"Nothing was changed: {sentence}")
    return Finished(
        JobStatus.NEEDS_PERSON, f"The request was sent, but its result is not known: {sentence}"
    )


def write_once(
    job: Repair,
    now: datetime,
    *,
    before: str,
    write: Callable[[], object],
    told: str,
    still: str,
    seconds: float = 0,
) -> Outcome:
    """Write, the first time, what was `before` being kept, and have it read again after `seconds`;
    from then on say what `still` is so, until that is late.
    """
    if job.wrote_at is not None:
        return ended_late(job, still, now) or Requeue(2, still)
    if not holds(job):
        return Requeue(0)
    job.keep(wrote_at=now, before=before)
    write()
    return Requeue(seconds, told)
