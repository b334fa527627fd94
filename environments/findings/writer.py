"""The only writer of findings: opens, keeps and closes them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from django.db import transaction

from environments.finding_kinds.registry import Reading, of_reading
from environments.findings.problem import Problem
from environments.models import Finding, Project
from portal import audit


class SyncJob(Protocol):
    """What the sync rows of both sources share."""

    pk: int
    project: Project
    problem: str
    objects: Any


def update_findings(
    project: Project,
    problems: Iterable[Problem],
    *,
    now: datetime,
    reading: Reading = Reading.COMPARISON,
) -> None:
    """Open a finding for each new problem, keep the known ones, close those of this `reading` that
    are gone.

    One event each.
    """
    kinds = of_reading(reading)
    wanted = {(problem.kind, problem.subject[:300]): problem for problem in problems}
    open_rows = {
        (row.kind, row.subject): row for row in Finding.objects.open().filter(project=project)
    }
    closing = [row for key, row in open_rows.items() if key not in wanted and row.kind in kinds]
    Finding.objects.filter(pk__in=[row.pk for row in closing]).update(
        closed_at=now, reason="It is gone."
    )
    kept = [row for key, row in open_rows.items() if key in wanted]
    for row in kept:
        problem = wanted[row.kind, row.subject]
        row.seen_at, row.sentence, row.attestable = now, problem.sentence, problem.attestable
    Finding.objects.bulk_update(kept, ["seen_at", "sentence", "attestable"])
    base = {"project": project, "opened_at": now, "seen_at": now}
    fresh = Finding.objects.bulk_create(
        Finding(**base | vars(problem) | {"subject": subject})
        for (kind, subject), problem in wanted.items()
        if (kind, subject) not in open_rows
    )
    for row in fresh:
        record_opened(row, now)
    for row in closing:
        gone = f"Gone: {row.sentence}"
        audit.record_by_portal("finding.closed", row, gone, now=now)


def record_opened(row: Finding, now: datetime) -> None:
    """Record that a finding was opened."""
    audit.record_by_portal("finding.opened", row, row.sentence, outcome="found", now=now)


def note_problem(job: SyncJob, problem: str, source: str, *, now: datetime) -> None:
    """Keep why the last reading failed, or that it succeeded (""); one event when that changes."""
    if job.problem == problem:
        return
    event, outcome = ("sync.failed", "failed") if problem else ("sync.recovered", "done")
    with transaction.atomic():
        type(job).objects.filter(pk=job.pk).update(problem=problem)
        audit.record_by_portal(
            event,
            job.project,
            problem or f"{source} can be read again.",
            outcome=outcome,
            data={"source": source},
            now=now,
        )
    job.problem = problem
