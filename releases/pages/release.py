"""What the release page shows, computed from facts and gates: plain values, no queries."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from environments.databases.failure import FailureReport, failure_report_of
from environments.models import EnvironmentKind, MigrationRun
from portal.jobs import OPEN, STOPPED
from portal.models.audit import AuditEvent
from releases import gates
from releases.gates.context import Facts
from releases.models import StepStatus
from releases.models.checklist import Phase
from releases.models.promotion import PromotionStep, StepName
from releases.models.pull_requests import PullRequest
from releases.models.releases import ReleaseStatus
from releases.pages import next_act
from releases.pages.checklist_rows import ENDED, Row, control_of
from releases.pages.stages import of_interest
from releases.pages.trouble import has_moved


@dataclass(frozen=True)
class Now:
    """What is happening or missing, in one sentence, and the one thing to do about it."""

    state: str
    headline: str
    details: tuple[str, ...] = ()
    verb: str = ""  # a button that posts this verb
    button: str = ""
    anchor: str = ""  # or a link to where the thing is done
    link: str = ""  # or a page elsewhere


def now(facts: Facts, readiness: gates.Readiness) -> Now:
    """Return the sentence at the top of the release page."""
    release = facts.release
    if release.status == ReleaseStatus.ABANDONED:
        return Now("skipped", "This release was abandoned.", ("The portal no longer changes it.",))
    if release.status == ReleaseStatus.VERIFYING:
        return _now_verifying(facts, readiness)
    if release.status == ReleaseStatus.PROMOTING:
        return _now_promoting(facts)
    trouble = (facts.reconciler_problem,) if facts.reconciler_problem else ()
    if release.collected != release.candidate:
        return Now("fail" if trouble else "wait", "Loading commits and checks…", trouble)
    if readiness.ready:
        details = trouble or (f"Candidate {release.candidate[:7]} passes every check.",)
        return Now("pass", "Ready to promote", details)
    return _now_missing(facts, readiness, trouble)


def _now_missing(facts: Facts, readiness: gates.Readiness, trouble: tuple[str, ...]) -> Now:
    missing = readiness.missing
    worst = "fail" if any(line.result.state == gates.FAIL for line in missing) else "wait"
    checks = "check" if len(missing) == 1 else "checks"
    headline = f"{len(missing)} {checks} left before promotion"
    details = (*trouble, *(_short(line) for line in missing[:4]))
    if len(missing) > 4:
        details = (*details, f"and {len(missing) - 4} more.")
    pull = _to_review(facts, missing)
    button, link = next_act.on_github(facts, missing) if pull is None else ("", "")
    if link:
        return Now(worst, headline, details, button=button, link=link)
    if any(line.gate == "migrations_ready" for line in missing) and can_migrate_staging(facts):
        return Now(worst, headline, details, "migrate-staging", "Migrate staging")
    if pull is not None:
        verb = f"Review #{pull.number} on GitHub"
        return Now(worst, headline, details, button=verb, link=pull.url)
    button, link = next_act.on_railway(facts, missing)
    if link:
        return Now(worst, headline, details, button=button, link=link)
    theirs = next((line for line in missing if control_of(line, facts.release)), None)
    anchor = Row(theirs.text, "", item=theirs.item).key if theirs else ""
    if any(line.gate == "carries" and line.result.state == gates.FAIL for line in missing):
        return Now(worst, headline, details, button="Show what ships again", anchor="ships")
    if anchor:
        return Now(worst, headline, details, button="Next open item", anchor=anchor)
    button, link = next_act.on_board(facts, missing)
    return Now(worst, headline, details, button=button, link=link)


def _to_review(facts: Facts, missing: Iterable[gates.ChecklistLine]) -> PullRequest | None:
    """Return the promotion pull request, if what GitHub demands of it is a person's review."""
    pull = facts.promotion_pull
    if pull is None or pull.review_decision not in ("review_required", "changes_requested"):
        return None
    return pull if any(line.gate == "merge_allowed" for line in missing) else None


def _short(line: gates.ChecklistLine) -> str:
    manual = line.item is not None and not line.item.gate
    return f"{line.text}: not confirmed" if manual else line.result.sentence


def _now_promoting(facts: Facts) -> Now:
    step = current_step(facts)
    if facts.promotion is None or step is None:
        return Now("active", "Starting the promotion…")
    if facts.promotion.status in STOPPED:
        unknown = facts.promotion.status == "needs_person"
        message = f"{step} needs a person." if unknown else f"{step} failed."
        details = tuple(
            part for part in (step.sentence or facts.promotion.sentence, step.world) if part
        )
        return Now("fail", message, details)
    done = sum(step.status in (StepStatus.DONE, StepStatus.SKIPPED) for step in facts.steps)
    return Now(
        "active", f"Step {done + 1} of {len(facts.steps)}: {step}.", (step.sentence or "Starting.",)
    )


