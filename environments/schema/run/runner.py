"""Brings one database to a revision, once, and says what the database says.

Under a polled advisory lock, one subprocess runs Alembic over a checkout of exactly the commit,
with our environment and none of the project's packages; or the project's own command over all of
its files. Success is what is read from the database afterwards; how the subprocess ended only
explains.
"""

import hashlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.schema.history.env_file import read_meaning
from environments.schema.history.env_meaning import Meaning
from environments.schema.history.reader import History, HistoryError, Revision, read
from environments.schema.history.status import PROVE
from environments.schema.plan.render import without_passwords
from environments.schema.run import wire
from environments.schema.run.alembic_env.statements import (
    MAX_CHARACTERS,
    MAX_STATEMENTS,
    READS,
    key_of,
    version_in,
)
from environments.schema.run.causes import cause
from environments.schema.run.command import APPLICATION_NAME, Command, redirected, told
from environments.schema.run.database import (
    Address,
    DatabaseError,
    connection,
    files_in,
    identifier,
    invalid_indexes,
    normalise,
    places_of,
    refusal,
    revisions_in,
    split_table,
    version_width,
)
from environments.schema.run.output import Output
from environments.schema.run.process import Child, Finished, Log, Redactor, follow
from environments.schema.run.progress import Progress, Watch
from portal import isolation
from portal.outbound.parsing import JsonObject

ENVIRONMENT = Path(__file__).parent / "alembic_env"
POLL_SECONDS = 0.5
SETTLE_SECONDS = 15.0
UNKNOWN = "unknown"
KEY_LETTERS = 32
_EXISTS = re.compile(r'(?:relation|type|schema|table) "?[^"]+"? already exists')
ADOPT = (
    "It has tables and no revision: if these migrations made them, have it proven on the page"
    " Migrations which revision the schema is, and stamped."
)
_AT_WORK = (
    "select count(*) from pg_stat_activity where datname = current_database() and application_name"
    " = %s"
)


@dataclass(frozen=True)
class Run:
    """One upgrade or downgrade to be done. `target` () means all heads at `commit`; times as named.

    A downgrade names one revision to go back to, or "base". `variables` is all the environment that
    scripts see beside PATH and LANG; `secrets` are kept out of the log, as is the password in
    `url`.
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
    version_table: str = "alembic_version"
    version_table_schema: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    expected: Mapping[str, list[str]] = field(
        default_factory=dict
    )  # revision → the keys of all it may send
    record: bool = False  # what each statement took and locked: for a rehearsal
    command: Command | None = None  # the project's own instead of our Alembic; it only upgrades
    elsewhere: Callable[[Log, Callable[[], str]], Finished] | None = field(
        default=None, repr=False
    )  # or who has it run
    workspace: Path | None = (
        None  # where the files are checked out, if not in the system's place for such
    )
    child: Child | None = field(default=None, repr=False)  # one that waits already
    on_progress: Callable[[Progress], None] | None = None  # gets what runs now, every few seconds


@dataclass(frozen=True)
class Outcome:
    """What a run came to. `status`: succeeded, failed, busy, unknown or cancelled.

    `before` and `after` are what the database said, None where it could not be asked. `applied`:
    the revisions by which they differ, in the order run, with seconds (None where no end was heard
    of).
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
    executed: Mapping[str, list[list[str]]] = field(
        default_factory=dict
    )  # revision → key and statement
    kept: tuple[
        str, ...
    ] = ()  # what the failed revision had done that was not rolled back, as far as it was heard


