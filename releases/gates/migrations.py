"""Whether the migrations of a release are known, ran in staging, have accepted risks and were
rehearsed, for each database.
"""

from datetime import datetime, timedelta

from environments.databases.pending import is_elsewhere
from environments.models import LONG_LIVED, EnvironmentKind
from environments.schema.history.changes import put_back
from portal.jobs import OPEN, JobStatus
from releases.gates import edits
from releases.gates.context import Facts
from releases.gates.databases import DatabaseFacts
from releases.gates.per_database import judge_each, unread_answer
from releases.gates.production_head import NONE
from releases.gates.registry import gate
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, and_, clock

type Files = tuple[tuple[str, str], ...]  # revision, beginning of its digest


@gate("Migrations ready", always=True)
def migrations_ready(facts: Facts) -> Result:
    """Require that the release brings no migrations, or staging has run exactly these files and was
    observed long enough.
    """
    release = facts.release
    if release.migrations_problem:
        return Result(FAIL, release.migrations_problem)
    if unread := unread_answer(facts):
        return unread
    if not facts.databases:
        return Result(PASS, NONE)
    if not release.migrations:
        return Result(PASS, "This release brings no migrations.")
    return judge_each(facts, _ready)


def _ready(facts: Facts, one: DatabaseFacts) -> Result:
    if not one.migrations:
        return Result(PASS, "This release brings no migrations.")
    files = tuple((revision["id"], revision["sha256"][:12]) for revision in one.migrations)
    count = f"{len(one.migrations)} migration{'s' if len(one.migrations) > 1 else ''}"
    open_run = next((run for run in one.runs if run.is_open), None)
    if open_run:
        target = f" to {', '.join(open_run.target)}" if open_run.target else ""
        return Result(PENDING, f"Staging is being migrated{target}.", files)
    edited = one.edited_since_staged()
    if edited:
        return Result(FAIL, _edited(one, edited), files)
    if facts.release.is_hotfix:
        return _hotfix_staged(facts, one, files) or Result(
            PASS, f"{count} run in staging, same files.", files
        )
    staged_at = one.staged_at()
    if staged_at is None:
        return Result(*_not_staged(facts, one, count), files)
    return (
        _staging_elsewhere(facts, one, files)
        or _soaking(facts, staged_at, files)
        or Result(PASS, f"{count} applied in staging, same files, soaked.", files, staged_at)
    )


def _not_staged(facts: Facts, one: DatabaseFacts, count: str) -> tuple[str, str]:
    """State and sentence while no run of the portal has brought these files to staging."""
    last, staging = one.runs[0] if one.runs else None, one.places.get(EnvironmentKind.STAGING)
    if last and last.status != "succeeded" and last.commit == facts.release.candidate:
        how = last.get_status_display()
        return FAIL, f"Migrating staging ended as {how}: {last.sentence}"
    if staging and sorted(staging.revisions or ()) == sorted(one.heads or ()):
        message = (
            "Staging's database is at the release's head, but no portal run has verified"
            f" these {count} yet. Press Migrate staging."
        )
        return PENDING, message
    return PENDING, f"{count} not applied in staging yet."


def _staging_elsewhere(facts: Facts, one: DatabaseFacts, files: Files) -> Result | None:
    """Return the answer where staging's database is not, or not known to be, at the release's
    heads.
    """
    heads, staging = one.heads or (), one.places.get(EnvironmentKind.STAGING)
    if staging is None or staging.revisions is None:
        why = f" {staging.revisions_problem}" if staging and staging.revisions_problem else ""
        message = f"Staging's database cannot be read, so its revision is not known.{why}"
        return Result(PENDING, message, files)
    if staging.revisions_at is None or staging.revisions_at < facts.fresh_since:
        message = "Reading staging's database: the last reading is too old."
        return Result(PENDING, message, files, staging.revisions_at)
    if sorted(staging.revisions) != sorted(heads):
        at = ", ".join(staging.revisions) or "nothing"
        message = f"Staging's database is at {at}, the release needs {', '.join(heads)}."
        return Result(FAIL, message, files)
    return None


def _soaking(facts: Facts, staged_at: datetime, files: Files) -> Result | None:
    """Return the answer while staging has not been observed long enough."""
    soaked, needed = facts.now - staged_at, timedelta(minutes=facts.project.soak_minutes)
    if soaked >= needed:
        return None
    minutes = f"{facts.project.soak_minutes} minute{'s' if facts.project.soak_minutes != 1 else ''}"
    message = f"Staging soaks for {minutes}, until {clock(staged_at + needed)}."
    return Result(PENDING, message, files, staged_at)


