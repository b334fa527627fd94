"""What migrations will do, as SQL, rendered offline by Alembic in a subprocess without credentials.

Nothing is connected to. A revision that needs a database to say what it does is shown as far as it
came, with the line and the reason.
"""

import hashlib
import json
import re
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from environments.git.repository import Mirror
from environments.schema.history.env_file import read_meaning
from environments.schema.history.reader import History, Revision
from environments.schema.run.alembic_env.statements import split
from environments.schema.run.command import Command, told
from environments.schema.run.output import Output
from environments.schema.run.process import Finished, Log, Redactor, follow, limit
from portal import isolation
from portal.outbound.parsing import JsonObject

TIME_LIMIT_S = 30.0
COMMAND_LIMIT_S = 120.0  # a project's own packages take longer to load
NO_DATABASE = "postgresql://nobody@127.0.0.1:9/none"
UPGRADE, DOWNGRADE = "upgrade", "downgrade"
_PASSWORD = re.compile(r"(\bpassword\s+[eE]?)'(?:[^']|'')*'", re.I)
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@']*:)[^\s@/']+@", re.I)


@dataclass(frozen=True)
class Statement:
    """One statement, without passwords; within an autocommit block not `in_transaction`."""

    sql: str
    in_transaction: bool = True


@dataclass(frozen=True)
class Rendered:
    """One direction of a revision.

    `kind`: "" when it was rendered to its end, else connection (needs a database), module (an
    import is not there), missing (no such function), raised, unread (not executed) or time;
    `problem` says where and why.
    """

    statements: tuple[Statement, ...] = ()
    kind: str = ""
    problem: str = ""

    @property
    def text(self) -> str:
        """All of it as one script."""
        return "\n\n".join(f"{statement.sql};" for statement in self.statements)


@dataclass(frozen=True)
class Step:
    """One revision file (`sha256` of its bytes) and what it does in both directions."""

    revision: str
    path: str
    sha256: str
    message: str
    is_merge: bool = False
    upgrade: Rendered = field(default_factory=Rendered)
    downgrade: Rendered = field(default_factory=Rendered)


@dataclass(frozen=True)
class Plan:
    """The steps of an upgrade, in order."""

    steps: tuple[Step, ...]

    @property
    def digest(self) -> str:
        """Hex SHA-256 over files and SQL: two plans with one digest do the same."""
        return digest_of(self.steps)


def digest_of(steps: Sequence[Step]) -> str:
    """Return the hex SHA-256 over the files and the SQL of these steps, in their order."""
    return hashlib.sha256(json.dumps(steps_as_json(steps), sort_keys=True).encode()).hexdigest()


def renderer() -> str:
    """Return what makes the SQL: another version may write the same revision in other words."""
    return f"Alembic {version('alembic')}, SQLAlchemy {version('sqlalchemy')}"


def make_plan(
    mirror: Mirror,
    commit: str,
    history: History,
    revisions: Sequence[Revision],
    *,
    time_limit_s: float = TIME_LIMIT_S,
    patient: bool = False,
    reviewed: bool = True,
    command: Command | None = None,
) -> Plan:
    """Render `revisions` of `history` (that of `commit`), in their order.

    The files are checked out as for a run, and executed by a child that has no variables and no
    address; with the project's own `command`, in its environment, as far as Alembic is reached.
    What nobody has `reviewed` is executed only where that can be isolated; elsewhere its literal
    calls are read. Raise `GitError`, and, where `patient`, `BrokenOff` when the child was killed,
    as a machine in trouble does: that says nothing of the files.
    """
    steps = [
        Step(revision.id, revision.path, revision.sha256, revision.message, len(revision.down) > 1)
        for revision in revisions
    ]
    if not steps:
        return Plan(())
    naming = read_meaning(mirror, commit, history).naming  # as a run gives it to Alembic
    with tempfile.TemporaryDirectory(prefix="portal-plan-") as directory:
        root = Path(directory)
        if command:
            (root / "files").mkdir()
            mirror.checkout_all(commit, root / "files")
            return _plan(steps, *_render_by_command(steps, root, command, naming), patient=patient)
        mirror.checkout(commit, history.readable, root)
        literal = not reviewed and bool(isolation.why_not())
        ended = _render(steps, root, time_limit_s, naming, literal=literal)
    silent = f"It was not rendered within {time_limit_s:.0f} s." if ended.stopped else _NO_END
    return _plan(steps, ended, silent, patient=patient)


