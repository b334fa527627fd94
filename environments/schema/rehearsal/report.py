"""The request and the result of a rehearsal."""

from dataclasses import dataclass
from pathlib import Path

from environments.schema.rehearsal.dump import Difference
from environments.schema.run.request import Run

UPGRADE, DOWNGRADE = "upgrade", "downgrade"
PASSED, FAILED, UNKNOWN, CANCELLED = "passed", "failed", "unknown", "cancelled"
PHASES = {
    "server": "Start a scratch server",
    "read": "Read the schema",
    "load": "Load the schema",
    "first": "Run",
    "back": "Run downgrade",
    "again": "Run upgrade again",
    "compare": "Compare with the migrations",
}
# From weak to strong (PostgreSQL manual 13.3.1), with what others cannot do meanwhile.
MODES = {
    "AccessShareLock": "",
    "RowShareLock": "",
    "RowExclusiveLock": "",
    "ShareUpdateExclusiveLock": "",
    "ShareLock": "blocks writes",
    "ShareRowExclusiveLock": "blocks writes",
    "ExclusiveLock": "blocks writes",
    "AccessExclusiveLock": "blocks reads and writes",
}


@dataclass(frozen=True, kw_only=True)
class Request(Run):
    """The run to rehearse. A downgrade goes one revision back from where the database is.

    `root` is where scratch servers live; `compare`: also hold the schema against the one that
    migrations make.
    """

    root: Path
    time_limit_s: float = 1800.0
    compare: bool = True
    project_code: bool = False  # whether the real run executes the project's own `env.py`


@dataclass(frozen=True)
class Lock:
    """A lock until its transaction ended; `seconds` None where no end was heard of."""

    table: str
    mode: str
    seconds: float | None


@dataclass(frozen=True)
class Ran:
    """One statement of one run (`run`: first, back or again)."""

    run: str
    revision: str
    sql: str
    seconds: float
    in_transaction: bool = True
    locks: tuple[Lock, ...] = ()
    rewritten: tuple[str, ...] = ()


@dataclass
class Report:
    """What a rehearsal came to. `status`: passed, failed, unknown or cancelled.

    `start`, `target`: revisions before and after; `files`: what ran, with hashes; `changes`: what
    the run does to the schema. None where not known: `left`, how the schema after going back
    differs from the first one, and `drift`, how the real one differs from the migrations'
    (`drift_problem`: why).
    """

    status: str = UNKNOWN
    sentence: str = ""
    start: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    files: tuple[dict[str, str], ...] = ()
    statements: tuple[Ran, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: tuple[Difference, ...] = ()
    left: tuple[Difference, ...] | None = None
    drift: tuple[Difference, ...] | None = None
    drift_problem: str = ""
    failed_statement: str = ""
    server: str = ""
    scratch: str = ""
    phases: tuple[tuple[str, float], ...] = ()


class UnknownError(Exception):
    """The rehearsal cannot be done here, as one sentence."""


def summary(request: Request, report: Report) -> str:
    """Return in one sentence what was rehearsed, and over what."""
    if not report.files:
        at = ", ".join(report.start) or "nothing"
        return f"Nothing to run: the database is at {at}, the head."
    where = f"from {', '.join(report.start) or 'an empty database'} on PostgreSQL {report.scratch}"
    if report.server.split(".")[0] != report.scratch.split(".")[0]:
        where += f" (the database itself runs {report.server})"
    if request.direction == DOWNGRADE:
        target = ", ".join(report.target) or "an empty database"
        return f"Downgrade to {target} rehearsed {where}."
    count = f"{len(report.files)} migration{'' if len(report.files) == 1 else 's'}"
    exact = " Downgrade restores the schema exactly." if report.left == () else ""
    return f"{count} rehearsed {where}.{exact}"
