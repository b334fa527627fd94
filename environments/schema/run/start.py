"""Starts the process of a run: our own Alembic or the project's command, and only what it needs."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg

from environments.schema.run import wire
from environments.schema.run.address import Address, files_in, places_of
from environments.schema.run.alembic_env.statements import READS, key_of
from environments.schema.run.command import APPLICATION_NAME, Command, told
from environments.schema.run.database import NOTICES_A_LOST_HOST, split_table
from environments.schema.run.process import Finished, Log, follow
from environments.schema.run.progress import Watch
from environments.schema.run.request import Plan, Run, whole_seconds
from portal import isolation
from portal.isolation.confine import Door
from portal.outbound.parsing import JsonObject

ENVIRONMENT = Path(__file__).parent / "alembic_env"


def follow_run(
    opened: psycopg.Connection,
    address: Address,
    request: Run,
    plan: Plan,
    directory: Path,
    log: Log,
    alive: Callable[[], bool],
    watch: Watch,
) -> Finished:
    log.say(f"{request.direction.capitalize()} of {len(plan.steps)} to {', '.join(plan.target)}")
    stop = _stop(opened, request, alive, watch)
    try:
        if request.elsewhere:
            return request.elsewhere(log, stop)
        command = request.command
        if command:
            log.say(f"Running: {command.line}")
        door = _door(address, command, directory)
        relayed = door is not None
        return follow(
            _command(opened, address, request, plan, directory / "home", relayed=relayed)
            if command
            else _ours(address, request, plan, directory, relayed=relayed),
            directory=directory / "files" if command else directory,
            variables={} if command else request.variables,
            door=door,
            log=log,
            on_event=_on_event(plan, log, watch),
            stop=stop,
            child=request.child,
        )
    finally:
        log.finish()


def _stop(
    opened: psycopg.Connection, request: Run, alive: Callable[[], bool], watch: Watch
) -> Callable[[], str]:
    """Return what is asked while the run lasts: why it has to be ended, "" while it may go on."""
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

    return stop


def _on_event(plan: Plan, log: Log, watch: Watch) -> Callable[[Mapping[str, object]], None]:
    """Return what is told each event of the child: logs where a revision begins and ends."""

    def on_event(event: Mapping[str, object]) -> None:
        if (id := event.get("start")) in plan.history.revisions:
            watch.revision = str(id)
            log.say(f"Running {id} {plan.history.revisions[str(id)].message}".rstrip())
        elif "end" in event:
            log.say(f"Finished {event['end']} in {whole_seconds(event):.2f} s")

    return on_event


def _command(
    opened: psycopg.Connection,
    address: Address,
    request: Run,
    plan: Plan,
    home: Path,
    *,
    relayed: bool,
) -> dict[str, object]:
    """Return what the guard of a command is told.

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
    table, _ = split_table(request.version_table)
    allowed = _allowed(request, plan)
    terms = wire.terms(
        address.libpq, request.command.variables, version_table=table, allowed=allowed
    )
    return {**wire.for_the_command(line, request.command.database_variable), "relay": terms}


def _ours(
    address: Address, request: Run, plan: Plan, directory: Path, *, relayed: bool
) -> JsonObject:
    """Return what our own child is told.

    Where its statements are known, a connection of a revision's own is held to them too. What
    SQLAlchemy, Alembic and we send ourselves only reads, or sets what holds for a session.
    """
    own = _portal(address, request, plan, directory)
    allowed = _allowed(request, plan)
    if not relayed or request.record or allowed is None:
        return own
    allowed += [READS, *map(key_of, plan.meaning.before)]
    terms = wire.terms(
        address.libpq, {}, version_table=own["version_table"], allowed=allowed, record=False
    )
    return {**own, "url": wire.for_our_own(address.sqlalchemy), "relay": terms}


def _allowed(request: Run, plan: Plan) -> list[str] | None:
    """Return the keys of all that the steps may send; None where that is not known of each."""
    if not request.expected or any(step.id not in request.expected for step in plan.steps):
        return None
    return [key for step in plan.steps for key in request.expected[step.id]]


def _door(address: Address, command: Command | None, directory: Path) -> Door | None:
    """Return what the run may use: its files, the database, a command's environment."""
    readable = [*files_in(address), *([command.prepared] if command and command.prepared else [])]
    size = isolation.LARGE if command else isolation.USUAL
    return isolation.door(directory, readable=readable, hosts=places_of(address), size=size)


def _portal(address: Address, request: Run, plan: Plan, directory: Path) -> JsonObject:
    """Return what our own child is told."""
    table, schema = split_table(request.version_table)
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
        "notices_a_lost_host": NOTICES_A_LOST_HOST,
        "application_name": APPLICATION_NAME,
        "record": request.record,
        "expected": dict(request.expected),
    }
