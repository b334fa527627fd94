"""Renders revisions as SQL without a database: called by `child.py`, which says which files.

A revision gets Alembic's offline mode and a connection that can only be written to: what is sent is
noted, and whoever reads an answer is named with file line and statement.
"""

import contextlib
import importlib.util
import io
import json
import linecache
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, NoReturn

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.util import CommandError
from sqlalchemy import MetaData, exc, text
from sqlalchemy import __version__ as sqlalchemy_version
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.sql.elements import TextClause

try:
    from sqlalchemy.schema import ExecutableDDLElement
except ImportError:  # SQLAlchemy 1.4, in the environment of a project
    from sqlalchemy.schema import DDLElement as ExecutableDDLElement

MAX_CHARACTERS = 200_000
MAX_TOLD = 40 * MAX_CHARACTERS  # bytes, of one file
_MISSING = {"kind": "missing", "message": "the function is not there", "line": 0, "source": ""}
_KINDS = {"ImportError": "module", "ModuleNotFoundError": "module", "NotLiteral": "unread"}


class NeedsDatabase(AttributeError):
    """The revision asks something that only a database can answer."""


class Answer:
    """What an executed statement gives back: nothing that could be read."""

    def __init__(self, statement: str) -> None:
        self.__dict__["statement"] = " ".join(statement.split())[:200]

    def _read(self, *_: object) -> NoReturn:
        raise NeedsDatabase(f"it reads the answer of “{self.__dict__['statement']}”")

    __getattr__ = __iter__ = __len__ = __bool__ = __getitem__ = _read


class Connection(MockConnection):
    """What Alembic offers a revision offline, with values written out and no answers."""

    def __init__(self, dialect: Any, keep: Callable[[str], None]) -> None:
        super().__init__(dialect, self.execute)
        self._keep = keep

    def execute(self, statement: object, parameters: object = None, **_: object) -> Answer:  # type: ignore[override]
        last = ""
        for values in parameters if isinstance(parameters, list | tuple) else [parameters]:
            last = self._literal(statement, values)
            self._keep(last)
        return Answer(last)

    def scalar(self, statement: object, parameters: object = None, **_: object) -> NoReturn:
        self.execute(statement, parameters)._read()

    scalars = scalar

    def exec_driver_sql(self, statement: str, parameters: object = None, **_: object) -> Answer:
        if parameters:
            raise NeedsDatabase(f"it sends values with “{statement[:200]}”")
        self._keep(statement)
        return Answer(statement)

    def _literal(self, statement: Any, values: Any) -> str:
        if isinstance(statement, str):
            if not sqlalchemy_version.startswith("1."):
                raise exc.ObjectNotExecutableError(statement)
            statement = text(statement)
        if values and isinstance(statement, TextClause):
            statement = statement.bindparams(**values)
        elif values:
            statement = statement.values(values) if statement.is_dml else statement.params(values)
        _check_values(statement)
        options = {} if isinstance(statement, ExecutableDDLElement) else {"literal_binds": True}
        try:
            return str(statement.compile(dialect=self.dialect, compile_kwargs=options))
        except exc.CompileError:
            return str(statement.compile(dialect=self.dialect))  # with its placeholders

    def __getattr__(self, name: str) -> NoReturn:
        raise NeedsDatabase(f"it uses `{name}` of its connection")


class NoValue(Exception):
    """A text has a parameter to which nothing is bound: a colon that was meant as one."""


def _check_values(statement: object) -> None:
    """Raise `NoValue`, as a run would fail; the text alone does not show it."""
    statement = text(statement) if isinstance(statement, str) else statement
    bound = getattr(statement, "_bindparams", {}) if isinstance(statement, TextClause) else {}
    if names := [name for name, parameter in bound.items() if parameter.required]:
        message = f"“:{names[0]}” is a parameter of the statement, and no value is bound to it"
        raise NoValue(f"{message}; write “\\:{names[0]}” where a colon is meant")


def _checked(execute: Callable[..., object]) -> Callable[..., object]:
    def check(construct: object, *values: object, **options: object) -> object:
        _check_values(construct)
        return execute(construct, *values, **options)

    return check