def _plan(steps: Sequence[Step], ended: Finished, silent: str, *, patient: bool) -> Plan:
    """Return what the child told; `silent` is said of a revision of which it told nothing."""
    if patient and not ended.stopped and ended.returncode in _KILLED:
        raise BrokenOff("Rendering the migrations was killed.")
    answers = {(event.get("rendered"), event.get("direction")): event for event in ended.events}

    def way(step: Step, direction: str) -> Rendered:
        event = answers.get((step.revision, direction))
        return _rendered(event) if event else Rendered((), "time", silent)

    both = (
        replace(step, upgrade=way(step, UPGRADE), downgrade=way(step, DOWNGRADE)) for step in steps
    )
    return Plan(tuple(both))


def _render_by_command(
    steps: Sequence[Step], root: Path, command: Command, naming: Mapping[str, str]
) -> tuple[Finished, str]:
    """Run the project's command up to Alembic; return how it ended, and why it told nothing."""
    (root / "home").mkdir()
    request_file = root / "home" / "render.json"
    request_file.write_text(json.dumps(_asked(steps, root / "files", naming)))
    request = told(
        command,
        NO_DATABASE,
        root / "home",
        lock_timeout_ms=0,
        statement_timeout_ms=0,
        version=0,
        listen=True,
    )
    request["environ"]["PORTAL_RENDER"] = str(request_file)
    output, readable = Output(), [command.prepared] if command.prepared else []
    log = Log(output.read, Redactor(command.variables.values()))
    ended = follow(
        request,
        directory=root / "files",
        door=isolation.door(root, readable=readable, size=isolation.LARGE),
        log=log,
        stop=limit(COMMAND_LIMIT_S),
    )
    log.finish()
    return ended, _silent(command, ended, output)


def _silent(command: Command, ended: Finished, output: Output) -> str:
    """Why the project's command told nothing of a revision."""
    if ended.stopped:
        return (
            f"“{command.line}” was not ready within {COMMAND_LIMIT_S:.0f} s; only a run can show"
            " what it does."
        )
    reason = output.complaint or output.error.rstrip(".")
    why = f": {reason}" if reason else f" (code {ended.returncode})"
    return f"“{command.line}” ended before Alembic began{why}."


# The child itself, or its worker, of which it tells as a shell does.
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
_NO_END = "It ended the process in which it was rendered; only a run can show what it does."


class BrokenOff(Exception):
    """The child that renders was killed before it had said everything."""


def _asked(
    steps: Sequence[Step], files: Path, naming: Mapping[str, str]
) -> list[dict[str, object]]:
    """Return what the child renders: each file, with the project's names for constraints."""
    return [
        {"id": step.revision, "file": str(files / step.path), "naming": dict(naming)}
        for step in steps
    ]


def _render(
    steps: Sequence[Step],
    root: Path,
    time_limit_s: float,
    naming: Mapping[str, str],
    *,
    literal: bool,
) -> Finished:
    return follow(
        {"render": _asked(steps, root, naming), "literal": literal},
        directory=root,
        door=isolation.door(root, writes=False, size=isolation.SMALL),
        log=Log(lambda lines: None, Redactor([])),
        stop=limit(time_limit_s),
    )


def _rendered(event: JsonObject) -> Rendered:
    statements = tuple(
        Statement(without_passwords(sql), bool(inside))
        for sent, inside in event.get("statements", ())
        for sql in split(str(sent))
    )
    problem = event.get("problem")
    if not problem:
        return Rendered(statements)
    line, source, message = problem.get("line"), problem.get("source"), problem.get("message")
    where = f"Line {line} (`{source}`): " if line else ""
    sentence = without_passwords(f"{where}{message}.")
    return Rendered(statements, str(problem.get("kind")), sentence[:1].upper() + sentence[1:])


def without_passwords(sql: str) -> str:
    """Return `sql` with the passwords of roles and addresses replaced."""
    return _URL.sub(r"\1•••@", _PASSWORD.sub(r"\1'•••'", sql))


def steps_as_json(steps: Sequence[Step]) -> list[dict[str, object]]:
    """Return plain values, fit to be stored; `steps_from_json` reads them."""
    return [asdict(step) for step in steps]


def steps_from_json(stored: Sequence[JsonObject]) -> tuple[Step, ...]:
    """Return the steps that `steps_as_json` wrote."""
    ways = (UPGRADE, DOWNGRADE)
    return tuple(
        Step(**step | {way: rendered_from_json(step[way]) for way in ways}) for step in stored
    )


def rendered_from_json(stored: JsonObject) -> Rendered:
    """Return one direction of a step, as it was stored."""
    statements = tuple(Statement(**statement) for statement in stored["statements"])
    return Rendered(statements, stored["kind"], stored["problem"])
