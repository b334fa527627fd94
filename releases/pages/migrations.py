"""What the release page shows of migrations: plain values out of facts, no queries."""

from dataclasses import dataclass, replace
from datetime import datetime

from environments.models import LONG_LIVED, EnvironmentKind, Rehearsal
from environments.schema.downgrade.compatibility import RollbackVerdict, assess_rollback
from environments.schema.plan.render import Step
from environments.schema.plan.risk import Risk
from portal.jobs import JobStatus
from portal.outbound.parsing import JsonObject
from releases.gates.context import Facts
from releases.gates.databases import DatabaseFacts
from releases.gates.edits import unaccepted
from releases.gates.plan import Acceptance, Planned
from releases.gates.sql_diff import Compared, compare, route, summary
from releases.models.releases import ReleaseStatus

RISK_STATE = {"info": "closed", "caution": "attest", "danger": "fail"}


@dataclass(frozen=True)
class MigrationRow:
    """A revision file that is to run, with what it does and what can go wrong, where that has
    been worked out.
    """

    file: JsonObject
    step: Step | None = None
    risks: tuple[tuple[str, Risk], ...] = ()  # with the state that has a mark
    accepted: Acceptance | None = None
    asks: bool = False  # an approver's word is awaited
    beside: str = ""  # why it runs although it is none of the release's own
    compared: Compared | None = None  # its SQL beside that which staging ran
    lapsed: Acceptance | None = None  # a signature that no longer counts


@dataclass(frozen=True)
class DatabasePanel:
    """One database on the card: its rows, where it is brought, and whether the SQL is what
    staging ran.
    """

    called: str  # "" where there is one
    rows: tuple[MigrationRow, ...]
    routes: tuple["Route", ...]
    same_sql: tuple[str, str]
    staged_at: datetime | None
    met_words: str
    rehearsals: tuple[Rehearsal, ...]


def context(facts: Facts) -> JsonObject:
    """Return what the card of migrations shows: a part for each database, none of which is left
    out.
    """
    kept = facts.release.record.get("databases")  # those that there were when it ended
    databases = [
        database
        for database in facts.databases
        if kept is None or str(database.database.pk) in kept
    ]
    return {
        "migration_panels": [_panel(facts, database) for database in databases],
        "unaccepted_edits": unaccepted(facts.release),
    }


def _panel(facts: Facts, database: DatabaseFacts) -> DatabasePanel:
    compared = compared_rows(database)
    return DatabasePanel(
        called=database.called,
        rows=migration_rows(database, compared),
        routes=routes(database),
        same_sql=summary(compared),
        staged_at=database.staged_at(),
        met_words=database.planned.met_words if database.planned and database.migrations else "",
        rehearsals=database.rehearsals if database.migrations else (),
    )


def migration_rows(
    facts: DatabaseFacts, compared: tuple[Compared, ...]
) -> tuple[MigrationRow, ...]:
    """Return the revision files of the release, each with its plan, and those that run beside them
    in a database behind.
    """
    plan = facts.planned
    steps = {(step.revision, step.sha256): step for step in plan.steps} if plan else {}
    by_revision = {each.revision: each for each in compared}
    rows = [
        _migration_row(
            file, plan, steps.get((file["id"], file["sha256"])), by_revision.get(file["id"])
        )
        for file in facts.migrations
    ]
    own, before = {file["id"] for file in facts.migrations}, list[MigrationRow]()
    for kind in (EnvironmentKind.PRODUCTION, EnvironmentKind.STAGING) if plan else ():
        for step in plan.steps_for(kind) if plan else ():
            if step.revision not in own:
                own.add(step.revision)
                file = {
                    "id": step.revision,
                    "path": step.path,
                    "sha256": step.sha256,
                    "message": step.message,
                }
                row = _migration_row(file, plan, step, by_revision.get(step.revision))
                before.append(
                    replace(
                        row, beside=f"not new in this release; {kind}'s database still lacks it"
                    )
                )
    return (*before, *rows)


def _migration_row(
    file: JsonObject, plan: Planned | None, step: Step | None, compared: Compared | None
) -> MigrationRow:
    if plan is None or step is None:
        return MigrationRow(file)
    risks = tuple((RISK_STATE[risk.severity], risk) for risk in plan.of(step))
    asking = bool(plan.asking(step))
    accepted = plan.acceptance(step) if asking else None
    waits = asking and accepted is None
    lapsed = plan.lapsed_acceptance(step) if waits else None
    return MigrationRow(file, step, risks, accepted, waits, "", compared, lapsed)


def compared_rows(facts: DatabaseFacts) -> tuple[Compared, ...]:
    """Return what production is to run beside what staging ran; nothing before staging has run all
    of the release.
    """
    if facts.planned is None or facts.staged_at() is None:
        return ()
    return compare(
        facts.planned.steps_for(EnvironmentKind.PRODUCTION),
        facts.staged_sql,
        facts.planned.renderer,
    )


@dataclass(frozen=True)
class Route:
    """What the plan says of one environment: a state, a sentence, and the digest of files and
    SQL.
    """

    state: str
    sentence: str
    digest: str


def routes(facts: DatabaseFacts) -> tuple[Route, ...]:
    """Return from where to where the database is brought, as it was when the plan was made."""
    plan = facts.planned
    if plan is None or plan.status != JobStatus.SUCCEEDED:
        return ()
    found_routes = []
    for kind in LONG_LIVED:
        if start := plan.starts.get(kind):
            digest = start.get("digest", "") if start.get("revisions") else ""
            found_routes.append(Route(*route(kind, start, facts.heads or ()), digest))
    return tuple(found_routes)


def rollback_verdict(facts: Facts) -> RollbackVerdict | None:
    """Return how one would get back from this release; None while its migrations are not planned,
    and from the start of its promotion: then the assessment looks at what happened.
    """
    release = facts.release
    if release.status != ReleaseStatus.OPEN:
        return None
    if release.migrations_problem or not release.collected:
        return None
    plans = [database.planned for database in facts.databases if database.migrations]
    known = [plan for plan in plans if plan is not None and plan.status == JobStatus.SUCCEEDED]
    if len(known) < len(plans):
        return None
    steps = [step for plan in known for step in plan.steps]
    return assess_rollback(steps, [risk for plan in known for risk in plan.risks])
