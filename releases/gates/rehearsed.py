"""Whether the migrations were rehearsed on production's schema, and have run there."""

from environments.models import VALID, EnvironmentKind, Rehearsal
from environments.models.rehearsals import hashes
from environments.schema.rehearsal.report import PHASES
from portal.jobs import OPEN, JobStatus
from releases.gates.context import Facts
from releases.gates.databases import DatabaseFacts
from releases.gates.per_database import judge_each, unread_answer
from releases.gates.registry import gate
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result

NONE = "The project has no Alembic migrations."
_OLD = "Reading production's database: the last reading is too old."


@gate("Rehearsed", sign_off=True)
def rehearsed(facts: Facts) -> Result:
    """Require that exactly these files ran up, down and up again over a copy of production's
    schema, from where it is now.
    """
    release = facts.release
    if facts.databases and (unread := unread_answer(facts)):
        return unread
    if not facts.databases or not release.migrations or release.migrations_problem:
        return Result(PASS, "No migrations to rehearse")
    return judge_each(facts, _rehearsed)


def _rehearsed(facts: Facts, database: DatabaseFacts) -> Result:
    if not database.migrations:
        return Result(PASS, "No migrations to rehearse")
    production = database.places.get(EnvironmentKind.PRODUCTION)
    if production is None or production.revisions is None or production.revisions_at is None:
        return _unread(database)
    if production.revisions_at < facts.fresh_since:
        return Result(PENDING, _OLD, (), production.revisions_at)
    if database.is_at_heads(EnvironmentKind.PRODUCTION):
        return Result(PASS, "Production's database is at the release's head: nothing to rehearse.")
    kind = EnvironmentKind.PRODUCTION
    row = next((row for row in database.rehearsals if row.environment.kind == kind), None)
    if row is None or row.status in OPEN:
        phase = PHASES.get(row.phase, "").lower() if row else ""
        return Result(PENDING, f"Rehearsing{phase and ': '}{phase}.")
    if row.status not in (JobStatus.CANCELLED, JobStatus.NEEDS_PERSON) and (
        sorted(row.start or ()) != sorted(production.revisions)
    ):
        message = "Production's database has changed. Rehearsing again…"
        return Result(PENDING, message, _evidence(row))
    return Result(*_said_by(row, facts, database), _evidence(row), row.finished_at)


def _evidence(row: Rehearsal) -> tuple[tuple[str, str], ...]:
    return (*(("warning", message) for message in row.warnings), ("rehearsal", str(row.pk)))


def _said_by(row: Rehearsal, facts: Facts, database: DatabaseFacts) -> tuple[str, str]:
    """Return state and sentence that an ended rehearsal of today's schema gives the gate."""
    if row.status == JobStatus.CANCELLED:
        return PENDING, "The rehearsal was cancelled; start it again from its page."
    if row.finished_at is None or facts.now - row.finished_at > VALID:
        return PENDING, "The rehearsal is older than a day. Rehearsing again…"
    if row.status == JobStatus.FAILED:
        return FAIL, f"The rehearsal failed: {row.sentence}"
    if row.status != JobStatus.SUCCEEDED:
        return ATTEST, f"{row.sentence} Rehearse it yourself and confirm the item."
    ran = dict(hashes(row.files))
    if any(ran.get(id, sha256) != sha256 for id, sha256 in database.brings):
        return PENDING, "The rehearsal ran other migration files."
    return PASS, row.sentence


def _unread(facts: DatabaseFacts) -> Result:
    """Return why nothing is known of production's database: what the last reading said, if any."""
    production = facts.places.get(EnvironmentKind.PRODUCTION)
    problem = production.revisions_problem if production else ""
    return Result(PENDING, problem or "Reading production's database for the first time.")


@gate("Production at head")
def production_at_head(facts: Facts) -> Result:
    """Require that production's database reports exactly the release's heads."""
    if not facts.databases:
        return Result(PASS, NONE)
    if not facts.release.merge_commit:
        return Result(PENDING, "The release is not merged yet.")
    return judge_each(facts, _at_head)


def _at_head(facts: Facts, database: DatabaseFacts) -> Result:
    production = database.places.get(EnvironmentKind.PRODUCTION)
    if production is None or production.revisions is None or production.revisions_at is None:
        return _unread(database)
    now_at = f"Production's database is at {', '.join(production.revisions) or 'nothing'}"
    if database.heads is None:
        answer = PENDING, "This database was added after the release was created."
    elif production.revisions_at < max(facts.release.candidate_at, facts.fresh_since):
        answer = PENDING, _OLD
    elif not database.is_at_heads(EnvironmentKind.PRODUCTION):
        answer = FAIL, f"{now_at}, not at {', '.join(database.heads)}."
    else:
        answer = PASS, f"{now_at}."
    return Result(*answer, (), production.revisions_at)
