"""What the release page shows of migrations: plain values out of facts, no queries."""

from dataclasses import dataclass, replace
from typing import Any

from environments.schema.plan import Step
from environments.schema.risk import Risk
from environments.schema.way_back import WayBack, advise
from portal.jobs import JobStatus
from releases.compared import Compared, compare, route, summary
from releases.facts import Facts
from releases.models import ReleaseStatus
from releases.planned import Acceptance, Planned

RISK_STATE = {"info": "closed", "caution": "attest", "danger": "fail"}


@dataclass(frozen=True)
class MigrationRow:
    """A revision file that is to run, with what it does and what can go wrong, where that has been worked out."""

    file: dict[str, Any]
    step: Step | None = None
    risks: tuple[tuple[str, Risk], ...] = ()  # with the state that has a mark
    accepted: Acceptance | None = None
    asks: bool = False  # an approver's word is awaited
    beside: str = ""  # why it runs although it is none of the release's own
    compared: Compared | None = None  # its SQL beside that which staging ran


def context(facts: Facts) -> dict[str, Any]:
    """What the card of migrations shows: its rows, where each database is brought, and whether the SQL is the same."""
    compared = compared_rows(facts)
    return {"migrations": migration_rows(facts, compared), "routes": routes(facts), "same_sql": summary(compared)}


def migration_rows(facts: Facts, compared: tuple[Compared, ...]) -> tuple[MigrationRow, ...]:
    """The revision files of the release, each with its plan, and those that run beside them in a database behind."""
    plan = facts.planned
    steps = {(step.revision, step.sha256): step for step in plan.steps} if plan else {}
    found = {one.revision: one for one in compared}
    rows = [
        _migration_row(one, plan, steps.get((one["id"], one["sha256"])), found.get(one["id"]))
        for one in facts.release.migrations
    ]
    own, before = {one["id"] for one in facts.release.migrations}, list[MigrationRow]()
    for kind in ("production", "staging") if plan else ():
        for step in plan.steps_for(kind) if plan else ():
            if step.revision not in own:
                own.add(step.revision)
                file = {"id": step.revision, "path": step.path, "sha256": step.sha256, "message": step.message}
                row = _migration_row(file, plan, step, found.get(step.revision))
                before.append(replace(row, beside=f"not new in this release; {kind}'s database still lacks it"))
    return (*before, *rows)


def _migration_row(
    file: dict[str, Any], plan: Planned | None, step: Step | None, compared: Compared | None
) -> MigrationRow:
    if plan is None or step is None:
        return MigrationRow(file)
    risks = tuple((RISK_STATE[risk.severity], risk) for risk in plan.of(step))
    asking = bool(plan.asking(step))
    accepted = plan.acceptance(step) if asking else None
    return MigrationRow(file, step, risks, accepted, asking and accepted is None, "", compared)


def compared_rows(facts: Facts) -> tuple[Compared, ...]:
    """What production is to run beside what staging ran; nothing before staging has run all of the release."""
    if facts.planned is None or facts.staged_at() is None:
        return ()
    return compare(facts.planned.steps_for("production"), facts.staged_sql, facts.planned.renderer)


@dataclass(frozen=True)
class Route:
    """What the plan says of one environment: a state, a sentence, and the digest of files and SQL."""

    state: str
    sentence: str
    digest: str


def routes(facts: Facts) -> tuple[Route, ...]:
    """From where to where each database is brought, as it was when the plan was made."""
    plan = facts.planned
    if plan is None or plan.status != JobStatus.SUCCEEDED:
        return ()
    found = []
    for kind in ("staging", "production"):
        if start := plan.starts.get(kind):
            digest = start.get("digest", "") if start.get("revisions") else ""
            found.append(Route(*route(kind, start, facts.release.heads), digest))
    return tuple(found)


def way_back(facts: Facts) -> WayBack | None:
    """How to get back from this release; None while its migrations are not planned, or it was given up."""
    plan, release = facts.planned, facts.release
    if release.status in (ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK):
        return None
    if release.migrations_problem or not release.collected:
        return None
    if not release.migrations:
        return advise((), ())
    return advise(plan.steps, plan.risks) if plan and plan.status == "succeeded" else None
