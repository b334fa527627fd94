"""What the release page shows, worked out from facts and gates: plain values, no queries."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import slugify

from environments.databases.failure import Aftermath, aftermath_of
from environments.models import Database, EnvironmentKind, MigrationRun
from environments.services.liveness import Live
from environments.smoke.probe import address_of
from portal.jobs import OPEN, STOPPED
from portal.models.audit import AuditEvent
from releases import gates
from releases.gates.context import Facts
from releases.gates.deployed import live_at
from releases.models import StepStatus
from releases.models.checklist import ChecklistItem, Phase
from releases.models.promotion import PromotionStep, StepName
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release, ReleaseStatus
from releases.pages.trouble import has_moved
from releases.promotion.actions import stops_of

STATE = {gates.PASS: "pass", gates.PENDING: "wait", gates.FAIL: "fail", gates.ATTEST: "attest"}
ENDED = (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK)


@dataclass(frozen=True)
class Row:
    """One line of the checklist as it is shown. `control`: what a person can do to it now."""

    text: str
    state: str
    sentence: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    seen_at: datetime | None = None
    item: ChecklistItem | None = None
    control: str = ""  # tick, untick, attest, approve or nothing
    link: str = ""
    lapsed: bool = False
    problem: str = ""

    @property
    def pk(self) -> str:
        """The item's key; a number is safe, and said so it is not escaped anew at each of its
        places.
        """
        return SafeString(self.item.pk) if self.item else ""

    @property
    def key(self) -> str:
        """Names the row in the page: its anchor."""
        return SafeString(f"item-{self.item.pk}") if self.item else "gate-" + slugify(self.text)

    @property
    def address(self) -> str:
        """Where the row's control posts to."""
        return (
            _address(self.item.pk, "untick" if self.control == "untick" else "tick")
            if self.item
            else ""
        )

    @property
    def tone(self) -> str:
        """How the sentence is coloured."""
        return self.state if self.state in ("fail", "attest") else "muted"


@functools.lru_cache(8192)
def _address(pk: int, verb: str) -> SafeString:
    """Worked out once: every poll shows the same sixty items."""
    return SafeString(reverse("releases:item-do", args=[pk, verb]))


@dataclass(frozen=True)
class Stage:
    """One stop of the progress row: state is done, active, failed, skipped or empty."""

    label: str
    state: str = ""
    small: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Now:
    """One sentence on what stands between or happens, what that is about, and the one thing to
    do.
    """

    state: str
    headline: str
    details: tuple[str, ...] = ()
    verb: str = ""  # a button that posts this verb
    button: str = ""
    anchor: str = ""  # or a link to where the thing is done
    link: str = ""  # outside the portal


def rows(
    facts: Facts, standing: gates.Standing, phase: str, *, may_tick: bool = True
) -> tuple[Row, ...]:
    """The checklist lines of one phase, with ticks for those who may."""
    pages = key_page_base(facts.in_production)
    lines = standing.before if phase == Phase.BEFORE else standing.after
    return tuple(_row(line, facts, pages, may_tick) for line in lines)


def _row(line: gates.Line, facts: Facts, pages: str, may_tick: bool) -> Row:
    item, result = line.item, line.result
    closed = item is not None and item.phase == Phase.AFTER and facts.release.is_in_preparation
    return Row(
        text=line.text,
        state="closed" if closed else STATE[result.state],
        sentence="" if closed and item and not item.gate else result.sentence,
        evidence=result.evidence,
        seen_at=result.seen_at,
        item=item,
        control=(
            ""
            if closed
            else _control(line, facts.release)
            if may_tick or line.gate == "approved"
            else ""
        ),
        link=page_link(item.link, pages) if item else "",
        lapsed=bool(item and item.lapsed_at),
    )


