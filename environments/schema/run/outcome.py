"""Decides from the database whether a run succeeded, and says so in one sentence."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence

import psycopg

from environments.schema.plan.render import without_passwords
from environments.schema.run.address import Address, DatabaseError
from environments.schema.run.alembic_env.statements import (
    MAX_CHARACTERS,
    MAX_STATEMENTS,
    version_in,
)
from environments.schema.run.causes import cause
from environments.schema.run.command import APPLICATION_NAME
from environments.schema.run.database import connection, invalid_indexes, revisions_in
from environments.schema.run.process import Finished, Log, Redactor
from environments.schema.run.request import Outcome, Plan, Run, whole_seconds
from portal.outbound.parsing import JsonObject

SETTLE_SECONDS = 60.0  # a server that restarts answers again within
UNKNOWN = "unknown"
KEY_LETTERS = 32
_EXISTS = re.compile(r'(?:relation|type|schema|table) "?[^"]+"? already exists')
# What PostgreSQL says as it goes down: by an administrator's word, after a crash, coming up again.
GOING_DOWN = frozenset({"57P01", "57P02", "57P03"})
ADOPT = (
    "It has tables and no revision: if these migrations made them, have it proven on the page"
    " Migrations which revision the schema is, and stamped."
)


def outcome_of(
    address: Address, request: Run, plan: Plan, ended: Finished, log: Log, redact: Redactor
) -> Outcome:
    """Judge by the database: succeeded only if exactly what was wanted is in effect."""
    after = _settled(request, ended)
    if after is None:
        sentence = f"{address.where} could not be read after the run."
        sentence += " Check its revision before you continue."
        return Outcome(UNKNOWN, sentence, plan.before, None, output_bytes=log.output_bytes)
    known = all(id in plan.history.revisions for id in after)
    now = plan.history.ancestors(after) if known else frozenset()
    then = plan.history.ancestors(plan.before)
    took = {event.get("end"): whole_seconds(event) for event in ended.events}
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
        kept=() if reached else tuple(redact(line) for line in _kept(ended)),
        repeatable=not reached and _may_be_repeated(request, ended, invalid),
    )


def _executed(plan: Plan, ended: Finished, redact: Redactor) -> dict[str, list[list[str]]]:
    """Return each different statement by revision; bounded, as its process is not trusted."""
    by_revision: dict[str, list[list[str]]] = {}
    ids = {step.id for step in plan.steps}
    for event in _attributed(plan, ended.events):
        key = str(event.get("executed"))
        if event.get("revision") in ids and len(key) == KEY_LETTERS:
            sent = by_revision.setdefault(event["revision"], [])
            if len(sent) < MAX_STATEMENTS:
                sql = without_passwords(str(event.get("sql", ""))[:MAX_CHARACTERS])
                sent.append([key, redact(sql)])
    return by_revision


def _kept(ended: Finished) -> list[str]:
    """Return what the unfinished revision leaves for good: at most 50 statements."""
    statements: list[str] = []
    for event in ended.events:
        if "start" in event or "end" in event:
            statements = []
        message = event.get("kept")
        statements += (
            [str(statement)[:2000] for statement in message] if isinstance(message, list) else []
        )
    return statements[:50]


def _settled(request: Run, ended: Finished) -> tuple[str, ...] | None:
    """Return the revisions once nothing of the run is at work; None where nobody knows."""
    deadline = time.monotonic() + SETTLE_SECONDS
    backend = None if request.command else ended.last("backend") or 0
    while True:
        try:
            with connection(request.url, connect_timeout=5) as opened:
                if not _at_work(opened, backend):
                    return revisions_in(opened, request.version_table)
        except DatabaseError:
            pass
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.1)


def _at_work(opened: psycopg.Connection, backend: object) -> bool:
    """Return whether a session of the run is left, which is asked to end.

    No `backend`: all of that name, under our lock.
    """
    ended = opened.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        " and application_name = %s and coalesce(pid = %s, true)",
        [APPLICATION_NAME, backend if isinstance(backend, int) else None],
    )
    return bool(ended.fetchall())


def _invalid(request: Run) -> tuple[str, ...]:
    try:
        return invalid_indexes(request.url)
    except DatabaseError:
        return ()


def _sentence(
    plan: Plan,
    ended: Finished,
    after: tuple[str, ...],
    reached: bool,
    failed: str,
    error: Mapping[str, object],
    invalid: tuple[str, ...],
) -> str:
    where = ", ".join(after) or "no revision"
    broken = f" Invalid index: {', '.join(invalid)}; drop and rebuild it." if invalid else ""
    at = f"the database is at {where}"
    if reached:
        how = f" (the run was ended: {ended.stopped})" if ended.stopped else ""
        but = f" But {ended.last('ended')}." if ended.last("ended") else ""
        return f"The database is at {where}{how}.{but}{broken}"
    path = plan.history.revisions[failed].path if failed in plan.history.revisions else ""
    what = f"Revision {failed} ({path})" if path else "The run"
    if ended.stopped == UNKNOWN:
        message = "It is not known whether the migration still runs on Railway"
        return f"{message}; the database was at {where}.{broken} Check Railway before you continue."
    stops = {
        "cancelled": "The run was cancelled",
        "time limit": f"{what} did not end within the time limit and was stopped",
        "lock lost": "The lock's connection broke, so the run was stopped",
    }
    if ended.stopped in stops:
        return f"{stops[ended.stopped]}; {at}.{broken}"
    if error:
        return _of_error(plan, ended, error, what, where, broken)
    if ended.returncode:
        return f"{what} ended without a message (code {ended.returncode}); {at}.{broken}"
    wanted = ", ".join(plan.history.tips(plan.wanted)) or "no revision"
    return f"The run ended, but {at}, not at {wanted}.{broken}"


def _of_error(
    plan: Plan, ended: Finished, error: Mapping[str, object], what: str, where: str, broken: str
) -> str:
    """Return the sentence on what a revision, or the command, raised."""
    if module := error.get("module"):
        return (
            f"A revision imports “{module}”, which this runner has not; move what it needs into the"
            f" file, or use the project's own command. The database is at {where}."
        )
    message = str(error.get("message", "")).strip().rstrip(".")
    reason = " ".join((cause(error) or message or str(error.get("type"))).split())
    adopted = not plan.before and _EXISTS.search(message) and not ended.stopped
    way_on = f" {ADOPT}" if adopted else ""
    return f"{what} failed: {reason}. The database is at {where}.{broken}{way_on}"


def _attributed(plan: Plan, events: Sequence[JsonObject]) -> Iterator[JsonObject]:
    """Yield what was told and what the wire showed, where Alembic's write ends a revision."""
    order = [step.id for step in plan.steps]
    since: list[Mapping[str, object]] = []
    at = 0
    for event in events:
        if "sent" not in event:
            yield event
        elif event["sent"]:
            since.append({"executed": event["sent"], "sql": event["sql"]})
        elif order[at:]:  # a merge writes more than once; what is not named is the next in order
            named = version_in(str(event["sql"]))
            at = order.index(named) if named in order else at
            yield from ({**statement, "revision": order[at]} for statement in since)
            since, at = [], at + 1
    yield from (
        {**statement, "revision": order[min(at, len(order) - 1)]} for statement in since if order
    )


