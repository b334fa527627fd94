"""Finds what a failed migration of production has left half applied."""

from collections.abc import Callable, Collection, Sequence

from django.db.models import QuerySet

from environments.models import Direction, EnvironmentDatabase, MigrationRun, Runner
from environments.schema.downgrade.compatibility import Half
from environments.schema.plan.render import Rendered, Statement, Step
from environments.schema.plan.risk import Risk, assess
from environments.schema.plan.squawk import RiskError
from environments.schema.run.failure import next_commands
from portal.jobs import JobStatus
from portal.words import number_of
from releases.models.releases import Release

Planned = Callable[[Sequence[str]], tuple[list[Step], list[Risk], list[str]]]


def newest_run(place: EnvironmentDatabase) -> MigrationRun | None:
    """Return the newest run of a database, without its log; None where there was none."""
    return _runs(place).first()


def runs_of(place: EnvironmentDatabase, release: Release) -> list[MigrationRun]:
    """Return what was run of the release in a database, the newest first, without logs."""
    commits = [commit for commit in (release.candidate, release.merge_commit) if commit]
    return list(_runs(place).filter(commit__in=commits))


def _runs(place: EnvironmentDatabase) -> QuerySet[MigrationRun]:
    runs = MigrationRun.objects.filter(environment=place.environment_id, database=place.database_id)
    return runs.defer("log").select_related("environment", "database").order_by("-created_at")


def halves_of(
    runs: Sequence[MigrationRun],
    behind: Collection[str],
    invalid: Collection[str],
    planned: Planned,
) -> tuple[Half, ...]:
    """Return what stays of each revision that failed in one of `runs` (the newest first), also
    where a later run changed nothing more.

    `behind`: the revisions that the database has; `invalid`: the indexes that are invalid in it
    now. `planned` tells the release's plan of some of them.
    """
    settled = set[str]()  # what a later run has brought, or taken back, as a whole
    failed: dict[tuple[str, str], list[MigrationRun]] = {}
    for run in runs:
        revision, forward = run.failed_revision, run.direction == Direction.UPGRADE
        left = revision and revision not in settled and (revision in behind) != forward
        if left and not run.is_open and run.status != JobStatus.SUCCEEDED:
            failed.setdefault((revision, run.direction), []).append(run)
        settled.update(revision for revision, _ in run.applied)
    halves = (_half(theirs, invalid, planned) for theirs in failed.values())
    return tuple(half for half in halves if half)


def _half(
    failed: Sequence[MigrationRun], invalid: Collection[str], planned: Planned
) -> Half | None:
    """Return what stays of the one revision in which all these runs failed."""
    run = failed[0]
    revision, backwards = run.failed_revision, run.direction == Direction.DOWNGRADE
    kept = tuple(dict.fromkeys(statement for each in reversed(failed) for statement in each.kept))
    broken = [index for each in failed for index in each.invalid_indexes if index in invalid]
    table = run.database.version_table
    next_steps = next_commands(
        invalid=tuple(dict.fromkeys(broken)), kept=kept, table=table, known=True
    )
    commands = tuple(command.command or command.why for command in next_steps)
    what = f"the downgrade of {revision}" if backwards else revision
    if any(each.runner != Runner.PORTAL for each in failed) and _may_stay(revision, planned):
        message = (
            f"{what} failed in the project's own command; what it did outside its transaction"
            " is not seen here. Read its file and look at the database."
        )
        return Half(revision, _capital(message), commands, breaks=True)
    if not next_steps:
        return None
    count = number_of(len(kept), "statement") if kept else "an invalid index"
    stays = "stay" if len(kept) > 1 else "stays"
    message = f"{what} failed half-way: {count} of it {stays} in the database."
    return Half(revision, _capital(message), commands, breaks=_breaks(revision, kept, planned))


def _capital(sentence: str) -> str:
    """Return the sentence with a capital, unless it begins with a revision's id."""
    return f"T{sentence[1:]}" if sentence.startswith("the ") else sentence


def _may_stay(revision: str, planned: Planned) -> bool:
    """Return whether it does anything that a transaction does not take back, or nobody knows."""
    steps, risks, _ = planned([revision])
    if not steps or steps[0].upgrade.kind:
        return True
    outside = any(not statement.in_transaction for statement in steps[0].upgrade.statements)
    return outside or any(
        risk.code in ("transaction-control", "opaque", "calls", "unknown") for risk in risks
    )


def _breaks(revision: str, kept: Sequence[str], planned: Planned) -> bool:
    """Return whether earlier code may trip over the statements that stay."""
    steps, _, _ = planned([revision])
    path, sha256 = (steps[0].path, steps[0].sha256) if steps else ("", "")
    left = Rendered(tuple(Statement(statement, False) for statement in kept))
    part = Step(revision, path, sha256, "", upgrade=left)
    try:
        return any(risk.breaks_old for risk in assess([part]))
    except RiskError:
        return True