class EarlyError(Exception):
    """Ends a run before anything was changed."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class _Plan:
    history: History
    before: tuple[str, ...]
    steps: tuple[Revision, ...]
    target: tuple[str, ...]  # as Alembic is told
    wanted: frozenset[str]  # every revision that is to be in effect afterwards
    meaning: Meaning = field(
        default_factory=Meaning
    )  # of the project's `env.py`, where our own takes its place


def run(
    mirror: Mirror,
    request: Run,
    *,
    on_lines: Callable[[list[str]], None],
    alive: Callable[[], bool],
) -> Outcome:
    """Does `request` and reports.

    `on_lines` gets the log, `alive` is asked twice a second: False cancels.

    Raises only what `on_lines` or `alive` raise, after having ended the subprocess.
    """
    before: tuple[str, ...] | None = None
    try:
        address = normalise(request.url)
        redact = Redactor([address.password, *request.secrets])
        history = read(mirror, request.commit, request.alembic)
        if history.problems:
            raise EarlyError("failed", history.problems[0].sentence)
        request = _redirected(request, history)
        with connection(request.url) as opened:
            hold(opened, address, alive, wait_s=request.lock_wait_s)
            before = revisions_in(opened, request.version_table, request.version_table_schema)
            plan = _plan(history, before, request)
            if not plan.steps:
                return Outcome(
                    "succeeded",
                    "The database is already at this revision. Nothing to run.",
                    before,
                    before,
                )
            if not (request.command or request.elsewhere):
                plan = replace(plan, meaning=_kept_meaning(mirror, history, request))
            _check_ids(opened, request, plan)
            if refused := refusal(
                opened, address, request.version_table, request.version_table_schema
            ):
                raise EarlyError("failed", refused)
            with tempfile.TemporaryDirectory(
                prefix="portal-migration-", dir=request.workspace
            ) as directory:
                output = Output()

                def heard(lines: list[str], output: Output = output) -> None:
                    output.read(lines)
                    on_lines(lines)

                log = Log(heard, redact)
                if request.elsewhere is None:
                    _checkout(mirror, request, plan, Path(directory))
                watch = Watch(
                    opened,
                    request.on_progress or (lambda found: None),
                    output,
                    redact=lambda sql: without_passwords(redact(sql)),
                )
                ended = _follow(opened, address, request, plan, Path(directory), log, alive, watch)
                if request.command or request.elsewhere:
                    _hear(output, ended, plan)
            return _outcome(address, request, plan, ended, log, redact)  # still under the lock
    except EarlyError as early:
        return Outcome(early.status, str(early), before, before)
    except (DatabaseError, GitError, HistoryError) as error:
        return Outcome("failed", str(error), before, before)


def _redirected(request: Run, history: History) -> Run:
    """The request with its command turned to where it is to go, if that is not up to the heads."""
    at_heads = not request.target or set(request.target) in (
        set(history.heads),
        set(history.effective_heads),
    )
    if request.direction == "upgrade" and (at_heads or not request.record):
        return request
    if request.elsewhere:
        raise EarlyError(
            "failed", "On Railway only upgrades are run; go back with the portal's runner."
        )
    if request.command is None:
        return request
    line = (
        redirected(request.command.line, request.direction, request.target[0])
        if len(request.target) == 1
        else ""
    )
    if not line:
        raise EarlyError(
            "failed",
            f"How “{request.command.line}” would go to another revision cannot be read from it.",
        )
    return replace(request, command=replace(request.command, line=line))


def hold(
    opened: psycopg.Connection, address: Address, alive: Callable[[], bool], *, wait_s: float
) -> None:
    """Waits for the lock of this database, which lives as long as `opened`, and for killed runs to
    be over.

    Polled: a blocking lock would keep a snapshot open, which a concurrent index build waits for,
    for ever. The statement of a killed run may go on in the server for a moment after its lock was
    freed.
    """
    key = int.from_bytes(
        hashlib.sha256(f"release-portal:{address.database}".encode()).digest()[:8], signed=True
    )
    deadline = time.monotonic() + wait_s
    locked = False
    while True:
        locked = locked or _first(opened, "select pg_try_advisory_lock(%s)", [key])
        if locked and not _first(opened, _AT_WORK, [APPLICATION_NAME]):
            return
        if not alive():
            raise EarlyError(
                "cancelled", "The run was cancelled before it began; nothing was changed."
            )
        if time.monotonic() >= deadline:
            raise EarlyError(
                "busy", f"{address.where} is being migrated by another run. Try again later."
            )
        time.sleep(POLL_SECONDS)


def _first(opened: psycopg.Connection, statement: str, values: Sequence[object]) -> Any:
    row = opened.execute(statement, values).fetchone()
    return row[0] if row else None


def _plan(history: History, before: tuple[str, ...], request: Run) -> _Plan:
    unknown = [id for id in before if id not in history.revisions]
    if unknown:
        raise EarlyError(
            "failed",
            f"The database is at revision “{unknown[0]}”, which is in no file at"
            f" {request.commit[:10]}; take a commit that has it. {PROVE}",
        )
    applied = history.ancestors(before)
    if request.direction == "upgrade":
        target = request.target or history.effective_heads
        steps = history.between(before, target)
        return _Plan(
            history,
            before,
            steps,
            history.tips(history.ancestors(target)),
            applied | {s.id for s in steps},
        )
    if len(request.target) != 1:
        raise EarlyError("failed", "A downgrade needs exactly one revision to go back to.")
    steps = history.back(before, request.target[0])
    return _Plan(history, before, steps, request.target, applied - {step.id for step in steps})


def _kept_meaning(mirror: Mirror, history: History, request: Run) -> Meaning:
    """What the project's `env.py` means, if our own can keep it; else the run would leave
    something else behind.
    """
    meaning = read_meaning(mirror, request.commit, history)
    if meaning.refused:
        why = "; ".join(meaning.refused[:3])
        raise EarlyError(
            "failed",
            f"The portal's runner cannot do what the project's own command does here: {why}. "
            "Have the project's command run the migrations.",
        )
    table, schema = split_table(request.version_table, request.version_table_schema)
    configured = f"{schema}.{table}" if schema not in (None, "public") else table
    if meaning.configures and meaning.table != configured:
        raise EarlyError(
            "failed",
            f"The project keeps its revisions in “{meaning.table}”, and the portal was told"
            f" “{configured}”; set the database's version table to the project's.",
        )
    return meaning


def _check_ids(opened: psycopg.Connection, request: Run, plan: _Plan) -> None:
    """Refuses ids that do not fit into the version table, which PostgreSQL would do after the
    work.
    """
    width = version_width(opened, request.version_table, request.version_table_schema)
    long = [step.id for step in plan.steps if width and len(step.id) > width]
    widened = (
        any("version_num" in one for one in plan.meaning.before)
        or request.command
        or request.elsewhere
    )
    if long and not widened:
        table = identifier(request.version_table, request.version_table_schema).as_string(opened)
        raise EarlyError(
            "failed",
            f"The id {long[0]} has {len(long[0])} characters, and the version table holds {width};"
            f" widen it with `ALTER TABLE {table} ALTER COLUMN version_num TYPE varchar(255)`, or"
            " shorten the id.",
        )


def _checkout(mirror: Mirror, request: Run, plan: _Plan, into: Path) -> None:
    """The Alembic directories at the commit; revisions that are not to run keep only what Alembic
    must know.

    So nothing but what was planned is executed, and a package that old revisions import is not
    missed.
    """
    if request.command:
        (into / "home").mkdir()
        (into / "files").mkdir()
        mirror.checkout_all(request.commit, into / "files")
        for one in plan.steps:
            _same(into / "files", one)
        return
    mirror.checkout(request.commit, plan.history.readable, into)
    running = {step.id for step in plan.steps}
    for one in plan.history.revisions.values():
        if one.id not in running:
            (into / one.path).write_text(
                f"revision = {one.id!r}\ndown_revision = {one.down or None!r}\n"
                f"branch_labels = {one.labels or None!r}\ndepends_on = {one.depends_on or None!r}\n"
            )
        else:
            _same(into, one)


def _same(into: Path, revision: Revision) -> None:
    if hashlib.sha256((into / revision.path).read_bytes()).hexdigest() != revision.sha256:
        raise EarlyError("failed", f"{revision.path} is not the file that was read; try again.")


def _hear(output: Output, ended: Finished, plan: _Plan) -> None:
    """What a command printed, in the words of our own child: which revision it began, and what
    went wrong.
    """
    named = (step.id for step in plan.steps if output.file.endswith(f"/{step.path}"))
    if started := next(named, output.revision):
        ended.events.insert(0, {"start": started})
    if (ended.returncode or output.statement) and not ended.last("error"):
        code = f"the command ended with code {ended.returncode}; its log says why"
        lacks = output.complaint if not output.statement else ""
        message = lacks or output.error or ended.last("ended") or code
        told = {"message": message, "statement": output.statement, "detail": output.detail}
        ended.events.append({"error": told})


def _follow(
    opened: psycopg.Connection,
    address: Address,
    request: Run,
    plan: _Plan,
    directory: Path,
    log: Log,
    alive: Callable[[], bool],
    watch: Watch,
) -> Finished:
    deadline = time.monotonic() + request.time_limit_s

    def stop() -> str:
        if not alive():
            return "cancelled"
        if time.monotonic() >= deadline:
            return "time limit"
        try:
            opened.execute("select 1")
            if request.on_progress:
                watch.look()
        except psycopg.Error:
            return "lock lost"
        return ""

    def on_event(event: Mapping[str, object]) -> None:
        if (id := event.get("start")) in plan.history.revisions:
            watch.revision = str(id)
            log.say(f"Running {id} {plan.history.revisions[str(id)].message}".rstrip())
        elif "end" in event:
            log.say(f"Finished {event['end']} in {_seconds(event):.2f} s")

    log.say(f"{request.direction.capitalize()} of {len(plan.steps)} to {', '.join(plan.target)}")
    if request.elsewhere:
        try:
            return request.elsewhere(log, stop)
        finally:
            log.finish()
    if command := request.command:
        log.say(f"Running: {command.line}")
    door = _door(address, command, directory)
    try:
        return follow(
            (
                _ours(address, request, plan, directory, relayed=door is not None)
                if command is None
                else _command(
                    opened, address, request, plan, directory / "home", relayed=door is not None
                )
            ),
            directory=directory if command is None else directory / "files",
            variables=request.variables if command is None else {},
            door=door,
            log=log,
            on_event=on_event,
            stop=stop,
            child=request.child,
        )
    finally:
        log.finish()


def _command(
    opened: psycopg.Connection,
    address: Address,
    request: Run,
    plan: _Plan,
    home: Path,
    *,
    relayed: bool,
) -> dict[str, object]:
    """What the guard of a command is told.

    `relayed`: its statements are read on the wire, which needs the door.
    """
    assert request.command  # noqa: S101
    line = told(
        request.command,
        request.url,
        home,
        lock_timeout_ms=request.lock_timeout_ms,
        statement_timeout_ms=request.statement_timeout_ms,
        version=opened.info.server_version,
        listen=request.record,
    )
    if not relayed or request.record:  # a rehearsal has its own listener, in the command
        return line
    table, _ = split_table(request.version_table, request.version_table_schema)
    allowed = _allowed(request, plan)
    terms = wire.terms(
        address.libpq, request.command.variables, version_table=table, allowed=allowed
    )
    return {**wire.for_the_command(line, request.command.database_variable), "relay": terms}


def _ours(
    address: Address, request: Run, plan: _Plan, directory: Path, *, relayed: bool
) -> JsonObject:
    """What our own child is told.

    Where its statements are known, a connection of a revision's own is held to them too.

    What SQLAlchemy, Alembic and we send ourselves reads, or sets what holds for a session.
    """
    told = _portal(address, request, plan, directory)
    allowed = _allowed(request, plan)
    if not relayed or request.record or allowed is None:
        return told
    allowed += [READS, *map(key_of, plan.meaning.before)]
    terms = wire.terms(
        address.libpq, {}, version_table=told["version_table"], allowed=allowed, record=False
    )
    return {**told, "url": wire.for_our_own(address.sqlalchemy), "relay": terms}


def _allowed(request: Run, plan: _Plan) -> list[str] | None:
    """The keys of all that the steps may send; None where that is not known of each."""
    if not request.expected or any(step.id not in request.expected for step in plan.steps):
        return None
    return [key for step in plan.steps for key in request.expected[step.id]]


def _door(address: Address, command: Command | None, directory: Path) -> dict[str, object] | None:
    """What the run may use: its own files and the one database; a command its environment as
    well.
    """
    readable = [*files_in(address), *([command.prepared] if command and command.prepared else [])]
    size = isolation.LARGE if command else isolation.USUAL
    return isolation.door(directory, readable=readable, hosts=places_of(address), size=size)


def _portal(address: Address, request: Run, plan: _Plan, directory: Path) -> JsonObject:
    """What our own child is told over stdin."""
    table, schema = split_table(request.version_table, request.version_table_schema)
    return {
        "url": address.sqlalchemy,
        "environment": str(ENVIRONMENT),
        "directories": [str(directory / path) for path in plan.history.directories],
        "recursive": plan.history.recursive,
        "direction": request.direction,
        "target": plan.target,
        "version_table": table,
        "before": list(plan.meaning.before),
        "naming": dict(plan.meaning.naming),
        "options": dict(plan.meaning.options),
        "version_table_schema": schema,
        "lock_timeout_ms": request.lock_timeout_ms,
        "statement_timeout_ms": request.statement_timeout_ms,
        "application_name": APPLICATION_NAME,
        "record": request.record,
        "expected": dict(request.expected),
    }


def _seconds(event: Mapping[str, object]) -> float:
    seconds = event.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else 0.0


def _outcome(
    address: Address, request: Run, plan: _Plan, ended: Finished, log: Log, redact: Redactor
) -> Outcome:
    """Judges by the database: succeeded only if exactly what was wanted is in effect."""
    after = _settled(request, ended)
    if after is None:
        sentence = (
            f"{address.where} could not be read after the run. Check its revision before you "
            "continue."
        )
        return Outcome("unknown", sentence, plan.before, None, output_bytes=log.output_bytes)
    known = all(id in plan.history.revisions for id in after)
    now = plan.history.ancestors(after) if known else frozenset()
    then = plan.history.ancestors(plan.before)
    took = {event.get("end"): _seconds(event) for event in ended.events}
    moved = [step.id for step in plan.steps if (step.id in now) != (step.id in then)]
    reached = known and now == plan.wanted
    invalid = _invalid(request)
    error = ended.last("error") or {}
    started, finished = ended.last("start"), ended.last("end")
    failed = "" if reached or started in (None, finished) else str(started)
    return Outcome(
        status=(
            "succeeded"
            if reached
            else {"cancelled": "cancelled", UNKNOWN: UNKNOWN}.get(ended.stopped, "failed")
        ),
        sentence=redact(_sentence(plan, ended, after, reached, failed, error, invalid)),
        before=plan.before,
        after=after,
        applied=tuple((id, took.get(id)) for id in moved),
        failed_revision=failed,
        failed_statement=redact(str(error.get("statement", "")))[:2000] if not reached else "",
        invalid_indexes=invalid,
        output_bytes=log.output_bytes,
        recorded=tuple(ended.events) if request.record else (),
        executed=_executed(plan, ended, redact),
        kept=() if reached else tuple(redact(one) for one in _kept(ended)),
    )


def _executed(plan: _Plan, ended: Finished, redact: Redactor) -> dict[str, list[list[str]]]:
    """Each different statement that the run says it sent, by revision; bounded, for its process
    is not trusted.
    """
    found: dict[str, list[list[str]]] = {}
    for event in _attributed(plan, ended.events):
        if (
            event.get("revision") in {step.id for step in plan.steps}
            and len(str(event.get("executed"))) == KEY_LETTERS
        ):
            sent = found.setdefault(event["revision"], [])
            if len(sent) < MAX_STATEMENTS:
                sql = without_passwords(str(event.get("sql", ""))[:MAX_CHARACTERS])
                sent.append([str(event["executed"]), redact(sql)])
    return found


def _kept(ended: Finished) -> list[str]:
    """The statements of the revision that did not end which will not be rolled back. At most 50."""
    found: list[str] = []
    for event in ended.events:
        if "start" in event or "end" in event:
            found = []
        message = event.get("kept")
        found += [str(one)[:2000] for one in message] if isinstance(message, list) else []
    return found[:50]


def _settled(request: Run, ended: Finished) -> tuple[str, ...] | None:
    """The revisions once nothing of the run is at work in the server; None when that cannot be
    known.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    backend = None if request.command else ended.last("backend") or 0
    while True:
        try:
            with connection(request.url, connect_timeout=5) as opened:
                if not _at_work(opened, backend):
                    return revisions_in(opened, request.version_table, request.version_table_schema)
        except DatabaseError:
            pass
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.1)


