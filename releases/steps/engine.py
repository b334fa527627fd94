"""Jobs that go step by step: a promotion, a rollback. Each look writes to the outside at most once.

A step is a row of `job.steps` and a function `(step, facts) -> Wait | Done | Stop`. It looks at the
world first, so that it may be killed after any line; what it saw is written down, with an event,
only by who still holds the job.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from environments.models import SmokeTest
from environments.quota import sharing
from environments.smoke.probe import Probe, probe
from portal import audit
from portal.audit import Actor
from portal.jobs import OPEN, STOPPED, Finished, Job, JobStatus, Outcome, Requeue, holds, wake_now
from portal.jobs.steps import FINAL, patiently
from portal.ui.actions import Refused
from releases.gates.context import Facts, facts_of
from releases.models import Rollback, RollbackStep, StepStatus
from releases.models.promotion import Promotion, PromotionStep
from releases.models.releases import Release
from releases.models.steps import Step

# How long a step puts up with GitHub or Railway not answering before a person is asked.
PATIENCE = timedelta(minutes=15)
SMOKE_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Wait:
    """Look again after `seconds`; `sentence` says what the step waits for."""

    seconds: float
    sentence: str


@dataclass(frozen=True)
class Done:
    """The step has taken effect. `merge_commit` is set by the merge step only."""

    sentence: str
    evidence: tuple[dict[str, str], ...] = ()
    merge_commit: str = ""


@dataclass(frozen=True)
class Stop:
    """A person must decide: what happened, what the world looks like now, and whether that is
    known at all.
    """

    sentence: str
    world: str = ""
    evidence: tuple[dict[str, str], ...] = ()
    unknown: bool = False


Look = Requeue | Wait | Done | Stop
SteppedJob = Promotion | Rollback


def advance(
    job: SteppedJob,
    function: Callable[[Any], Callable[[Any, Facts], Look]],
    *,
    finish: Callable[[Any, datetime], Outcome],
    keep: Callable[[Release, Done], None] | None = None,
    now: datetime,
) -> Outcome:
    """Let the current step of `job` look once, and write down what it saw.

    `function` names what a step does, `finish` ends the job when all are behind it, and `keep` is
    called for what is done, in the transaction that writes it down, with the release locked.
    """
    step = _current(job)
    if step is None:
        return finish(job, now)
    if step.status == StepStatus.FAILED:  # the worker died between the step's end and the job's
        return Finished(JobStatus.NEEDS_PERSON, f"{step} stopped: {step.sentence}")
    if step.started_at is None and not _begin(job, step, now):
        return Requeue(0)
    with sharing.ahead(job.release.project, now) as pause:
        if pause:
            return _write_down(job, step, pause, keep)
        look = patiently(
            lambda: function(step)(step, facts_of(job.release_id, now=now)),
            give_up=_given_up,
            late=waited(step, now) > PATIENCE,
        )
    return _write_down(job, step, look, keep)


def _current(job: Any) -> Any:
    """Return the first step that is neither done nor skipped; None: all are behind it."""
    left = job.steps.exclude(status__in=[StepStatus.DONE, StepStatus.SKIPPED])
    return left.order_by("position").first()


def _begin(job: SteppedJob, step: PromotionStep | RollbackStep, now: datetime) -> bool:
    with transaction.atomic():
        if not holds(job):
            return False
        step.status, step.started_at, step.world = StepStatus.ACTIVE, now, ""
        step.save(update_fields=["status", "started_at", "world"])
        release = Release.objects.select_related("project").get(pk=job.release_id)
        audit.record(
            "step.started",
            actor=None,
            subject=release,
            sentence=f"{step}.",
            data={"step": step.name},
            now=now,
        )
    return True


def _given_up(error: Exception) -> Look:
    """Return a refusal, or no believable answer for too long."""
    kind = getattr(error, "kind", "")
    if kind in FINAL:
        return Stop(str(error))
    unknown = kind in ("unknown_outcome", "malformed")
    return Stop(str(error), "The current state of production is not known.", unknown=unknown)


def waited(step: Step, now: datetime) -> timedelta:
    """Return how long the step has been looking."""
    return now - (step.started_at or now)


def _write_down(
    job: SteppedJob,
    step: PromotionStep | RollbackStep,
    look: Look,
    keep: Callable[[Release, Done], None] | None,
) -> Outcome:
    now = timezone.now()
    with transaction.atomic():
        if not holds(job):
            return Requeue(0)
        step.looks += 1
        step.sentence = look.sentence
        if isinstance(look, (Requeue, Wait)):
            step.save(update_fields=["looks", "sentence"])
            return Requeue(look.seconds, look.sentence)
        step.finished_at, step.evidence = now, list(look.evidence)
        step.status = StepStatus.DONE if isinstance(look, Done) else StepStatus.FAILED
        step.world = look.world if isinstance(look, Stop) else ""
        step.save(update_fields=["looks", "sentence", "world", "evidence", "finished_at", "status"])
        release = Release.objects.locked(job.release_id)
        if isinstance(look, Done) and keep is not None:
            keep(release, look)
        data = {"step": step.name, "evidence": step.evidence, "world": step.world}
        word, outcome = ("done", "done") if isinstance(look, Done) else ("failed", "failed")
        audit.record(
            f"step.{word}",
            actor=None,
            subject=release,
            outcome=outcome,
            sentence=f"{step}: {look.sentence}",
            data=data,
            now=now,
        )
    if isinstance(look, Stop):
        status = JobStatus.NEEDS_PERSON if look.unknown else JobStatus.FAILED
        return Finished(status, f"{step} stopped: {look.sentence}")
    return Requeue(0, look.sentence)


def stopped(jobs: Any, noun: str) -> tuple[Any, Any]:
    """Return the stopped one of `jobs` (a release's promotions, or rollbacks) under a row lock, and
    the step that stopped it.

    Raise `Refused` where none has; `noun` is what it is called then.
    """
    job = jobs.select_for_update().filter(status__in=[*OPEN, *STOPPED]).first()
    if job is None or job.status in OPEN:
        raise Refused(f"No step of this release's {noun} has failed.")
    step = _current(job)
    if step is None:
        raise Refused(f"No step of this release's {noun} is left.")
    return job, step


def again(step: Step, **changes: object) -> None:
    """Let a stopped step begin again. What it said before stays in the audit trail alone."""
    rows = type(step)._default_manager.filter(pk=step.pk)
    nothing = {"sentence": "", "world": "", "evidence": []}
    changes |= nothing | {"started_at": None, "finished_at": None}
    rows.update(status=StepStatus.PENDING, **changes)


def skip(step: Step, *, actor: Actor, reason: str, now: datetime) -> None:
    """Leave a stopped step behind, by a person's word."""
    message = f"Skipped by {actor}: “{reason[:500]}”"
    type(step)._default_manager.filter(pk=step.pk).update(
        status=StepStatus.SKIPPED, finished_at=now, sentence=message
    )


def go_on(job: Job, now: datetime) -> None:
    """Wake a stopped job."""
    type(job)._default_manager.filter(pk=job.pk).update(
        status=JobStatus.QUEUED, finished_at=None, lease_until=None, crashes=0, sentence=""
    )
    wake_now(job, now=now)


def smoke(step: Step, facts: Facts, commits: Mapping[str, str], world: str) -> Look:
    """Ask each configured page of production over HTTP.

    `commits`: what each service must say that it runs, where a test asks for that. `world` is said
    when one fails.
    """
    tests = list(SmokeTest.objects.filter(project=facts.project, on_production=True))
    if not tests:
        return Stop("This project has no smoke tests. Add one, or skip this step with a reason.")
    probes = [(test, _probe(test, facts, commits)) for test in tests]
    evidence = tuple(
        {"label": f"{test.service} {test.path}", "said": one.sentence if one else "has no address"}
        for test, one in probes
    )
    told = zip(evidence, (one for _, one in probes), strict=True)
    bad = [line for line, one in told if one is None or one.ok is not True]
    if not bad:
        many = f"{len(tests)} request{'s' if len(tests) > 1 else ''}"
        return Done(f"{many} answered as expected.", evidence)
    message = f"{bad[0]['label']}: {bad[0]['said']}"
    late = waited(step, facts.now) >= SMOKE_PATIENCE
    return Stop(message, world, evidence) if late else Wait(2, message)


def _probe(test: SmokeTest, facts: Facts, commits: Mapping[str, str]) -> Probe | None:
    live = next((one for one in facts.in_production if one.service == test.service), None)
    if live is None or not live.instance.domains:
        return None
    commit = commits.get(test.service) if test.expects_commit else None
    return probe(
        live.instance.domains[0],
        path=test.path,
        expected_status=test.expected_status,
        expected_commit=commit,
    )
