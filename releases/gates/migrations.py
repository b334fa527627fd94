"""Whether the migrations of a release are known, ran in staging, are bearable and were rehearsed."""

from datetime import datetime, timedelta

from environments.models import VALID
from environments.schema.rehearsal import PHASES
from environments.schema.revisions import put_back
from environments.starting_points import is_elsewhere
from portal.jobs import OPEN, JobStatus
from releases.facts import Facts
from releases.gates.result import ATTEST, FAIL, PASS, PENDING, Result, and_


def migrations_ready(facts: Facts) -> Result:
    """The release brings no migrations, or staging has run exactly these files and was observed long enough."""
    release = facts.release
    if release.migrations_problem:
        return Result(FAIL, release.migrations_problem)
    if not facts.project.alembic:
        return Result(PASS, "The project has no Alembic migrations.")
    if not release.migrations:
        return Result(PASS, "This release brings no migrations.")
    files = tuple((revision["id"], revision["sha256"][:12]) for revision in release.migrations)
    count = f"{len(release.migrations)} migration{'s' if len(release.migrations) > 1 else ''}"
    open_run = next((run for run in facts.runs if run.is_open), None)
    if open_run:
        return Result(PENDING, f"Staging is being migrated to {', '.join(open_run.target)}.", files)
    staged_at = facts.staged_at()
    edited = facts.edited_since_staged()
    if edited:
        return Result(FAIL, _edited(facts, edited), files)
    if release.is_hotfix:
        return _hotfix_staged(facts, staged_at, files) or Result(PASS, f"{count} run in staging, same files.", files)
    if staged_at is None:
        last = facts.runs[0] if facts.runs else None
        if last and last.status != "succeeded" and last.commit == release.candidate:
            return Result(FAIL, f"Migrating staging ended as {last.get_status_display()}: {last.sentence}", files)
        staging = facts.environments.get("staging")
        if staging and sorted(staging.revisions or ()) == sorted(release.heads):
            said = f"Staging's database is at the release's head, but no run here has proven it with these {count}."
            return Result(PENDING, f"{said} Press Migrate staging.", files)
        return Result(PENDING, f"{count} wait to be applied in staging.", files)
    staging = facts.environments.get("staging")
    if staging is None or staging.revisions is None:
        return Result(PENDING, "Staging's database could not be read, so its revision is not known.", files)
    if staging.revisions_at is None or staging.revisions_at < facts.fresh_since:
        return Result(PENDING, "Reading staging's database: what is known is too old.", files, staging.revisions_at)
    if sorted(staging.revisions) != sorted(release.heads):
        now_at = ", ".join(staging.revisions) or "nothing"
        return Result(FAIL, f"Staging's database is at {now_at}, the release needs {', '.join(release.heads)}.", files)
    return _soaking(facts, staged_at, files) or Result(
        PASS, f"{count} applied in staging, same files, soaked.", files, staged_at
    )


def _soaking(facts: Facts, staged_at: datetime, files: tuple[tuple[str, str], ...]) -> Result | None:
    """The answer while staging has not been observed long enough."""
    soaked, needed = facts.now - staged_at, timedelta(minutes=facts.project.soak_minutes)
    if soaked >= needed:
        return None
    minutes = f"{int(soaked.total_seconds() // 60)} of {facts.project.soak_minutes} minutes"
    return Result(PENDING, f"Staging has soaked {minutes}.", files, staged_at)


def _hotfix_staged(facts: Facts, staged_at: datetime | None, files: tuple[tuple[str, str], ...]) -> Result | None:
    """What is missing until production may run a hotfix's files. Staging may be ahead: only the files must have run."""
    if staged_at is not None:
        return _soaking(facts, staged_at, files)
    waiting = [one["id"] for one in facts.release.migrations if (one["id"], one["sha256"]) not in facts.staged]
    last, staging = (facts.runs[0] if facts.runs else None), facts.project.staging_branch
    failed = last is not None and last.commit == facts.release.candidate and last.status in ("failed", "needs_person")
    tried = (
        f" Migrating staging with it ended as {last.get_status_display()}: {last.sentence}" if failed and last else ""
    )
    if same_databases(facts) and not failed:
        return Result(PENDING, f"Staging has not run {and_(waiting)}: press Migrate staging.", files)
    said = f"Staging has not run {and_(waiting)}, and production runs only what staging ran.{tried}"
    mend = f"Bring the same files to {staging} by a pull request, joined with its own heads, and migrate staging."
    return Result(FAIL if failed else PENDING, f"{said} {mend}", files)


def same_databases(facts: Facts) -> bool:
    """Whether both databases are at the same revisions, so that staging's knows all that the hotfix's branch knows."""
    both = [facts.environments.get(kind) for kind in ("staging", "production")]
    found = [sorted(one.revisions) for one in both if one is not None and one.revisions is not None]
    return len(found) == 2 and found[0] == found[1]


def _edited(facts: Facts, paths: list[str]) -> str:
    """Which files were edited after staging ran them, and the command that puts them back as they ran."""
    commits = {one["path"]: facts.ran_at.get(one["id"], "") for one in facts.release.migrations}
    backs = [put_back(commits[path], [path]) for path in paths if commits.get(path)]
    back = f" with `{' && '.join(backs)}`" if backs else ""
    return f"Edited after staging ran it: {', '.join(paths)}. Put it back{back}, or run it anew from below in staging."