def _at_work(opened: psycopg.Connection, backend: object) -> bool:
    """Whether a session of the run is left, which is asked to end.

    No `backend`: all of that name, under our lock.
    """
    rows = opened.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name = %s and coalesce(pid = %s,"
        " true)",
        [APPLICATION_NAME, backend if isinstance(backend, int) else None],
    ).fetchall()
    return bool(rows)


def _invalid(request: Run) -> tuple[str, ...]:
    try:
        return invalid_indexes(request.url)
    except DatabaseError:
        return ()


def _sentence(
    plan: _Plan,
    ended: Finished,
    after: tuple[str, ...],
    reached: bool,
    failed: str,
    error: Mapping[str, object],
    invalid: tuple[str, ...],
) -> str:
    where = ", ".join(after) or "no revision"
    broken = f" Invalid index: {', '.join(invalid)}; drop and rebuild it." if invalid else ""
    if reached:
        how = f" (the run was ended: {ended.stopped})" if ended.stopped else ""
        but = f" But {ended.last('ended')}." if ended.last("ended") else ""
        return f"The database is at {where}{how}.{but}{broken}"
    path = plan.history.revisions[failed].path if failed in plan.history.revisions else ""
    what = f"Revision {failed} ({path})" if path else "The run"
    if ended.stopped == "cancelled":
        return f"The run was cancelled; the database is at {where}.{broken}"
    if ended.stopped == UNKNOWN:
        message = "It is not known whether the migration still runs on Railway"
        return f"{message}; the database was at {where}.{broken} Check Railway before you continue."
    if ended.stopped == "time limit":
        return (
            f"{what} did not end within the time limit and was stopped; the database is at"
            f" {where}.{broken}"
        )
    if ended.stopped == "lock lost":
        return (
            "The lock's connection broke, so the run was stopped; the database is at"
            f" {where}.{broken}"
        )
    if module := error.get("module"):
        return (
            f"A revision imports “{module}”, which this runner has not; move what it needs into the"
            f" file, or use the project's own command. The database is at {where}."
        )
    if error:
        message = str(error.get("message", "")).strip().rstrip(".")
        reason = " ".join((cause(error) or message or str(error.get("type"))).split())
        adopted = not plan.before and _EXISTS.search(message) and not ended.stopped
        way_on = f" {ADOPT}" if adopted else ""
        return f"{what} failed: {reason}. The database is at {where}.{broken}{way_on}"
    if ended.returncode:
        return (
            f"{what} ended without a message (code {ended.returncode}); the database is at"
            f" {where}.{broken}"
        )
    wanted = ", ".join(plan.history.tips(plan.wanted)) or "no revision"
    return f"The run ended, but the database is at {where}, not at {wanted}.{broken}"


def _attributed(plan: _Plan, events: Sequence[JsonObject]) -> Iterator[JsonObject]:
    """What a run told that it sent, and what was read on the wire, where a revision ends by
    Alembic's own write.
    """
    order = [step.id for step in plan.steps]
    since: list[Mapping[str, object]] = []
    at = 0
    for event in events:
        if "sent" not in event:
            yield event
        elif event["sent"]:
            since.append({"executed": event["sent"], "sql": event["sql"]})
        elif order[
            at:
        ]:  # a merge writes more than once; a name that is not told is the next in order
            named = version_in(str(event["sql"]))
            at = order.index(named) if named in order else at
            yield from ({**one, "revision": order[at]} for one in since)
            since, at = [], at + 1
    yield from ({**one, "revision": order[min(at, len(order) - 1)]} for one in since if order)
