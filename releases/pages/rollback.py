"""The rollback on the release page: plain values from the assessment and from what people wrote."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from environments.models import SERVING, VALID, Direction, EnvironmentKind, MigrationRun, Rehearsal
from environments.models.rehearsals import hashes
from environments.schema.downgrade.compatibility import DOWNGRADE_FIRST, FORWARD, PENDING, SAFE
from portal.jobs import OPEN, STOPPED, JobStatus
from portal.outbound.parsing import JsonObject
from releases.gates.context import Facts
from releases.models import Downgrade, Rollback, RollbackAssessment, RollbackStep, StepStatus
from releases.models.releases import Release, ReleaseStatus
from releases.models.rollback import downgrade_content
from releases.pages.release import Now
from releases.pages.rollback_panel import DowngradePanel, RollbackPanel, ServiceRow
from releases.pages.stages import Stage
from releases.rollback import assessment as rollback_assessment

TONES = {SAFE: "pass", DOWNGRADE_FIRST: "attest", FORWARD: "attest"}
SERVICE = {
    "ready": "pass",
    "same": "closed",
    "moving": "wait",
    "new": "closed",
    "gone": "fail",
    "unknown": "attest",
}
SHOWN = 5  # downgrades


def panel(facts: Facts, *, now: datetime) -> RollbackPanel:
    """Return the panel of a release that was read for its page; five queries at most, and none
    before anybody goes back.
    """
    release: Any = facts.release
    if release.status == ReleaseStatus.OPEN:
        return RollbackPanel()
    assessment = getattr(release, "assessment", None)
    job = _job(release) if release.has_rollback else None
    steps = tuple(job.steps.order_by("position")) if job else ()
    given = tuple(job.approvals.select_related("user")) if job else ()
    downgrades = _downgrades(release) if release.has_downgrade else ()
    gone = release.status in (ReleaseStatus.ROLLED_BACK, ReleaseStatus.ABANDONED)
    # An assessment from before counts no longer.
    known = assessment if assessment and assessment.computed_at and assessment.is_open else None
    known = None if release.status == ReleaseStatus.ROLLED_BACK else known
    first = steps[0] if steps else None
    outdated = _outdated(facts, known, downgrades, now) if known else ""
    why_not = _why_not(facts, known, job) or outdated
    return RollbackPanel(
        assessment=known,
        tone=TONES.get(known.verdict, "wait") if known and not outdated else "wait",
        outdated=outdated,
        services=tuple(_service(service) for service in known.services) if known else (),
        job=job,
        steps=steps,
        approvals=tuple(
            (approval, bool(job and approval.content == job.content)) for approval in given
        ),
        waits=bool(job and job.is_open and first and first.finished_at is None),
        stopped=_stopped(job, steps),
        back=_back(facts, known, now) if known else None,
        request=next((downgrade for downgrade in downgrades if downgrade.waits), None),
        downgrades=tuple(downgrade for downgrade in downgrades if not downgrade.waits),
        can_ask=known is not None and not why_not,
        why_not=why_not,
        note="" if known or gone else _note(assessment),
    )


def _note(assessment: RollbackAssessment | None) -> str:
    """Return why a release on its way to production, or there, has no verdict."""
    if assessment is not None and not assessment.is_open:
        return assessment.sentence
    running = "The rollback assessment is still running."
    return f"{running} {assessment.problem}".strip() if assessment else running


def _outdated(
    facts: Facts, known: RollbackAssessment, downgrades: Sequence[Downgrade], now: datetime
) -> str:
    """Return why the assessment is not of now, from what was read for the page: no green is shown
    that something has overtaken.
    """
    at = known.computed_at or now
    runs = [
        run
        for run in (
            *(step.migration_run for step in facts.steps),
            *(downgrade.run for downgrade in downgrades),
        )
        if run
    ]
    if any(run.is_open for run in runs):
        return "" if known.verdict == PENDING else "Production's database is being migrated."
    if any(moment and moment > at for run in runs for moment in (run.created_at, run.finished_at)):
        return "Production's database has been migrated since."
    if any(
        moment and moment > at
        for step in facts.steps
        for moment in (step.started_at, step.finished_at)
    ):
        return "The promotion has continued since."
    if facts.railway_seen_at and facts.railway_seen_at > at and (moved := _moved(facts, known)):
        return f"{moved} serves another deployment now."
    if known.problem:
        return f"The assessment could not be updated: {known.problem}"
    return "The assessment is outdated." if rollback_assessment.is_old(known, now) else ""


def _moved(facts: Facts, known: RollbackAssessment) -> str:
    """Return the names of the services that serve another commit than the assessment saw."""
    serves = {
        live.instance.service.railway_id: next(
            (
                deployment.commit
                for deployment in live.active
                if deployment.status in SERVING and not deployment.stopped
            ),
            "",
        )
        for live in facts.in_production
    }
    return ", ".join(
        service["service"]
        for service in known.services
        if service["service_id"] in serves and service["serves"] != serves[service["service_id"]]
    )


def _job(release: Release) -> Rollback | None:
    return (
        Rollback.objects.filter(release=release)
        .select_related("requested_by")
        .order_by("-pk")
        .first()
    )


def _downgrades(release: Release) -> tuple[Downgrade, ...]:
    requests = Downgrade.objects.filter(release=release).select_related(
        "requested_by", "approved_by", "run"
    )
    return tuple(requests.defer("run__log")[:SHOWN])


def _why_not(facts: Facts, assessment: RollbackAssessment | None, job: Rollback | None) -> str:
    """Return why no rollback can be asked for now; the action asks again."""
    if assessment is None or (job and job.status in (*OPEN, *STOPPED)):
        return ""
    if not assessment.is_open:
        return assessment.sentence
    if not facts.release.merge_commit:
        return "The release is not merged yet: there is nothing to roll back."
    if facts.promotion and facts.promotion.status in OPEN:
        return "The promotion is running. You can request a rollback when it has ended or stopped."
    if assessment.verdict == DOWNGRADE_FIRST:
        return "Downgrade the database first; then the services can be rolled back."
    return "" if assessment.targets else "Railway has nothing to restore."


def _stopped(job: Rollback | None, steps: tuple[RollbackStep, ...]) -> RollbackStep | None:
    if job is None or job.status not in STOPPED:
        return None
    return next(
        (step for step in steps if step.status not in (StepStatus.DONE, StepStatus.SKIPPED)), None
    )


def _service(service: JsonObject) -> ServiceRow:
    return ServiceRow(
        name=service["service"],
        state=SERVICE.get(service["state"], "attest"),
        sentence=service["sentence"],
        serves=service["serves"],
        commit=service["commit"],
        deployment=service["deployment"],
        until=parse_datetime(service["until"]) if service["until"] else None,
        until_known=bool(service["until"]),
        at_start=service["at_start"],
        at_start_known=service["at_start_known"],
        variables=tuple((name, what) for name, what in service["variables"]),
        unknown=tuple(service["variables_unknown"]),
    )


def _back(facts: Facts, assessment: RollbackAssessment, now: datetime) -> DowngradePanel | None:
    known = assessment.downgrade
    if known is None:
        return None
    rows = Rehearsal.objects.filter(
        environment__project=facts.project,
        environment__kind=EnvironmentKind.PRODUCTION,
        commit=known["commit"],
        direction=Direction.DOWNGRADE,
    )
    if "database_id" in known:
        rows = rows.filter(database=known["database_id"])
    row = rows.only("status", "sentence", "start", "files", "finished_at").order_by("-pk").first()
    same = (
        row is not None
        and row.status == JobStatus.SUCCEEDED
        and hashes(row.files) == hashes([known["file"]])
    )
    fresh = row is not None and row.finished_at is not None and now - row.finished_at < VALID
    return DowngradePanel(
        file=known["file"],
        target=known["target"],
        database=known["database"],
        losses=known["losses"],
        unsure=known["unsure"],
        sql=known["sql"],
        content=downgrade_content(known),
        rehearsal=row,
        rehearsed=bool(
            same and fresh and row and sorted(row.start or ()) == sorted(known["start"])
        ),
    )


def now(facts: Facts, panel: RollbackPanel) -> Now | None:
    """Return the sentence at the top of the page while the way back is what matters; else None."""
    job = panel.job
    if job is None or job.status not in (*OPEN, *STOPPED):
        return None
    if panel.stopped is not None:
        step = panel.stopped
        word = "needs a person" if job.status == JobStatus.NEEDS_PERSON else "failed"
        details = tuple(part for part in (step.sentence, step.world) if part)
        return Now("fail", f"Rollback: {step} {word}.", details)
    if panel.waits:
        message = f"{job.requested_by} requests a rollback: “{job.reason[:300]}”"
        needs, button = "The rollback needs a second approver", "Review rollback"
        return Now("attest", needs, (message,), button=button, anchor="rollback")
    current = next((step for step in panel.steps if step.finished_at is None), None)
    details = (job.sentence,) if job.sentence else ()
    return Now("active", f"Rolling back: {current or 'ending'}.", details)


def last_stage(facts: Facts, panel: RollbackPanel) -> tuple[Stage, ...]:
    """Return what the row of stages ends with once production was taken back."""
    if facts.release.status != ReleaseStatus.ROLLED_BACK or panel.job is None:
        return ()
    return (Stage("Rolled back", "done", at=panel.job.finished_at),)


def log_run(panel: RollbackPanel) -> MigrationRun | None:
    """Return the run of the newest downgrade, whose log is of interest then."""
    return next(
        (downgrade.run for downgrade in panel.downgrades if downgrade.run is not None), None
    )