def migration_risks(facts: Facts) -> Result:
    """What the migrations will do is known, and an approver has accepted what can go wrong with them."""
    release, plan = facts.release, facts.planned
    if not facts.project.alembic or not release.migrations or release.migrations_problem:
        return Result(PASS, "There are no migrations to look for risks in.")
    if plan is None or plan.status in OPEN:
        said = plan.sentence if plan and plan.sentence else "It is being worked out what the migrations will do."
        return Result(PENDING, said)
    if plan.status != JobStatus.SUCCEEDED:
        return Result(FAIL, plan.sentence)
    if plan.met.get("order", facts.project.schema_order) != facts.project.schema_order:
        return Result(PENDING, "The order of deploying and migrating was changed; the plan is being made anew.")
    if not {(one["id"], one["sha256"]) for one in release.migrations} <= plan.files:
        return Result(PENDING, "The plan is not about these migration files; it is being made anew.")
    production = facts.environments.get("production")
    at = production.revisions if production else None
    if at is not None and is_elsewhere(plan.starts, "production", at, release.heads):
        return Result(PENDING, "Production's database is elsewhere than the plan says; it is being made anew.")
    evidence = tuple((risk.revision, f"{risk.severity}: {risk.sentence}") for risk in plan.risks)
    waiting = plan.unaccepted
    if waiting:
        risks = [risk for step in waiting for risk in plan.asking(step)]
        more = f" (and {len(risks) - 1} more)" if len(risks) > 1 else ""
        said = f"{risks[0].revision}: {risks[0].sentence}{more} An approver has to accept it, or the file to change."
        return Result(ATTEST, said, evidence)
    words = {one.who: one for step in plan.steps if plan.asking(step) and (one := plan.acceptance(step))}
    if words:
        said = "; ".join(f"{who}: “{one.reason}”" for who, one in words.items())
        return Result(PASS, f"Risks accepted by {said}", evidence)
    return Result(PASS, "No migration brings a risk that somebody must accept.", evidence)


def rehearsed(facts: Facts) -> Result:
    """Exactly these files ran up, down and up again over a copy of production's schema, from where it is now."""
    release = facts.release
    if not facts.project.alembic or not release.migrations or release.migrations_problem:
        return Result(PASS, "There are no migrations to rehearse.")
    production = facts.environments.get("production")
    if production is None or production.revisions is None or production.revisions_at is None:
        return Result(PENDING, "Reading production's database for the first time.")
    if production.revisions_at < facts.fresh_since:
        return Result(PENDING, "Reading production's database: what is known is too old.", (), production.revisions_at)
    if sorted(production.revisions) == sorted(release.heads):
        return Result(PASS, "Production's database is at the release's head: nothing is left to rehearse.")
    row = next((one for one in facts.rehearsals if one.kind == "production"), None)
    if row is None or row.status in OPEN:
        said = PHASES.get(row.phase, "") if row else ""
        return Result(PENDING, f"It is being rehearsed{f': {said.lower()}' if said else ''}.")
    evidence = (*(("warning", one) for one in row.warnings), ("rehearsal", str(row.pk)))
    if row.status == JobStatus.CANCELLED:
        return Result(PENDING, "The rehearsal was cancelled; start it again from its page.", evidence, row.finished_at)
    if sorted(row.start or ()) != sorted(production.revisions) and row.status != JobStatus.NEEDS_PERSON:
        return Result(PENDING, "Production's database has moved since; it is rehearsed anew.", evidence)
    if row.finished_at is None or facts.now - row.finished_at > VALID:
        return Result(PENDING, "The rehearsal is older than a day; it is being done anew.", evidence, row.finished_at)
    if row.status == JobStatus.FAILED:
        return Result(FAIL, f"The rehearsal failed: {row.sentence}", evidence, row.finished_at)
    if row.status != JobStatus.SUCCEEDED:
        return Result(ATTEST, f"{row.sentence} A person must say that it was rehearsed.", evidence, row.finished_at)
    ran = dict(row.files)
    if any(ran.get(one["id"], one["sha256"]) != one["sha256"] for one in release.migrations):
        return Result(PENDING, "What was rehearsed are not these migration files.", evidence, row.finished_at)
    return Result(PASS, row.sentence, evidence, row.finished_at)


def production_at_head(facts: Facts) -> Result:
    """Production's database reports exactly the release's heads."""
    if not facts.project.alembic:
        return Result(PASS, "The project has no Alembic migrations.")
    if not facts.release.merge_commit:
        return Result(PENDING, "The release is not merged yet.")
    production = facts.environments.get("production")
    if production is None or production.revisions is None or production.revisions_at is None:
        problem = production.revisions_problem if production else ""
        return Result(PENDING, problem or "Reading production's database for the first time.")
    if production.revisions_at < max(facts.release.candidate_at, facts.fresh_since):
        return Result(PENDING, "Reading production's database: what is known is too old.", (), production.revisions_at)
    now_at = ", ".join(production.revisions) or "nothing"
    if sorted(production.revisions) != sorted(facts.release.heads):
        wanted = ", ".join(facts.release.heads)
        return Result(FAIL, f"Production's database is at {now_at}, not at {wanted}.", (), production.revisions_at)
    return Result(PASS, f"Production's database is at {now_at}.", (), production.revisions_at)
