"""Upgrades or downgrades one database to a revision, once, and reports the revision it ends at.

Under a polled lock, one subprocess runs Alembic over a checkout of exactly the commit, with our
environment and none of the project's packages; or the project's own command over all of its files.
Success is what is read from the database afterwards; how the subprocess ended only explains.
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg

from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.schema.history.env_file import read_meaning
from environments.schema.history.env_meaning import Meaning
from environments.schema.history.reader import History, HistoryError, Revision, read
from environments.schema.history.status import PROVE
from environments.schema.plan.render import without_passwords
from environments.schema.run.address import Address, DatabaseError, normalise
from environments.schema.run.command import redirected
from environments.schema.run.database import (
    connection,
    identifier,
    refusal,
    revisions_in,
    split_table,
    version_width,
)
from environments.schema.run.lock import hold
from environments.schema.run.outcome import outcome_of
from environments.schema.run.output import Output
from environments.schema.run.process import Finished, Log, Redactor
from environments.schema.run.progress import Watch
from environments.schema.run.request import EarlyError, Outcome, Plan, Run
from environments.schema.run.start import follow_run
from portal.redaction import unmistakable


def run(
    mirror: Mirror,
    request: Run,
    *,
    on_lines: Callable[[list[str]], None],
    alive: Callable[[], bool],
) -> Outcome:
    """Do `request`, and return what it came to.

    `on_lines` gets the log, `alive` is asked twice a second: False cancels. Raise only what these
    raise, after having ended the subprocess.
    """
    before: tuple[str, ...] | None = None
    try:
        address = normalise(request.url)
        history = read(mirror, request.commit, request.alembic)
        if history.problems:
            raise EarlyError("failed", history.problems[0].sentence)
        request = _redirected(request, history)
        with connection(request.url) as opened:
            hold(opened, address, alive, wait_s=request.lock_wait_s)
            before = revisions_in(opened, request.version_table)
            plan = _plan(history, before, request)
            if not plan.steps:
                message = "The database is already at this revision. Nothing to run."
                return Outcome("succeeded", message, before, before)
            plan = _checked(mirror, opened, address, request, plan)
            return _run_steps(mirror, opened, address, request, plan, on_lines, alive)
    except EarlyError as early:
        return Outcome(early.status, str(early), before, before)
    except (DatabaseError, GitError, HistoryError) as error:
        return Outcome("failed", str(error), before, before)


def _checked(
    mirror: Mirror, opened: psycopg.Connection, address: Address, request: Run, plan: Plan
) -> Plan:
    """Return the plan with what `env.py` means; raise `EarlyError` where it cannot end well."""
    if not (request.command or request.elsewhere):
        plan = replace(plan, meaning=_kept_meaning(mirror, plan.history, request))
    _check_ids(opened, request, plan)
    if refused := refusal(opened, address, request.version_table):
        raise EarlyError("failed", refused)
    return plan


def _run_steps(
    mirror: Mirror,
    opened: psycopg.Connection,
    address: Address,
    request: Run,
    plan: Plan,
    on_lines: Callable[[list[str]], None],
    alive: Callable[[], bool],
) -> Outcome:
    """Run the steps in a directory of their own, and read the database, still under the lock."""
    redact = Redactor([address.password, *request.secrets, *unmistakable()])
    output = Output()

    def heard(lines: list[str]) -> None:
        output.read(lines)
        on_lines(lines)

    log = Log(heard, redact)
    tell = request.on_progress or (lambda progress: None)
    watch = Watch(opened, tell, output, redact=lambda sql: without_passwords(redact(sql)))
    with tempfile.TemporaryDirectory(prefix="portal-migration-", dir=request.workspace) as name:
        directory = Path(name)
        if request.elsewhere is None:
            _checkout(mirror, request, plan, directory)
        ended = follow_run(opened, address, request, plan, directory, log, alive, watch)
        if request.command or request.elsewhere:
            _hear(output, ended, plan)
    return outcome_of(address, request, plan, ended, log, redact)


def _redirected(request: Run, history: History) -> Run:
    """Return the request with its command turned to a target other than the heads."""
    heads = (set[str](), set(history.heads), set(history.effective_heads))
    if request.direction == "upgrade" and (set(request.target) in heads or not request.record):
        return request
    if request.elsewhere:
        why = "On Railway only upgrades are run; go back with the portal's runner."
        raise EarlyError("failed", why)
    if request.command is None:
        return request
    line, turned = request.command.line, ""
    if len(request.target) == 1:
        turned = redirected(line, request.direction, request.target[0])
    if not turned:
        why = f"How “{line}” would go to another revision cannot be read from it."
        raise EarlyError("failed", why)
    return replace(request, command=replace(request.command, line=turned))


def _plan(history: History, before: tuple[str, ...], request: Run) -> Plan:
    unknown = [id for id in before if id not in history.revisions]
    if unknown:
        at = f"The database is at revision “{unknown[0]}”, which is in no file at"
        why = f"{at} {request.commit[:10]}; take a commit that has it. {PROVE}"
        raise EarlyError("failed", why)
    applied = history.ancestors(before)
    if request.direction == "upgrade":
        target = request.target or history.effective_heads
        steps, tips = history.between(before, target), history.tips(history.ancestors(target))
        return Plan(history, before, steps, tips, applied | {step.id for step in steps})
    if len(request.target) != 1:
        raise EarlyError("failed", "A downgrade needs exactly one revision to go back to.")
    steps = history.back(before, request.target[0])
    return Plan(history, before, steps, request.target, applied - {step.id for step in steps})


def _kept_meaning(mirror: Mirror, history: History, request: Run) -> Meaning:
    """Return what `env.py` means; refuse where ours would leave something else behind."""
    meaning = read_meaning(mirror, request.commit, history)
    if meaning.refused:
        raise EarlyError(
            "failed",
            "The portal's runner cannot do what the project's own command does here:"
            f" {'; '.join(meaning.refused[:3])}. Have the project's command run the migrations.",
        )
    table, schema = split_table(request.version_table)
    configured = f"{schema}.{table}" if schema not in (None, "public") else table
    if meaning.configures and meaning.table != configured:
        raise EarlyError(
            "failed",
            f"The project keeps its revisions in “{meaning.table}”, and the portal was told"
            f" “{configured}”; set the database's version table to the project's.",
        )
    return meaning


def _check_ids(opened: psycopg.Connection, request: Run, plan: Plan) -> None:
    """Refuse ids longer than the version table takes: PostgreSQL would, after the work."""
    width = version_width(opened, request.version_table)
    long = [step.id for step in plan.steps if width and len(step.id) > width]
    widened = any("version_num" in statement for statement in plan.meaning.before)
    if long and not (widened or request.command or request.elsewhere):
        table = identifier(request.version_table).as_string(opened)
        raise EarlyError(
            "failed",
            f"The id {long[0]} has {len(long[0])} characters, and the version table holds {width};"
            f" widen it with `ALTER TABLE {table} ALTER COLUMN version_num TYPE varchar(255)`, or"
            " shorten the id.",
        )


def _checkout(mirror: Mirror, request: Run, plan: Plan, into: Path) -> None:
    """Provide the files; revisions that are not to run keep only what Alembic must know.

    So nothing but what was planned is executed, and a package that old ones import is not missed.
    """
    if request.command:
        (into / "home").mkdir()
        (into / "files").mkdir()
        mirror.checkout_all(request.commit, into / "files")
        for revision in plan.steps:
            _same(into / "files", revision)
        return
    mirror.checkout(request.commit, plan.history.readable, into)
    running = {step.id for step in plan.steps}
    for revision in plan.history.revisions.values():
        if revision.id in running:
            _same(into, revision)
        else:
            (into / revision.path).write_text(
                f"revision = {revision.id!r}\ndown_revision = {revision.down or None!r}\n"
                f"branch_labels = {revision.labels or None!r}\n"
                f"depends_on = {revision.depends_on or None!r}\n"
            )


def _same(into: Path, revision: Revision) -> None:
    if hashlib.sha256((into / revision.path).read_bytes()).hexdigest() != revision.sha256:
        raise EarlyError("failed", f"{revision.path} is not the file that was read; try again.")


def _hear(output: Output, ended: Finished, plan: Plan) -> None:
    """Add what a command printed as events: which revision it began, what went wrong."""
    named = (step.id for step in plan.steps if output.file.endswith(f"/{step.path}"))
    if started := next(named, output.revision):
        ended.events.insert(0, {"start": started})
    if (ended.returncode or output.statement) and not ended.last("error"):
        lacks = output.complaint if not output.statement else ""
        message = lacks or output.error or ended.last("ended")
        message = message or f"the command ended with code {ended.returncode}; its log says why"
        event = {"message": message, "statement": output.statement, "detail": output.detail}
        ended.events.append({"error": event})
