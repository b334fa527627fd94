"""A rehearsal: the migrations of a commit, run up, down and up again over a copy of a database's
schema.

Production is only read: its version table, names of extensions and roles, and its schema by
`pg_dump`. Everything else happens in a scratch server that lives as long as the rehearsal. No row
is copied, so seconds are those of empty tables; locks, rewrites and errors are the real ones.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
from psycopg import sql

from environments.git.repository import Mirror
from environments.schema.history import identity
from environments.schema.history import status as history_status
from environments.schema.history.graph import History
from environments.schema.history.reader import Revision, read
from environments.schema.plan.render import without_passwords
from environments.schema.rehearsal.dump import (
    Cancelled,
    Difference,
    DumpError,
    differences,
    drift,
    dump,
    load,
    objects,
    settled,
)
from environments.schema.rehearsal.scratch_server import Scratch, scratch_server
from environments.schema.run import database, runner
from environments.schema.run.command import Command
from environments.schema.run.process import Child
from portal.outbound.parsing import JsonObject

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
_EXTENSION = re.compile(r'extension "([^"]+)" is not available')
_RANK = {mode: rank for rank, mode in enumerate(MODES)}


@dataclass(frozen=True)
class Request:
    """What is to be rehearsed. A downgrade goes one revision back from where the database is.

    `root` is where scratch servers live; `compare`: also hold the schema against the one that
    migrations make.
    """

    commit: str
    alembic: str
    url: str = field(repr=False)
    root: Path = field(default_factory=lambda: Path("var/rehearsals"))
    direction: str = UPGRADE
    version_table: str = "alembic_version"
    lock_timeout_ms: int = 5_000
    statement_timeout_ms: int = 15 * 60_000
    time_limit_s: float = 1800.0
    compare: bool = True
    project_code: bool = False  # whether the real run executes the project's own `env.py`
    command: Command | None = (
        None  # the project's own, where it runs the migrations: it is rehearsed as well
    )


@dataclass(frozen=True)
class Lock:
    """A table locked by a statement until its transaction ended; `seconds` None where no end was
    heard of.
    """

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

    `start`, `target`: revisions before and after; `files`: what ran, with hashes. `changes` is what
    the run does to the schema, `left` how the schema after going back differs from the one at the
    start (None: not known), `drift` how the real schema differs from the one that migrations make
    (None: not known; `drift_problem` says why).
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


def rehearse(
    mirror: Mirror,
    request: Request,
    *,
    on_phase: Callable[[Report, str], None],
    alive: Callable[[], bool],
) -> Report:
    """Does it, and leaves nothing behind.

    `on_phase` gets the report so far and the phase that begins.

    Raises `GitError`, `HistoryError`, `DatabaseError` and busy `DumpError`: nothing was learnt, try
    again.
    """
    report = Report()
    try:
        history = read(mirror, request.commit, request.alembic)
        if history.problems:
            raise UnknownError(history.problems[0].sentence)
        on_phase(report, "server")
        began = time.monotonic()
        with scratch_server(request.root) as scratch:
            report.phases += (("server", time.monotonic() - began),)
            _Rehearsal(mirror, request, history, scratch, report, on_phase, alive).run()
    except UnknownError as error:
        report.status, report.sentence = UNKNOWN, str(error)
    except DumpError as error:
        if error.busy:
            raise
        report.status, report.sentence = UNKNOWN, str(error)
    except Cancelled:
        report.status, report.sentence = (
            CANCELLED,
            "The rehearsal was canceled; nothing of it remains.",
        )
    return report


@dataclass
class _Rehearsal:
    mirror: Mirror
    request: Request
    history: History
    scratch: Scratch
    report: Report
    on_phase: Callable[[Report, str], None]
    alive: Callable[[], bool]
    # The child of the next run. To start one takes longer than most runs, so it starts beside what
    # comes before.
    waiting: Child = field(init=False)

    def run(self) -> None:
        self.waiting = Child(self.scratch.work, early=True)
        try:
            self._all()
        finally:
            self.waiting.close()

    def _all(self) -> None:
        report = self.report
        with self._phase("read"):
            text, name = self._read()
            steps, back = self._steps()
            asked = self.request
            bound = identity.bound(
                self.mirror, asked.commit, self.history, steps, command=asked.project_code
            )
            report.files = tuple(
                {"id": one.id, "path": one.path, "sha256": one.sha256} for one in bound
            )
        with self._phase("load"):
            url = self.scratch.create(name)
            load(text, url, self.scratch.work / "load.sql", self.alive)
            self._set_revisions(url)
            original = self._schema(url)
        if not self._up_down_up(url, original, back):
            return
        if self._compares():
            with self._phase("compare"):
                self._compare(original)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self.on_phase(self.report, name)
        began = time.monotonic()
        yield
        self.report.phases += ((name, time.monotonic() - began),)

    def _read(self) -> tuple[str, str]:
        """The target's schema as text, and its database's name."""
        request, report = self.request, self.report
        found = read_target(self.scratch, request.url, request.version_table, self.alive)
        report.start, report.server = found.revisions, found.server
        report.scratch = _version(self.scratch.version)
        return found.schema, database.normalise(request.url).database

    def _steps(self) -> tuple[tuple[Revision, ...], str]:
        """What is to run, and the revision to go back to afterwards ("" where one step back
        cannot be named).
        """
        report, history = self.report, self.history
        unknown = [one for one in report.start if one not in history.revisions]
        if unknown:
            raise UnknownError(
                f"The database is at {unknown[0]}, which is in no file at"
                f" {self.request.commit[:7]}; take a commit that has it. {history_status.PROVE}"
            )
        back = report.start[0] if len(report.start) == 1 else "" if report.start else "base"
        if self.request.direction == UPGRADE:
            report.target = tuple(history.effective_heads)
            return history.between(report.start, report.target), back
        down = history.revisions[report.start[0]].down if len(report.start) == 1 else ()
        if len(report.start) != 1 or len(down) > 1:
            raise UnknownError(
                "Only a database with one head, which is no merge, can go one revision back."
            )
        report.target = down
        return history.back(report.start, down[0] if down else "base"), back

    def _set_revisions(self, url: str) -> None:
        if not self.report.start:
            return
        table = database.identifier(self.request.version_table)
        with psycopg.connect(url) as opened:
            opened.execute(
                sql.SQL("insert into {} select unnest(%s::text[])").format(table),
                [list(self.report.start)],
            )

    def _schema(self, url: str) -> str:
        return dump(url, self.scratch.work / "now.sql", self.alive)

    def _differences(self, before: str, after: str) -> tuple[Difference, ...]:
        try:
            return settled(before, after, self._trip, without=self._version_table)
        except DumpError as error:
            if error.busy:
                raise
            return differences(
                *(objects(one, without=self._version_table) for one in (before, after))
            )

    @property
    def _version_table(self) -> str:
        return database.split_table(self.request.version_table)[0]

    def _trip(self, text: str) -> str:
        """A dump once more around: loaded into an empty database, and dumped."""
        url = self.scratch.create("rehearsal_trip")
        try:
            load(text, url, self.scratch.work / "trip.sql", self.alive)
            return self._schema(url)
        finally:
            self.scratch.drop("rehearsal_trip")

    def _up_down_up(self, url: str, original: str, back: str) -> bool:
        """The three runs; False when there is nothing more to learn."""
        report, upgrade = self.report, self.request.direction == UPGRADE
        there = (UPGRADE, report.target) if upgrade else (DOWNGRADE, report.target or ("base",))
        with self._phase("first"):
            outcome = self._go(url, "first", *there)
            if lacking := _EXTENSION.search(outcome.sentence):
                raise UnknownError(
                    f"Revision {outcome.failed_revision or report.target[0]} creates the extension"
                    f" {lacking[1]}, which the scratch server does not have. Rehearse on a copy "
                    "manually and sign off."
                )
            if outcome.status != "succeeded":
                report.status = FAILED if outcome.status == "failed" else UNKNOWN
                report.sentence, report.failed_statement = (
                    outcome.sentence,
                    outcome.failed_statement,
                )
                return False
            reached = self._schema(url)
            names = self._version_table
            report.changes = differences(
                objects(original, without=names), objects(reached, without=names)
            )
        with self._phase("back"):
            returned = self._back(url, original, back)
        if not upgrade or back:
            with self._phase("again"):
                self._again(url, there, reached, returned)
        if report.status != FAILED:
            report.status, report.sentence = PASSED, self._said()
        return True

    def _back(self, url: str, original: str, back: str) -> bool:
        """Goes back to where the database was; whether that brought the schema back exactly."""
        report = self.report
        if self.request.direction == DOWNGRADE:
            outcome = self._go(url, "back", UPGRADE, report.start)
        elif not back:
            report.warnings += ("The downgrade was not rehearsed: the database has several heads.",)
            return False
        else:
            self._name_irreversible()
            outcome = self._go(url, "back", DOWNGRADE, (back,))
        if outcome.status != "succeeded":
            report.warnings += (f"The downgrade failed: {outcome.sentence}",)
            return False
        report.left = self._differences(original, self._schema(url))
        if report.left:
            more = f" and {len(report.left) - 1} more" if len(report.left) > 1 else ""
            report.warnings += (
                f"The downgrade leaves the schema different: {report.left[0].sentence}{more}.",
            )
        return not report.left

    def _name_irreversible(self) -> None:
        empty = [
            file["id"]
            for file in self.report.files
            if not self.history.revisions[file["id"]].has_downgrade
        ]
        if empty:
            self.report.warnings += (f"Without a downgrade: {', '.join(empty)}.",)

    def _again(
        self, url: str, there: tuple[str, tuple[str, ...]], reached: str, returned: bool
    ) -> None:
        report = self.report
        outcome = self._go(url, "again", *there)
        if outcome.status != "succeeded":
            message = f"The second upgrade failed: {outcome.sentence}"
            if returned:  # the same schema, and yet another outcome
                report.status, report.sentence, report.failed_statement = (
                    FAILED,
                    message,
                    outcome.failed_statement,
                )
            else:
                report.warnings += (message,)
        elif returned and (other := self._differences(reached, self._schema(url))):
            report.warnings += (f"The second upgrade led to another schema: {other[0].sentence}.",)

    def _go(self, url: str, run: str, direction: str, target: tuple[str, ...]) -> runner.Outcome:
        with closing(self._child(run)) as child:
            outcome = run_in(
                self.scratch, self.mirror, self.request, url, direction, target, child, self.alive
            )
        if outcome.status == "cancelled":
            raise Cancelled
        self.report.statements += statements(run, outcome.recorded)
        return replace(
            outcome,
            sentence=without_passwords(outcome.sentence),
            failed_statement=without_passwords(outcome.failed_statement),
        )

    def _child(self, run: str) -> Child:
        """The child that waits, while that of the run after this one starts."""
        child = self.waiting
        if run != ("expected" if self._compares() else "again"):
            self.waiting = Child(self.scratch.work, early=True)
        return child

    def _compares(self) -> bool:
        return self.request.compare and self.request.direction == UPGRADE

    def _said(self) -> str:
        report = self.report
        if not report.files:
            return (
                f"Nothing to run: the database is at {', '.join(report.start) or 'nothing'},"
                " the head."
            )
        count = f"{len(report.files)} migration{'' if len(report.files) == 1 else 's'}"
        if self.request.direction == DOWNGRADE:
            count = f"Downgrade to {', '.join(report.target) or 'an empty database'}"
        where = (
            f"from {', '.join(report.start) or 'an empty database'} on PostgreSQL {report.scratch}"
        )
        if report.server.split(".")[0] != report.scratch.split(".")[0]:
            where += f" (the database itself runs {report.server})"
        exact = " Downgrade restores the schema exactly." if report.left == () else ""
        if self.request.direction == DOWNGRADE:
            exact = ""
        return f"{count} rehearsed {where}.{exact}"

    def _compare(self, original: str) -> None:
        """Holds the real schema against one that the migrations alone have made, up to the same
        revisions.
        """
        report = self.report
        if not report.start:
            report.drift_problem = "The database has no revision, so it has no expected schema."
            return
        url = self.scratch.create("rehearsal_expected")
        recorded, report.statements = report.statements, ()
        outcome = self._go(url, "expected", UPGRADE, report.start)
        report.statements = recorded
        if outcome.status != "succeeded":
            report.drift_problem = (
                "The migrations alone could not build the schema to compare with:"
                f" {outcome.sentence}"
            )
            return
        expected = self._schema(url)
        try:
            report.drift = drift(expected, original, self._trip, without=self._version_table)
        except DumpError as error:
            report.drift_problem = f"The two schemas could not be compared: {error}"


@dataclass(frozen=True)
class Target:
    """A database as it was read: its `revisions`, its `schema` as text, its `server`'s version."""

    revisions: tuple[str, ...]
    schema: str
    server: str


