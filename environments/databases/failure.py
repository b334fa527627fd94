"""The failure report of a migration run: what is half applied, and which commands to run next."""

from dataclasses import dataclass

from environments.models import Direction, EnvironmentKind, MigrationRun, Runner
from environments.schema.run.failure import NextCommand, next_commands
from portal.jobs import JobStatus


@dataclass(frozen=True)
class FailureReport:
    """`half` says what is half applied; `kept`: the statements that were not rolled back."""

    applied: str
    half: str
    kept: tuple[str, ...]
    commands: tuple[NextCommand, ...]
    retry: bool  # by the button; a promotion's run is tried again by its step


def failure_report_of(run: MigrationRun) -> FailureReport | None:
    """Return None for a run that is under way or succeeded."""
    if run.is_open or run.status == JobStatus.SUCCEEDED:
        return None
    retry = can_be_retried(run)
    if run.before is None:
        return FailureReport("Nothing was started.", "No partial changes", (), (), retry)
    invalid, kept = tuple(run.invalid_indexes), tuple(run.kept)
    table, known = run.database.version_table, run.after is not None
    commands = next_commands(invalid=invalid, kept=kept, table=table, known=known)
    return FailureReport(_applied(run), _half(run), kept, commands, retry)


def can_be_retried(run: MigrationRun) -> bool:
    """Return whether a new run of the same commit is for one person to start: not where a promotion
    or two people asked.
    """
    theirs = run.environment.kind != EnvironmentKind.PRODUCTION or run.requested_by_id is not None
    return theirs and run.direction == Direction.UPGRADE


def _applied(run: MigrationRun) -> str:
    where = "not known" if run.after is None else ", ".join(run.after) or "no revision"
    applied = f"{len(run.applied)} of {len(run.planned)} revisions are applied"
    return f"{applied}; the database is at: {where}."


def _half(run: MigrationRun) -> str:
    message = [f"Invalid: {', '.join(run.invalid_indexes)}."] if run.invalid_indexes else []
    if count := len(run.kept):
        statements = f"{count} statement{'s' if count != 1 else ''}"
        message.append(f"{statements} of the failed revision remain applied.")
    if run.runner != Runner.PORTAL:
        unseen = "The portal cannot see what the failed revision did outside its transaction."
        message.append(f"{unseen} Read its file.")
    elif run.after is None:
        message.append("What the last revision did is not known.")
    return " ".join(message) or "No partial changes: the failed revision was rolled back."
