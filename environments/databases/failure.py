"""The failure report of a migration run: what is half applied, and which commands to run next."""

from dataclasses import dataclass

from environments.models import Direction, EnvironmentKind, MigrationRun, Runner
from environments.schema.run.failure import NextCommand, next_commands
from portal.jobs import JobStatus


@dataclass(frozen=True)
class FailureReport:
    """`half` is one sentence about what is half applied, `kept` the statements that were not
    rolled back.
    """

    applied: str
    half: str
    kept: tuple[str, ...]
    commands: tuple[NextCommand, ...]
    retry: bool  # by the button; a promotion's run is tried again by its step


def failure_report_of(run: MigrationRun) -> FailureReport | None:
    """Return None for a run that is under way, succeeded, or changed nothing since it never
    began.
    """
    if run.is_open or run.status == JobStatus.SUCCEEDED:
        return None
    invalid, kept = tuple(run.invalid_indexes), tuple(run.kept)
    table = run.database.version_table
    began = run.before is not None
    commands = (
        next_commands(invalid=invalid, kept=kept, table=table, known=run.after is not None)
        if began
        else ()
    )
    return FailureReport(
        _applied(run), _half(run, invalid, kept), kept, commands, can_be_retried(run)
    )


def can_be_retried(run: MigrationRun) -> bool:
    """Return whether a new run of the same commit is for one person to start: not where a promotion
    or two people asked.
    """
    theirs = run.environment.kind != EnvironmentKind.PRODUCTION or run.requested_by_id is not None
    return theirs and run.direction == Direction.UPGRADE


def _applied(run: MigrationRun) -> str:
    if run.before is None:
        return "Nothing was started."
    where = "not known" if run.after is None else ", ".join(run.after) or "no revision"
    return (
        f"{len(run.applied)} of {len(run.planned)} revisions are applied; the database is at:"
        f" {where}."
    )


def _half(run: MigrationRun, invalid: tuple[str, ...], kept: tuple[str, ...]) -> str:
    if run.before is None:
        return "No partial changes"
    message = [f"Invalid: {', '.join(invalid)}."] if invalid else []
    if kept:
        message.append(
            f"{len(kept)} statement{'s' if len(kept) != 1 else ''} of the failed revision remain "
            "applied."
        )
    if run.runner != Runner.PORTAL:
        message.append(
            "The portal cannot see what the failed revision did outside its transaction. Read "
            "its file."
        )
    elif run.after is None:
        message.append("What the last revision did is not known.")
    return " ".join(message) or "No partial changes: the failed revision was rolled back."