def read_target(
    scratch: Scratch, url: str, version_table: str, alive: Callable[[], bool]
) -> Target:
    """Read a database, whose revision must not move meanwhile, and make its roles in `scratch`.

    Raises `UnknownError` where the scratch server cannot take it over, `DatabaseError`,
    `DumpError` and `Cancelled`.
    """
    with database.connection(url) as opened:
        revisions = database.revisions_in(opened, version_table, None)
        version = opened.info.server_version
        if version // 10_000 > scratch.version // 10_000:
            raise UnknownError(
                f"The database runs PostgreSQL {_version(version)}, newer than the portal's"
                f" {_version(scratch.version)}. It cannot be rehearsed here: update the portal, "
                "or rehearse manually and sign off."
            )
        wanted = [row[0] for row in opened.execute("select extname from pg_extension order by 1")]
        roles = [
            row[0]
            for row in opened.execute(r"select rolname from pg_roles where rolname !~ '^pg_'")
        ]
    if missing := [one for one in wanted if one not in scratch.extensions()]:
        raise UnknownError(
            f"The database uses {', '.join(missing)}, which the scratch server does not have. "
            "Rehearse on a copy manually and sign off."
        )
    scratch.create_roles(roles)
    text = dump(url, scratch.work / "target.sql", alive)
    if database.current(url, table=version_table) != revisions:
        raise DumpError("The database was migrated while its schema was read.", busy=True)
    return Target(revisions, text, _version(version))


