"""The request and the outcome of one Alembic run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from environments.schema.history.env_meaning import Meaning
from environments.schema.history.reader import History, Revision
from environments.schema.run.command import Command
from environments.schema.run.process import Child, Finished, Log
from environments.schema.run.progress import Progress


@dataclass(frozen=True)
class Run:
    """One upgrade or downgrade to be done. `target` () means all heads at `commit`; times as named.

    A downgrade names one revision to go back to, or "base". Scripts see `variables` beside PATH and
    LANG; `secrets` and the password in `url` are kept out of the log.
    """

    commit: str
    alembic: str
    url: str = field(repr=False)
    target: tuple[str, ...] = ()
    direction: str = "upgrade"
    lock_timeout_ms: int = 5_000
    statement_timeout_ms: int = 15 * 60_000
    lock_wait_s: float = 300.0
    time_limit_s: float = 3600.0
    version_table: str = "alembic_version"  # with its schema before it, if it has one
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    # Revision → the keys of all it may send.
    expected: Mapping[str, list[str]] = field(default_factory=dict)
    record: bool = False  # what each statement took and locked: for a rehearsal
    command: Command | None = None  # the project's own instead of our Alembic; it only upgrades
    # Or who has it run.
    elsewhere: Callable[[Log, Callable[[], str]], Finished] | None = field(default=None, repr=False)
    workspace: Path | None = None  # for the files, if not the system's place for such
    child: Child | None = field(default=None, repr=False)  # one that waits already
    on_progress: Callable[[Progress], None] | None = None  # gets what runs now, every few seconds


@dataclass(frozen=True)
class Outcome:
    """What a run came to. `status`: succeeded, failed, busy, unknown or cancelled.

    `before` and `after`: what the database said, None where it could not be asked; `applied`: by
    which revisions they differ, in the order run, with seconds (None where no end was heard of).
    """

    status: str
    sentence: str
    before: tuple[str, ...] | None = None
    after: tuple[str, ...] | None = None
    applied: tuple[tuple[str, float | None], ...] = ()
    failed_revision: str = ""
    failed_statement: str = ""
    invalid_indexes: tuple[str, ...] = ()
    output_bytes: int = 0
    recorded: tuple[dict[str, object], ...] = ()
    # Revision → key and statement.
    executed: Mapping[str, list[list[str]]] = field(default_factory=dict)
    kept: tuple[str, ...] = ()  # what was heard that the failed revision did for good
    repeatable: bool = False  # the database went away, and what had begun was rolled back whole


class EarlyError(Exception):
    """Ends a run before anything was changed."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Plan:
    history: History
    before: tuple[str, ...]
    steps: tuple[Revision, ...]
    target: tuple[str, ...]  # as Alembic is told
    wanted: frozenset[str]  # every revision that must be in effect afterwards
    # Of the project's `env.py`, where our own takes its place.
    meaning: Meaning = field(default_factory=Meaning)


def whole_seconds(event: Mapping[str, object]) -> float:
    seconds = event.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else 0.0