def _control(line: gates.Line, release: Release) -> str:
    item = line.item
    if line.gate == "approved" and not line.done:
        return "approve"
    if item is None or release.status in ENDED:
        return ""
    if item.phase == Phase.BEFORE and release.merge_commit:
        return ""
    if item.is_ticked and item.ticked_candidate == release.candidate:
        return "untick"
    if not item.gate:
        return "tick"
    return "attest" if line.result.state == gates.ATTEST else ""


def ticked_row(
    item: ChecklistItem, *, who: object, note: str, at: datetime | None, problem: str = ""
) -> Row:
    """A row as it stands after a tick (`at` given) or untick, from what is at hand; gates are asked
    at the next look.

    `problem` is why it was refused.
    """
    message = f"{who}: “{note}”" if note else str(who)
    manual = (
        "Not confirmed"
        if not item.gate
        else "The portal cannot check this; a person must confirm it."
    )
    return Row(
        text=item.text,
        state="pass" if at else "attest" if item.gate else "wait",
        sentence=message if at else manual,
        seen_at=at,
        item=item,
        control="untick" if at else "attest" if item.gate else "tick",
        problem=problem,
    )


def key_page_base(services: Iterable[Live]) -> str:
    """The domain that relative key pages lie on: production's frontend, else its first service
    with an address.
    """
    named = [
        (live.service.lower(), live.instance.domains[0])
        for live in services
        if live.instance.domains
    ]
    named.sort(
        key=lambda one: (one[0] != "frontend", "front" not in one[0] and "web" not in one[0])
    )
    return named[0][1] if named else ""


def page_link(link: str, base: str) -> str:
    """The address of a key page, or nothing when it has none: http on this machine, else https."""
    if not link.startswith("/"):
        return link
    return (address_of(base, link) or "") if base else ""


def stages(facts: Facts, before: tuple[Row, ...]) -> tuple[Stage, ...]:
    """The way from cut to sync."""
    release, ended = facts.release, facts.release.status in ENDED
    first = [Stage("Cut", "done", at=release.cut_at)]
    if release.migrations:
        first.append(_staging_stage(facts))
    ticked = sum(row.state == "pass" for row in before)
    if release.status == ReleaseStatus.OPEN:
        first.append(Stage("Check and sign", "active", f"{ticked} of {len(before)}"))
    else:
        passed = bool(facts.promotion and release.status != ReleaseStatus.ABANDONED)
        at = facts.promotion.created_at if facts.promotion and passed else None
        first.append(
            Stage("Check and sign", "done" if passed else "", "" if at else "not finished", at)
        )
    current = facts.promotion if release.status != ReleaseStatus.OPEN else None
    if current and facts.steps:
        return (*first, *(_stage(step) for step in facts.steps))
    databases = [database.database for database in facts.databases]
    ahead = stops_of(release, databases)
    return (*first, *(_to_come(name, one, facts, ended) for name, one in ahead))


def _to_come(name: StepName, database: Database | None, facts: Facts, ended: bool) -> Stage:
    label = f"{name.label} {database.called if database else ''}".rstrip()
    return Stage(label, "", "" if ended else _ahead(name, database, facts))


def _staging_stage(facts: Facts) -> Stage:
    count = _revisions(len(facts.release.migrations), facts)
    staged_at, newest = facts.staged_at(), _of_interest(facts)
    if staged_at:
        return Stage("Migrate staging", "done", count, staged_at)
    if newest and newest.is_open:
        return Stage("Migrate staging", "active", count)
    if newest and newest.status in STOPPED and newest.commit == facts.release.candidate:
        return Stage("Migrate staging", "failed", count, newest.finished_at)
    return Stage("Migrate staging", "", count)


def _stage(step: PromotionStep) -> Stage:
    if step.status == StepStatus.PENDING:
        return Stage(str(step))
    took = (
        (step.finished_at - step.started_at).total_seconds()
        if step.finished_at and step.started_at
        else None
    )
    small = "" if took is None else f"{took:.1f} s" if took < 100 else f"{took / 60:.0f} min"
    return Stage(str(step), step.status, small, step.finished_at or step.started_at)


