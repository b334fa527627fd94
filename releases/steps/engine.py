"""Jobs that go step by step: a promotion, a rollback. Each look writes to the outside at most once.

A step is a row of `job.steps` and a function `(step, facts) -> Wait | Done | Stop`. It looks at the
world first, so that it may be killed after any line; what it saw is written down, with an event,
only by who still holds the job.
"""

from collections.abc import Callable, Iterable, Mapping
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
from portal.jobs import OPEN, Finished, JobStatus, Outcome, Requeue, holds, wake_now
from portal.jobs.steps import FINAL, patiently
from portal.ui.actions import Refused, require_reason
from portal.words import number_of
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
    """A person must decide: what happened, what the world looks like now, if that is known."""

    sentence: str
    world: str = ""
    evidence: tuple[dict[str, str], ...] = ()
    unknown: bool = False


Look = Requeue | Wait | Done | Stop
SteppedJob = Promotion | Rollback
AnyStep = PromotionStep | RollbackStep
Keep = Callable[[Release, Done], None] | None


def advance(
    job: SteppedJob,
    function: Callable[[Any], Callable[[Any, Facts], Look]],
    *,
    finish: Callable[[Any, datetime], Outcome],
    keep: Keep = None,
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


def _begin(job: SteppedJob, step: AnyStep, now: datetime) -> bool:
    with transaction.atomic():
        if not holds(job):
            return False
        step.status, step.started_at, step.world = StepStatus.ACTIVE, now, ""
        step.save(update_fields=["status", "started_at", "world"])
        release = Release.objects.select_related("project").get(pk=job.release_id)
        data = {"step": step.name}
        audit.record_by_portal("step.started", release, f"{step}.", data=data, now=now)
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


def later(step: Step, now: datetime, sentence: str, most: float = 10.0) -> Wait:
    """Return a wait that gets longer, up to `most` seconds: Railway counts requests by the hour."""
    return Wait(min(most, max(1.0, waited(step, now).total_seconds() / 10)), sentence)


def told(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, str], ...]:
    """Return evidence of labels and what was said."""
    return tuple({"label": label, "said": sentence} for label, sentence in pairs)


def _write_down(job: SteppedJob, step: AnyStep, look: Look, keep: Keep) -> Outcome:
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
        outcome = "done" if isinstance(look, Done) else "failed"
        audit.record_by_portal(
            f"step.{outcome}",
            release,
            f"{step}: {look.sentence}",
            outcome=outcome,
            data=data,
            now=now,
        )
    if isinstance(look, Stop):
        status = JobStatus.NEEDS_PERSON if look.unknown else JobStatus.FAILED
        return Finished(status, f"{step} stopped: {look.sentence}")
    return Requeue(0, look.sentence)


def stopped(jobs: Any, noun: str) -> tuple[Any, Any]:
    """Return the stopped one of a release's promotions or rollbacks, under a row lock, and the step
    that stopped it. Raise `Refused` where none has; `noun` is what it is called then.
    """
    job = jobs.unsettled().select_for_update().first()
    if job is None or job.status in OPEN:
        raise Refused(f"No step of this release's {noun} has failed.")
    step = _current(job)
    if step is None:
        raise Refused(f"No step of this release's {noun} is left.")
    return job, step


def again(job: SteppedJob, step: AnyStep, now: datetime, **changes: object) -> None:
    """Let a stopped step begin again. What it said before stays in the audit trail alone."""
    nothing: dict[str, object] = {"sentence": "", "world": "", "evidence": []}
    nothing |= {"started_at": None, "finished_at": None}
    _go_on(job, step, now, status=StepStatus.PENDING, **nothing, **changes)


def retry(
    release: Release,
    job: SteppedJob,
    step: AnyStep,
    *,
    actor: Actor,
    now: datetime,
    **changes: object,
) -> None:
    """Let a stopped step look at the world again, with its event."""
    again(job, step, now, **changes)
    audit.record(
        "step.retried", actor=actor, subject=release, sentence=f"{step} is being retried.", now=now
    )


def skip(
    release: Release, job: SteppedJob, step: AnyStep, *, actor: Actor, reason: str, now: datetime
) -> None:
    """Leave a stopped step behind, by a person's word, with its event."""
    require_reason(reason)
    message = f"Skipped by {actor}: “{reason[:500]}”"
    _go_on(job, step, now, status=StepStatus.SKIPPED, finished_at=now, sentence=message)
    # As the step's other events name it; of several restores only the words tell which.
    name = step.name if isinstance(step, PromotionStep) else str(step)
    data = {"step": name, "reason": reason[:2000], "before": step.sentence}
    message = f"{step}: “{reason[:500]}”"
    audit.record("step.skipped", actor=actor, subject=release, sentence=message, data=data, now=now)


def _go_on(job: SteppedJob, step: AnyStep, now: datetime, **changes: object) -> None:
    """Change the stopped step, and wake its job."""
    type(step)._default_manager.filter(pk=step.pk).update(**changes)
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
    probes = [_probe(test, facts, commits) for test in tests]
    sentences = [
        (f"{test.service} {test.path}", probe.sentence if probe else "has no address")
        for test, probe in zip(tests, probes, strict=True)
    ]
    evidence = told(sentences)
    bad = [
        line
        for line, probe in zip(sentences, probes, strict=True)
        if probe is None or probe.ok is not True
    ]
    if not bad:
        return Done(f"{number_of(len(tests), 'request')} answered as expected.", evidence)
    message = ": ".join(bad[0])
    late = waited(step, facts.now) >= SMOKE_PATIENCE
    return Stop(message, world, evidence) if late else Wait(2, message)


def _probe(test: SmokeTest, facts: Facts, commits: Mapping[str, str]) -> Probe | None:
    live = next((live for live in facts.in_production if live.service == test.service), None)
    if live is None or not live.instance.domains:
        return None
    commit = commits.get(test.service) if test.expects_commit else None
    return probe(
        live.instance.domains[0],
        path=test.path,
        expected_status=test.expected_status,
        expected_commit=commit,
    )