def render(run: dict[str, Any]) -> None:
    """Emit one event per revision and direction: its statements, and what stopped it, if anything.

    Each file has a process of its own, which can only speak for itself. `run["nest"]` shuts it off
    from ours.
    """
    for item in run["render"]:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.close(run["events"])
            run["nest"]()
            try:
                _alone(item, writing, run.get("load", _load))
            finally:
                os._exit(1)  # whatever happened: what comes after this is not for this process
        os.close(writing)
        with open(reading, "rb") as answers:
            lines = answers.read(MAX_TOLD).splitlines()[:2]
        for line in lines:
            _tell(run, item["id"], line)
        if os.waitpid(child, 0)[1] == signal.SIGKILL:  # as a machine in trouble does
            os.kill(os.getpid(), signal.SIGKILL)


def _tell(run: dict[str, Any], id: str, line: bytes) -> None:
    """Pass on what a file said of itself, if it has the form that `_alone` gives it."""
    with contextlib.suppress(ValueError, TypeError):
        way, statements, problem = json.loads(line)
        answer = {"direction": way, "statements": statements, "problem": problem}
        run["emit"]({"rendered": id} | answer)


def _alone(item: Mapping[str, Any], writing: int, load: Callable[[str], Any]) -> None:
    """Execute one file and say what both directions do, as lines of JSON."""
    path, naming, problem = item["file"], item.get("naming") or {}, None
    with open(writing, "wb", buffering=0) as file:
        try:
            module = load(path)
        except BaseException as error:  # noqa: BLE001 - whatever a script raises is its own
            problem = _problem(error, path)
        for way in ("upgrade", "downgrade"):
            output = ([], problem) if problem else _one(getattr(module, way, None), path, naming)
            sys.stdout.flush()
            file.write(json.dumps([way, *output]).encode() + b"\n")


def _load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("revision", path)
    if spec is None or spec.loader is None:
        raise ImportError("it cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _one(
    function: Any, path: str, naming: Mapping[str, str]
) -> tuple[list[tuple[str, bool]], dict[str, object] | None]:
    statements: list[tuple[str, bool]] = []
    if function is None:
        return statements, _MISSING
    inside, size = True, 0

    def keep(sent: str) -> None:
        nonlocal size
        sent = sent.strip().removesuffix(";").strip()
        size += len(sent)
        if size > MAX_CHARACTERS:
            raise NeedsDatabase(f"it makes more than {MAX_CHARACTERS:,} characters of SQL")
        statements.append((sent, inside))

    def within(transaction: bool) -> None:
        nonlocal inside
        inside = transaction

    try:
        with EnvironmentContext(Config(), None, as_sql=True) as environment:  # type: ignore[arg-type]
            environment.configure(
                dialect_name="postgresql",
                dialect_opts={"paramstyle": "named"},
                output_buffer=io.StringIO(),
                transaction_per_migration=True,
                target_metadata=MetaData(naming_convention=naming) if naming else None,
            )
            context = environment.get_context()
            impl: Any = context.impl
            impl.static_output, impl.connection = keep, Connection(context.dialect, keep)
            impl._exec = _checked(impl._exec)
            # How Alembic leaves and enters a transaction; a COMMIT of the revision's own stays a
            # statement.
            impl.emit_begin, impl.emit_commit = partial(within, True), partial(within, False)
            with Operations.context(context):
                function()
    except BaseException as error:  # noqa: BLE001
        return statements, _problem(error, path)
    return statements, None


def _problem(error: BaseException, path: str) -> dict[str, object]:
    """Return what happened at which line. `kind`: connection, module, unread or raised."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path
    ]
    line = frames[-1].lineno or 0 if frames else getattr(error, "lineno", 0) or 0
    offline = isinstance(error, NeedsDatabase | exc.NoInspectionAvailable) or (
        isinstance(error, CommandError) and "--sql" in str(error)
    )
    message = str(error)
    if isinstance(error, exc.NoInspectionAvailable):
        message = "it inspects the database"
    elif isinstance(error, ImportError):
        message = f"it imports “{error.name or error}”"
    elif not offline and type(error).__name__ not in ("NotLiteral", "NoValue"):
        message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return {
        "kind": "connection" if offline else _KINDS.get(type(error).__name__, "raised"),
        "message": " ".join(message.split())[:300],
        "line": line,
        "source": linecache.getline(path, line).strip()[:200] if line else "",
    }