def _ahead(name: StepName, database: Database | None, facts: Facts) -> str:
    if name == StepName.MERGE:
        return f"#{facts.release.pull_number}" if facts.release.pull_number else ""
    if name == StepName.DEPLOY:
        return _count(sum(live.at_commits for live in facts.in_production), "service")
    if name == StepName.MIGRATE:
        mine = [one for one in facts.databases if one.database == database]
        return _revisions(sum(len(one.migrations) for one in mine), facts)
    return ""


def _revisions(number: int, facts: Facts) -> str:
    """How many revisions, or that nobody knows yet."""
    if facts.release.collected != facts.release.candidate:
        return "reading…"
    return _count(number, "revision")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else f"no {noun}s"


def now(facts: Facts, standing: gates.Standing) -> Now:
    """The sentence at the top of the release page."""
    release = facts.release
    if release.status == ReleaseStatus.ABANDONED:
        return Now("skipped", "This release was abandoned.", ("The portal no longer changes it.",))
    if release.status == ReleaseStatus.VERIFYING:
        return _now_verifying(facts, standing)
    if release.status == ReleaseStatus.PROMOTING:
        return _now_promoting(facts)
    trouble = (facts.reconciler_problem,) if facts.reconciler_problem else ()
    if release.collected != release.candidate:
        return Now("fail" if trouble else "wait", "Loading commits and checks…", trouble)
    if standing.ready:
        details = trouble or (f"Candidate {release.candidate[:7]} passes every check.",)
        return Now("pass", "Ready to promote", details)
    return _now_missing(facts, standing, trouble)


def _now_missing(facts: Facts, standing: gates.Standing, trouble: tuple[str, ...]) -> Now:
    missing = standing.missing
    worst = "fail" if any(line.result.state == gates.FAIL for line in missing) else "wait"
    checks = "check" if len(missing) == 1 else "checks"
    headline = f"{len(missing)} {checks} left before promotion"
    details = (*trouble, *(_short(line) for line in missing[:4]))
    if len(missing) > 4:
        details = (*details, f"and {len(missing) - 4} more.")
    if any(line.gate == "migrations_ready" for line in missing) and can_migrate_staging(facts):
        return Now(worst, headline, details, "migrate-staging", "Migrate staging")
    if (pull := _to_review(facts, missing)) is not None:
        verb = f"Review #{pull.number} on GitHub"
        return Now(worst, headline, details, button=verb, link=pull.url)
    theirs = next((line for line in missing if _control(line, facts.release)), None)
    anchor = Row(theirs.text, "", item=theirs.item).key if theirs else ""
    if any(line.gate == "carries" and line.result.state == gates.FAIL for line in missing):
        return Now(worst, headline, details, button="Show what ships again", anchor="ships")
    return Now(worst, headline, details, button="Next open item" if anchor else "", anchor=anchor)


def _to_review(facts: Facts, missing: Iterable[gates.Line]) -> PullRequest | None:
    """The promotion pull request, if what GitHub demands of it is a person's review."""
    pull = facts.promotion_pull
    if pull is None or pull.review_decision not in ("review_required", "changes_requested"):
        return None
    return pull if any(line.gate == "merge_allowed" for line in missing) else None


def _short(line: gates.Line) -> str:
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


def _now_verifying(facts: Facts, standing: gates.Standing) -> Now:
    left = [line for line in standing.after if not line.done]
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
    """The step that is under way, or that stopped."""
    return next(
        (step for step in facts.steps if step.status not in (StepStatus.DONE, StepStatus.SKIPPED)),
        None,
    )


def can_migrate_staging(facts: Facts) -> bool:
    """Whether the one thing to do is to migrate staging."""
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
    """Where and what the run is whose log is of interest now: the promotion's, else staging's
    for this candidate.
    """
    steps = facts.steps if facts.release.status != ReleaseStatus.OPEN else ()
    promoted = [step.migration_run for step in steps if step.migration_run]
    if promoted:
        return EnvironmentKind.PRODUCTION, promoted[-1]  # the newest, or the one that stopped
    newest = _of_interest(facts)
    if newest and (newest.status in OPEN or newest.commit == facts.release.candidate):
        return EnvironmentKind.STAGING, newest
    return None


