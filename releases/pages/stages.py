"""The row of stages on the release page, from created to synced."""

from dataclasses import dataclass
from datetime import datetime

from environments.models import Database, MigrationRun
from portal.jobs import STOPPED
from releases.gates.context import Facts
from releases.models import StepStatus
from releases.models.promotion import PromotionStep, StepName
from releases.models.releases import ReleaseStatus
from releases.pages.checklist_rows import ENDED, Row
from releases.promotion.actions import stops_of


@dataclass(frozen=True)
class Stage:
    """One stop of the progress row: state is done, active, failed, skipped or empty."""

    label: str
    state: str = ""
    small: str = ""
    at: datetime | None = None


def stages(facts: Facts, before: tuple[Row, ...]) -> tuple[Stage, ...]:
    """Return the way from cut to sync."""
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
    return (*first, *(_to_come(name, database, facts, ended) for name, database in ahead))


def _to_come(name: StepName, database: Database | None, facts: Facts, ended: bool) -> Stage:
    label = f"{name.label} {database.called if database else ''}".rstrip()
    return Stage(label, "", "" if ended else _ahead(name, database, facts))


def _staging_stage(facts: Facts) -> Stage:
    count = _revisions(len(facts.release.migrations), facts)
    staged_at, newest = facts.staged_at(), of_interest(facts)
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
        own = [
            database_facts
            for database_facts in facts.databases
            if database_facts.database == database
        ]
        return _revisions(sum(len(database_facts.migrations) for database_facts in own), facts)
    return ""


def _revisions(number: int, facts: Facts) -> str:
    """Return how many revisions, or that nobody knows yet."""
    if facts.release.collected != facts.release.candidate:
        return "reading…"
    return _count(number, "revision")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else f"no {noun}s"


def of_interest(facts: Facts) -> MigrationRun | None:
    """Return of each database's last run in staging the one that is under way, else one that
    stopped, else the newest.
    """
    last = [database.runs[0] for database in facts.databases if database.runs]
    last = [run for run in last if run.is_open or run.commit == facts.release.candidate] or last
    last.sort(key=lambda run: (run.is_open, run.status in STOPPED, run.created_at), reverse=True)
    return last[0] if last else None
