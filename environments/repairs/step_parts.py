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
        return failed(str(error))
    return wait(job, str(error), now, seconds=steps.PAUSE)


def failed(sentence: str) -> Finished:
    return Finished(JobStatus.FAILED, sentence)


def succeeded(sentence: str) -> Finished:
    return Finished(JobStatus.SUCCEEDED, sentence)


def wait(
    job: Repair, sentence: str, now: datetime, *, seconds: float = 2, patience: timedelta = PATIENCE
) -> Outcome:
    """Look again after `seconds`, until that is late."""
    return ended_late(job, sentence, now, patience) or Requeue(seconds, sentence)


def ended_late(
    job: Repair, sentence: str, now: datetime, patience: timedelta = PATIENCE
) -> Finished | None:
    """Return the end of a late repair: failed when nothing was written, else unknown."""
    if now - job.created_at < patience:
        return None
    if job.wrote_at is None:
        return failed(f"Nothing was changed: {sentence}")
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
        return wait(job, still, now)
    if not holds(job):
        return Requeue(0)
    job.keep(wrote_at=now, before=before)
    write()
    return Requeue(seconds, told)
