"""Whether the migrations of a release are known, ran in staging, and have accepted risks."""

from datetime import datetime, timedelta

from environments.databases.pending import is_elsewhere
from environments.models import LONG_LIVED, EnvironmentKind, MigrationRun
from environments.schema.history.changes import put_back
from portal.jobs import OPEN, JobStatus
from portal.words import and_, number_of
from releases.gates import edits
from releases.gates.context import Facts
from releases.gates.databases import DatabaseFacts
from releases.gates.per_database import judge_each, unread_answer
from releases.gates.registry import gate
from releases.gates.rehearsed import NONE
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, clock

_NO_MIGRATIONS = "This release brings no migrations."
type Files = tuple[tuple[str, str], ...]  # revision, beginning of its digest


@gate("Migrations ready", always=True)
def migrations_ready(facts: Facts) -> Result:
    """Require that staging has run exactly the release's files, and was observed long enough."""
    release = facts.release
    if release.migrations_problem:
        return Result(FAIL, release.migrations_problem)
    if unread := unread_answer(facts):
        return unread
    if not facts.databases:
        return Result(PASS, NONE)
    if not release.migrations:
        return Result(PASS, _NO_MIGRATIONS)
    return judge_each(facts, _ready)


def _ready(facts: Facts, database: DatabaseFacts) -> Result:
    if not database.migrations:
        return Result(PASS, _NO_MIGRATIONS)
    files = tuple((id, sha256[:12]) for id, sha256 in database.brings)
    count = number_of(len(database.migrations), "migration")
    open_run = next((run for run in database.runs if run.is_open), None)
    if open_run:
        target = f" to {', '.join(open_run.target)}" if open_run.target else ""
        return Result(PENDING, f"Staging is being migrated{target}.", files)
    if edited := database.edited_since_staged():
        return Result(FAIL, _edited(database, edited), files)
    if facts.release.is_hotfix:
        return _hotfix_staged(facts, database, files) or Result(
            PASS, f"{count} run in staging, same files.", files
        )
    staged_at = database.staged_at()
    if staged_at is None:
        return Result(*_not_staged(facts, database, count), files)
    return (
        _staging_elsewhere(facts, database, files)
        or _soaking(facts, staged_at, files)
        or Result(PASS, f"{count} applied in staging, same files, soaked.", files, staged_at)
    )


def _not_staged(facts: Facts, database: DatabaseFacts, count: str) -> tuple[str, str]:
    """State and sentence while no run of the portal has brought these files to staging."""
    last = _last_with_it(facts, database)
    if last and last.status != "succeeded":
        how = last.get_status_display()
        return FAIL, f"Migrating staging ended as {how}: {last.sentence}"
    if database.is_at_heads(EnvironmentKind.STAGING):
        unproven = f"no portal run has verified these {count} yet. Press Migrate staging."
        return PENDING, f"Staging's database is at the release's head, but {unproven}"
    return PENDING, f"{count} not applied in staging yet."


def _staging_elsewhere(facts: Facts, database: DatabaseFacts, files: Files) -> Result | None:
    """Return the answer where staging's database is not known to be at the release's heads."""
    staging = database.places.get(EnvironmentKind.STAGING)
    if staging is None or staging.revisions is None:
        why = f" {staging.revisions_problem}" if staging and staging.revisions_problem else ""
        message = f"Staging's database cannot be read, so its revision is not known.{why}"
        return Result(PENDING, message, files)
    if staging.revisions_at is None or staging.revisions_at < facts.fresh_since:
        message = "Reading staging's database: the last reading is too old."
        return Result(PENDING, message, files, staging.revisions_at)
    if not database.is_at_heads(EnvironmentKind.STAGING):
        at, heads = ", ".join(staging.revisions) or "nothing", ", ".join(database.heads or ())
        message = f"Staging's database is at {at}, the release needs {heads}."
        return Result(FAIL, message, files)
    return None


def _soaking(facts: Facts, staged_at: datetime, files: Files) -> Result | None:
    """Return the answer while staging has not been observed long enough."""
    soaked, needed = facts.now - staged_at, timedelta(minutes=facts.project.soak_minutes)
    if soaked >= needed:
        return None
    minutes = number_of(facts.project.soak_minutes, "minute")
    message = f"Staging soaks for {minutes}, until {clock(staged_at + needed)}."
    return Result(PENDING, message, files, staged_at)