def _now_verifying(facts: Facts, readiness: gates.Readiness) -> Now:
    left = [line for line in readiness.after if not line.done]
    if not left:
        return Now(
            "pass", "Production runs this release and every check passed. Closing the release…"
        )
    live = gates.GATES["production_live"](facts)
    runs = "Production runs this release."
    details = tuple(_short(line) for line in left[:4])
    if live.state == gates.FAIL:  # what to do stands right below
        return Now("fail", "Production does not run this release as promoted.", details)
    if live.state != gates.PASS:
        runs = "Reading what production runs…"
    checks = "check" if len(left) == 1 else "checks"
    worst = "fail" if any(line.result.state == gates.FAIL for line in left) else "wait"
    anchor = Row(left[0].text, "", item=left[0].item).key
    message = f"{runs} {len(left)} {checks} left."
    return Now(worst, message, details, button="Next open item", anchor=anchor)


def current_step(facts: Facts) -> PromotionStep | None:
    """Return the step that is under way, or that stopped."""
    return next(
        (step for step in facts.steps if step.status not in (StepStatus.DONE, StepStatus.SKIPPED)),
        None,
    )


def can_migrate_staging(facts: Facts) -> bool:
    """Return whether the one thing to do is to migrate staging."""
    release = facts.release
    return bool(
        release.status == ReleaseStatus.OPEN
        and release.migrations
        and not release.migrations_problem
        and facts.staged_at() is None
        and not any(run.is_open for run in facts.runs)
        and not (release.is_hotfix and not gates.same_databases(facts))
    )


def log_run(facts: Facts) -> tuple[str, MigrationRun] | None:
    """Return where and what the run is whose log is of interest now: the promotion's, else
    staging's for this candidate.
    """
    steps = facts.steps if facts.release.status != ReleaseStatus.OPEN else ()
    promoted = [step.migration_run for step in steps if step.migration_run]
    if promoted:
        return EnvironmentKind.PRODUCTION, promoted[-1]  # the newest, or the one that stopped
    newest = of_interest(facts)
    if newest and (newest.status in OPEN or newest.commit == facts.release.candidate):
        return EnvironmentKind.STAGING, newest
    return None


def called(facts: Facts, run: MigrationRun) -> str:
    """Return the name of the run's database where there are several."""
    return next(
        (
            database.called
            for database in facts.databases
            if database.database.pk == run.database_id
        ),
        "",
    )


def failure_report(facts: Facts, logged: tuple[str, MigrationRun] | None) -> FailureReport | None:
    """Return what the run of `log_run` left half done and what to type next, if it did not succeed.

    No query.
    """
    environment = facts.environments.get(logged[0]) if logged else None
    if logged is None or environment is None:
        return None
    run = logged[1]
    environment.project, run.environment = facts.project, environment
    database = next(
        (
            database.database
            for database in facts.databases
            if database.database.pk == run.database_id
        ),
        None,
    )
    if database is None:
        return None
    run.database = database
    return failure_report_of(run)


def pulse_seconds(facts: Facts) -> int:
    """Return how often the page looks again: 2 s while something runs, 10 s otherwise, 0 when the
    release has ended.
    """
    if facts.release.status in ENDED:
        return 0
    running = (
        facts.promotion
        and facts.promotion.status in OPEN
        and facts.release.status == ReleaseStatus.PROMOTING
    )
    migrating = any(run.is_open for run in facts.runs)
    reading = facts.release.collected != facts.release.candidate
    return 2 if running or migrating or reading or _is_closing(facts) else 10


def _is_closing(facts: Facts) -> bool:
    """Return whether people have looked at everything after promotion, so that only the portal's
    own look is awaited.
    """
    if facts.release.status != ReleaseStatus.VERIFYING:
        return False
    if facts.release.is_hotfix and not facts.release.back_merge.get("contained"):
        return False  # people may take their time over the back-merge
    return all(
        item.is_ticked for item in facts.items if item.phase == Phase.AFTER and not item.gate
    )


def repairs(facts: Facts) -> tuple[PromotionStep | None, tuple[str, ...]]:
    """Return the stopped step, and the verbs that can fix it; the first is the first right act."""
    step = current_step(facts)
    if step is None or facts.promotion is None or facts.promotion.status not in STOPPED:
        return None, ()
    if step.name == StepName.MERGE:
        verbs = ("retry-step", "abandon-promotion")
        return step, verbs[::-1] if has_moved(facts) else verbs
    deploy = ("deploy-commit",) if step.name == StepName.DEPLOY else ()
    return step, (*deploy, "retry-step", "skip-step", "abandon-promotion")


@dataclass(frozen=True)
class Attempt:
    """An earlier try of a step that failed."""

    step: str
    sentence: str
    at: datetime


def earlier_attempts(events: Iterable[AuditEvent]) -> tuple[Attempt, ...]:
    """Return the failures before the newest retry, newest first: history, not the present."""
    attempts, retried = [], False
    for event in events:
        retried |= event.action == "step.retried"
        if retried and event.action == "step.failed":
            attempts.append(Attempt(str(event.data.get("step", "")), event.sentence, event.at))
    return tuple(attempts)