def _of_interest(facts: Facts) -> MigrationRun | None:
    """Of each database's last run in staging the one that is under way, else one that stopped,
    else the newest.
    """
    last = [database.runs[0] for database in facts.databases if database.runs]
    last = [run for run in last if run.is_open or run.commit == facts.release.candidate] or last
    last.sort(key=lambda run: (run.is_open, run.status in STOPPED, run.created_at), reverse=True)
    return last[0] if last else None


def called(facts: Facts, run: MigrationRun) -> str:
    """The name of the run's database where there are several."""
    return next(
        (
            database.called
            for database in facts.databases
            if database.database.pk == run.database_id
        ),
        "",
    )


def aftermath(facts: Facts, logged: tuple[str, MigrationRun] | None) -> Aftermath | None:
    """What the run of `log_run` left half done and what to type next, if it did not succeed.

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
    return aftermath_of(run)


@dataclass(frozen=True)
class LiveCell:
    """A service in one environment: the commit it serves, and words when that is not as it
    should be.
    """

    state: str
    commit: str
    words: str


@dataclass(frozen=True)
class LiveRow:
    """One service in both environments; None where it does not run."""

    service: str
    staging: LiveCell | None
    production: LiveCell | None

    @property
    def cells(self) -> tuple[LiveCell | None, ...]:
        return self.staging, self.production


def live_rows(facts: Facts) -> tuple[LiveRow, ...]:
    """The table “Live now”."""
    wanted = {
        EnvironmentKind.STAGING: (
            facts.staging_head if _is_elsewhere(facts.release) else facts.release.candidate
        ),
        EnvironmentKind.PRODUCTION: facts.release.merge_commit or facts.production_head,
    }
    cells: dict[str, dict[str, LiveCell]] = {}
    for kind, commit in wanted.items():
        for live in facts.live.get(kind, ()):
            cells.setdefault(live.service, {})[kind] = _live_cell(facts, live, kind, commit)
    return tuple(
        LiveRow(name, both.get(EnvironmentKind.STAGING), both.get(EnvironmentKind.PRODUCTION))
        for name, both in sorted(cells.items())
    )


def _is_elsewhere(release: Release) -> bool:
    """Whether staging is not to run the candidate: a hotfix never passes through it, and a
    shipped one has.
    """
    return release.is_hotfix or not release.is_in_preparation


def _live_cell(facts: Facts, live: Live, kind: str, wanted: str) -> LiveCell:
    state, words = live_at(facts, live, kind, wanted)
    plain = state == gates.PASS and live.at_commits and live.serving in ("", wanted)
    return LiveCell(STATE[state], live.serving, "" if plain else words)


def pulse_seconds(facts: Facts) -> int:
    """How often the page looks again: 2 s while something runs, 10 s otherwise, 0 when the
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
    """Whether people have looked at everything after promotion, so that only the portal's own
    look is awaited.
    """
    if facts.release.status != ReleaseStatus.VERIFYING:
        return False
    if facts.release.is_hotfix and not facts.release.back_merge.get("contained"):
        return False  # people may take their time over the back-merge
    return all(
        item.is_ticked for item in facts.items if item.phase == Phase.AFTER and not item.gate
    )


def repairs(facts: Facts) -> tuple[PromotionStep | None, tuple[str, ...]]:
    """The stopped step, and the verbs that can mend it; the first is the first right act."""
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
    found, retried = [], False
    for event in events:
        retried |= event.action == "step.retried"
        if retried and event.action == "step.failed":
            found.append(Attempt(str(event.data.get("step", "")), event.sentence, event.at))
    return tuple(found)