def _hotfix_staged(facts: Facts, one: DatabaseFacts, files: Files) -> Result | None:
    """Return what is missing until production may run a hotfix's files.

    Staging may be ahead: only the files must have run.
    """
    if (staged_at := one.staged_at()) is not None:
        return _soaking(facts, staged_at, files)
    waiting = [
        file["id"] for file in one.migrations if (file["id"], file["sha256"]) not in one.staged_sql
    ]
    last, staging = (one.runs[0] if one.runs else None), facts.project.staging_branch
    failed = (
        last is not None
        and last.commit == facts.release.candidate
        and last.status in ("failed", "needs_person")
    )
    tried = (
        f" Migrating staging with it ended as {last.get_status_display()}: {last.sentence}"
        if failed and last
        else ""
    )
    if same_revisions(one) and not failed:
        return Result(
            PENDING, f"Staging has not run {and_(waiting)}. Press Migrate staging.", files
        )
    message = (
        f"Staging has not run {and_(waiting)}, and production runs only what staging ran.{tried}"
    )
    fix = (
        f"Bring the same files to {staging} by a pull request, joined with its own heads, and"
        " migrate staging."
    )
    return Result(FAIL if failed else PENDING, f"{message} {fix}", files)


def same_databases(facts: Facts) -> bool:
    """Return whether staging knows all that a hotfix's branch knows: each of its databases is where
    production's is.
    """
    return bool(facts.databases) and all(same_revisions(database) for database in facts.databases)


def same_revisions(facts: DatabaseFacts) -> bool:
    """Return whether the database is at the same revisions in staging and in production."""
    both = [facts.places.get(kind) for kind in LONG_LIVED]
    found = [
        sorted(place.revisions)
        for place in both
        if place is not None and place.revisions is not None
    ]
    return len(found) == 2 and found[0] == found[1]


def _edited(facts: DatabaseFacts, paths: list[str]) -> str:
    """Return which files were edited after staging ran them, and the command that puts them back as
    they ran.
    """
    commits = {file["path"]: facts.ran_at(file["id"]) for file in facts.migrations}
    backs = [put_back(commits[path], [path]) for path in paths if commits.get(path)]
    back = f" with `{' && '.join(backs)}`" if backs else ""
    return (
        f"Edited after staging ran it (the file or one that it imports): {', '.join(paths)}. "
        f"Put it back{back}, or downgrade staging below it and run it again."
    )


@gate("Migration risks", always=True, listed=False)
def migration_risks(facts: Facts) -> Result:
    """Require that it is known what the migrations will do, and that an approver has accepted
    what can go wrong with them.
    """
    release = facts.release
    if facts.databases and (waiting := edits.unaccepted(release)):
        return Result(ATTEST, edits.sentence_of(release, waiting))
    if facts.databases and (unread := unread_answer(facts)):
        return unread
    if not facts.databases or not release.migrations or release.migrations_problem:
        return Result(PASS, "No migrations")
    return judge_each(facts, _risks)


def _risks(facts: Facts, one: DatabaseFacts) -> Result:
    plan = one.planned
    if not one.migrations:
        return Result(PASS, "No migrations")
    if plan is None or plan.status in OPEN:
        message = plan.sentence if plan and plan.sentence else "Analyzing migrations…"
        return Result(PENDING, message)
    if plan.status != JobStatus.SUCCEEDED:
        return Result(FAIL, plan.sentence)
    if plan.met.get("order", one.order) != one.order:
        return Result(PENDING, "The order of deploy and migration has changed. Updating the plan…")
    if not {(file["id"], file["sha256"]) for file in one.migrations} <= plan.files:
        return Result(PENDING, "The migration files have changed. Updating the plan…")
    production = one.places.get(EnvironmentKind.PRODUCTION)
    at = production.revisions if production else None
    if at is not None and is_elsewhere(
        plan.starts, EnvironmentKind.PRODUCTION, at, one.heads or ()
    ):
        return Result(PENDING, "Production's database has changed. Updating the plan…")
    evidence = tuple((risk.revision, f"{risk.severity}: {risk.sentence}") for risk in plan.risks)
    waiting = plan.unaccepted
    if waiting:
        risks = [risk for step in waiting for risk in plan.asking(step)]
        more = f" (and {len(risks) - 1} more)" if len(risks) > 1 else ""
        message = (
            f"{risks[0].revision}: {risks[0].sentence}{more} An approver must accept the risk, "
            "or the file must change."
        )
        return Result(ATTEST, message, evidence)
    words = {
        word.who: word
        for step in plan.steps
        if plan.asking(step) and (word := plan.acceptance(step))
    }
    if words:
        message = "; ".join(f"{who}: “{word.reason}”" for who, word in words.items())
        return Result(PASS, f"Risks accepted by {message}", evidence)
    return Result(PASS, "No risk needs acceptance.", evidence)