def _may_be_repeated(request: Run, ended: Finished, invalid: tuple[str, ...]) -> bool:
    """Return whether the run may be repeated without a person, since its database went away.

    Only where the whole of the revision that was cut off was rolled back, and where nobody ended
    its session on purpose: who terminates a migration in their way does not want it again. Of a
    project's own command, and of Railway, nobody heard what they sent outside a transaction.
    """
    if request.command or request.elsewhere or invalid or _left_something(ended):
        return False
    if ended.stopped == "lock lost":
        return _restarted(request, ended)
    error = ended.last("error") or {}
    code = str(error.get("sqlstate") or "")
    dropped = not code and error.get("type") == "OperationalError"  # the line ended without a word
    return not ended.stopped and (dropped or (code in GOING_DOWN and _restarted(request, ended)))


def _left_something(ended: Finished) -> bool:
    """Return whether the last revision sent something outside a transaction, or committed."""
    since: list[Mapping[str, object]] = []
    for event in ended.events:
        since = [] if "start" in event else [*since, event]
    return any("kept" in event or "alone" in event for event in since)


def _restarted(request: Run, ended: Finished) -> bool:
    """Return whether the server was started after the run began, by the server's own clock."""
    query = "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())"
    try:
        with connection(request.url, connect_timeout=5) as opened:
            row = opened.execute(query).fetchone()
    except DatabaseError:
        return False
    return row is not None and float(row[0]) < time.monotonic() - ended.began
