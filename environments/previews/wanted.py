"""Which pull requests get a preview, and how the rows follow that."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from environments.models import Preview, PreviewState, Project
from portal import audit
from portal.jobs import OPEN, JobStatus, wake_now

BY_A_PERSON, TOO_OLD = "a person removed it", "nothing was pushed for long"
# What is done for an environment; forgotten when it has to be made again.
_OF_ENVIRONMENT = (
    "asked_at environment_id made_at quiet variables_at missing shared deployed deleted_at services"
    " address live_at log state seen still_since adopted"
)
_NEW = Preview()
FRESH: dict[str, object] = {name: getattr(_NEW, name) for name in _OF_ENVIRONMENT.split()}


@dataclass(frozen=True)
class OpenPull:
    """A pull request that is open into staging; `why_not` is empty when it is to have a preview."""

    title: str
    branch: str
    head: str
    why_not: str = ""


def follow(
    project: Project, pulls: Mapping[int, OpenPull], rows: Mapping[int, Preview], *, now: datetime
) -> None:
    """Write down which previews are to exist, by pull-request number; the rest is to go.

    `rows`: the previews of the project, locked. Wakes what changed.
    """
    for number, pull in pulls.items():
        row = rows.get(number)
        if row is None and not pull.why_not:
            row = Preview.objects.create(
                project=project,
                number=number,
                title=pull.title,
                branch=pull.branch,
                head=pull.head,
                head_at=now,
                created_at=now,
                wake_at=now,
            )
            message = f"{row} is wanted for “{pull.title}” at {pull.head[:7]}."
            wake_now(row, now=now)
            audit.record_by_portal("preview.wanted", row, message, now=now)
        elif row is not None:
            _change(row, pull, now)
    for number, row in rows.items():
        if number not in pulls:
            closed = OpenPull(row.title, row.branch, row.head, "the pull request is closed")
            _change(row, closed, now)


def _change(row: Preview, pull: OpenPull, now: datetime) -> None:
    """Bring a row in line with what is right for it now."""
    if row.why_not == BY_A_PERSON and not pull.why_not and pull.head == row.head:
        return  # it stays away until the next push, or until it is rebuilt
    values: dict[str, object] = {
        "title": pull.title,
        "branch": pull.branch,
        "why_not": pull.why_not,
    }
    values["wanted"] = not pull.why_not
    if pull.head != row.head:
        values |= {"head": pull.head, "head_at": now, "live_at": None, "log": ""}
        if row.state in (PreviewState.LIVE, PreviewState.FAILED):
            values["state"] = PreviewState.DEPLOYING
    changed = any(getattr(row, name) != value for name, value in values.items())
    if not changed or (row.state == PreviewState.GONE and pull.why_not):
        return
    if row.status not in OPEN:
        values |= FRESH | {"status": JobStatus.QUEUED, "finished_at": None, "sentence": ""}
    Preview.objects.filter(pk=row.pk).update(**values)
    wake_now(row, now=now)
    if values["wanted"] != row.wanted:
        event, message = "preview.unwanted", f"{row} is no longer wanted: {pull.why_not}."
        if values["wanted"]:
            event, message = "preview.wanted", f"{row} is wanted again."
        audit.record_by_portal(event, row, message, now=now)


def requeue(job: Preview, *, now: datetime | None = None, **values: object) -> None:
    """Have a preview looked at again with other values, also one that had ended."""
    now = now or timezone.now()
    if job.status not in OPEN:
        values = FRESH | {"status": JobStatus.QUEUED, "finished_at": None} | values
    Preview.objects.filter(pk=job.pk).update(**values)
    wake_now(job, now=now)