def _hotfix_staged(facts: Facts, database: DatabaseFacts, files: Files) -> Result | None:
    """Return what is missing until production may run a hotfix's files.

    Staging may be ahead: only the files must have run.
    """
    if (staged_at := database.staged_at()) is not None:
        return _soaking(facts, staged_at, files)
    unrun = (
        f"Staging has not run {and_(f[0] for f in database.brings if f not in database.staged_sql)}"
    )
    last = _last_with_it(facts, database)
    state, tried = PENDING, ""
    if last and last.status in ("failed", "needs_person"):
        how = last.get_status_display()
        state, tried = FAIL, f" Migrating staging with it ended as {how}: {last.sentence}"
    elif same_revisions(database):
        return Result(PENDING, f"{unrun}. Press Migrate staging.", files)
    message = (
        f"{unrun}, and production runs only what staging ran.{tried} Bring the same files to"
        f" {facts.project.staging_branch} by a pull request, joined with its own heads, and migrate"
        " staging."
    )
    return Result(state, message, files)


def _last_with_it(facts: Facts, database: DatabaseFacts) -> MigrationRun | None:
    """Return staging's newest run, if it was of the candidate."""
    last = database.runs[0] if database.runs else None
    return last if last and last.commit == facts.release.candidate else None


def same_databases(facts: Facts) -> bool:
    """Return whether staging knows all that a hotfix's branch knows: each of its databases is where
    production's is.
    """
    return bool(facts.databases) and all(map(same_revisions, facts.databases))


def same_revisions(facts: DatabaseFacts) -> bool:
    """Return whether the database is at the same revisions in staging and in production."""
    places = filter(None, map(facts.places.get, LONG_LIVED))
    revisions = [sorted(place.revisions) for place in places if place.revisions is not None]
    return len(revisions) == 2 and revisions[0] == revisions[1]


def _edited(facts: DatabaseFacts, paths: list[str]) -> str:
    """Return which files were edited after staging ran them, and the command that undoes that."""
    commits = {file["path"]: facts.ran_at(file["id"]) for file in facts.migrations}
    backs = [put_back(commits[path], [path]) for path in paths if commits.get(path)]
    back = f" with `{' && '.join(backs)}`" if backs else ""
    return (
        f"Edited after staging ran it (the file or one that it imports): {', '.join(paths)}. "
        f"Put it back{back}, or downgrade staging below it and run it again."
    )


@gate("Migration risks", always=True, listed=False)
def migration_risks(facts: Facts) -> Result:
    """Require that it is known what the migrations will do, and that an approver accepted that."""
    release = facts.release
    if facts.databases and (waiting := edits.unaccepted(release)):
        return Result(ATTEST, edits.sentence_of(release, waiting))
    if facts.databases and (unread := unread_answer(facts)):
        return unread
    if not facts.databases or not release.migrations or release.migrations_problem:
        return Result(PASS, "No migrations")
    return judge_each(facts, _risks)


def _risks(facts: Facts, database: DatabaseFacts) -> Result:
    plan = database.planned
    if not database.migrations:
        return Result(PASS, "No migrations")
    if plan is None or plan.status in OPEN:
        return Result(PENDING, (plan and plan.sentence) or "Analyzing migrations…")
    if plan.status != JobStatus.SUCCEEDED:
        return Result(FAIL, plan.sentence)
    if plan.met.get("order", database.order) != database.order:
        return Result(PENDING, "The order of deploy and migration has changed. Updating the plan…")
    if not plan.files.issuperset(database.brings):
        return Result(PENDING, "The migration files have changed. Updating the plan…")
    kind = EnvironmentKind.PRODUCTION
    at = database.places[kind].revisions if kind in database.places else None
    if at is not None and is_elsewhere(plan.starts, kind, at, database.heads or ()):
        return Result(PENDING, "Production's database has changed. Updating the plan…")
    evidence = tuple((risk.revision, f"{risk.severity}: {risk.sentence}") for risk in plan.risks)
    if waiting := plan.unaccepted:
        risks = [risk for step in waiting for risk in plan.asking(step)]
        more = f" (and {len(risks) - 1} more)" if len(risks) > 1 else ""
        first, must = risks[0], "An approver must accept the risk, or the file must change."
        message = f"{first.revision}: {first.sentence}{more} {must}"
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