def run_in(
    scratch: Scratch,
    mirror: Mirror,
    request: Request,
    url: str,
    direction: str,
    target: tuple[str, ...],
    child: Child,
    alive: Callable[[], bool],
) -> runner.Outcome:
    """One run of what is rehearsed, over the scratch database at `url`."""
    if request.command:  # a project may know one kind of address only
        url = f"{request.url.partition('://')[0]}://{url.partition('://')[2]}"
    wanted = runner.Run(
        commit=request.commit,
        alembic=request.alembic,
        url=url,
        target=target,
        direction=direction,
        lock_timeout_ms=request.lock_timeout_ms,
        statement_timeout_ms=request.statement_timeout_ms,
        time_limit_s=request.time_limit_s,
        version_table=request.version_table,
        record=True,
        workspace=scratch.work,
        child=child,
        command=request.command,
    )
    return runner.run(mirror, wanted, on_lines=lambda lines: None, alive=alive)


def _version(number: int) -> str:
    return f"{number // 10_000}.{number % 10_000}"


def statements(run: str, events: tuple[JsonObject, ...]) -> tuple[Ran, ...]:
    """What the child recorded, each lock at the statement that took it and until its transaction
    ended.
    """
    found: list[Ran] = []
    open_: list[tuple[JsonObject, dict[str, str], str]] = []
    held: dict[str, str] = {}
    revision = ""

    def close(at: float | None) -> None:
        for event, locks, of in open_:
            seconds = None if at is None else at - float(event["at"])
            taken = tuple(Lock(table, mode, seconds) for table, mode in sorted(locks.items()))
            text, rewritten = without_passwords(str(event["statement"])), tuple(event["rewritten"])
            inside = bool(event["in_transaction"])
            found.append(Ran(run, of, text, float(event["seconds"]), inside, taken, rewritten))
        open_.clear()
        held.clear()

    for event in events:
        if "start" in event:
            revision = str(event["start"])
        elif "over" in event:
            close(float(event["over"]))
        elif (
            "statement" in event and revision
        ):  # before the first one Alembic looks around for itself
            locks = _stronger(event["locks"], held)
            held |= locks
            open_.append((event, locks, revision))
    close(None)
    return tuple(found)


def _stronger(locks: list[list[str]], held: dict[str, str]) -> dict[str, str]:
    """The strongest lock on each table, where it is stronger than what was held before and than
    that of reading.
    """
    now: dict[str, str] = {}
    for table, mode in locks:
        rank = _RANK.get(mode, 0)
        if rank > _RANK.get(held.get(table, "AccessShareLock"), 0) and rank > _RANK.get(
            now.get(table, ""), 0
        ):
            now[table] = mode
    return now
