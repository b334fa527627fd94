"""What one revision file says about itself, read from its bytes and never by running it.

`judge` parses the file with `ast` and follows the bindings of Alembic's four names at module level.
`scan` gives the same answer some ten times sooner for the common literal forms, and None for
anything unusual, when
`judge` decides. It does not notice a syntax error inside a function; `judge` does, and reads
whatever is new.
"""

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from environments.schema.history.constants import NotConstant, constants, fold

NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
MAX_FILE_BYTES = 1_000_000
# Alembic's own rules (script/base.py): which files count, and ids taken from the names of very old
# files.
_LEGACY_ID = re.compile(r"([a-f0-9]+)\.py$")
type Value = str | tuple[str, ...] | None
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_NAMED = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping)
_DYNAMIC = {"exec", "eval", "globals", "locals", "vars", "setattr"}


class Header(NamedTuple):
    """The literal facts of one file. `message` is the first line of its docstring, or ""."""

    id: str
    down: tuple[str, ...]
    labels: tuple[str, ...]
    depends_on: tuple[str, ...]
    message: str
    has_downgrade: bool


class UnreadableError(Exception):
    """Why a file's header cannot be known.

    `kind`: computed or unreadable; `line` is 0 for the whole file.
    """

    def __init__(self, kind: str, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.line = kind, reason, line


def is_revision_file(name: str) -> bool:
    """Return whether Alembic would load a file of this name."""
    return name.endswith(".py") and not name.startswith(("__init__", ".#"))


def judge(content: bytes, name: str) -> Header:
    """Return the header of the revision file `name`, by `ast`. Raise `UnreadableError`."""
    module = _parsed(content)
    bound: dict[
        str, ast.expr | int
    ] = {}  # a number is the line where something not literal bound the name
    for statement in module.body:
        try:
            _follow(statement, bound, deep=b"global" in content)
        except RecursionError:
            raise UnreadableError(
                "unreadable", "is nested too deeply to be read", statement.lineno
            ) from None
    values = {key: _literal(key, bound[key], module) for key in NAMES if key in bound}
    doc = ast.get_docstring(module, clean=False) or ""
    return _header(values, name, doc, _has_downgrade(module))


def check_syntax(content: bytes) -> None:
    """Raise `UnreadableError` where Python could not load this file at all."""
    _parsed(content)


def _parsed(content: bytes) -> ast.Module:
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableError("unreadable", "is larger than 1 MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(content)
    except SyntaxError as error:
        raise UnreadableError("unreadable", "is not valid Python", error.lineno or 0) from None
    except (ValueError, RecursionError, MemoryError):
        raise UnreadableError("unreadable", "is not text that Python can read") from None


def _follow(statement: ast.stmt, bound: dict[str, ast.expr | int], *, deep: bool) -> None:
    """Note what one top-level statement does to the four names, later statements winning."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    value = getattr(statement, "value", None)
    literal = bool(targets) and all(isinstance(target, ast.Name) for target in targets)
    for name, line in _bindings(statement, deep=deep):
        bound[name] = line
    inner = [
        one for one in (value, getattr(statement, "annotation", None)) if isinstance(one, ast.expr)
    ]
    if (
        literal
        and isinstance(value, ast.expr)
        and not any(True for one in inner for _ in _bindings(one, deep=deep))
    ):
        for target in targets:
            if isinstance(target, ast.Name) and target.id in NAMES:
                bound[target.id] = value


def _bindings(top: ast.AST, *, deep: bool) -> Iterator[tuple[str, int]]:
    """Return (name, line) of each of the four names that running `top` may bind at module level.

    Bodies of functions and classes can do so by `global` only: they are looked at when `deep`.
    """
    todo = [(top, False)]
    while todo:
        node, inside = todo.pop()
        yield from (
            (name, getattr(node, "lineno", 0)) for name in _bound(node, inside) if name in NAMES
        )
        body = (
            node.body if isinstance(node, _SCOPES) else ()
        )  # defaults and decorators run outside of it
        for child in ast.iter_child_nodes(node):
            within = inside or child in body or isinstance(node, ast.Lambda)
            if deep or not within:
                todo.append((child, within))


def _bound(node: ast.AST, inside: bool) -> Sequence[str]:
    """Return the names that this node alone binds at module level, being `inside` of a function or
    class or not.
    """
    if isinstance(node, ast.Global):
        return node.names
    if inside:
        return ()
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            return (node.id,)
        return NAMES if node.id in _DYNAMIC else ()
    if isinstance(node, ast.alias):
        return NAMES if node.name == "*" else ((node.asname or node.name).partition(".")[0],)
    if isinstance(node, _SCOPES):
        return (node.name,)
    if isinstance(node, _NAMED):
        found = (getattr(node, "name", None), getattr(node, "rest", None))
        return [name for name in found if isinstance(name, str)]
    return ()


def _literal(key: str, value: ast.expr | int, module: ast.Module) -> Value:
    if isinstance(value, int):
        raise UnreadableError("computed", f"computes `{key}`", value)
    try:
        found = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        found = _folded(key, value, module)
    if found is None or isinstance(found, str):
        return found
    if isinstance(found, set):
        found = sorted(found, key=str)
    if isinstance(found, tuple | list) and all(isinstance(one, str) for one in found):
        return tuple(found)
    raise UnreadableError("unreadable", f"sets `{key}` to something that is not text", value.lineno)


def _folded(key: str, value: ast.expr, module: ast.Module) -> object:
    """Return the value where it is put together of constants of the same file, as Alembic would
    find it.
    """
    try:
        return fold(value, constants(module))
    except (NotConstant, RecursionError):
        raise UnreadableError("computed", f"computes `{key}`", value.lineno) from None


def _header(values: dict[str, Value], name: str, doc: str, has_downgrade: bool) -> Header:
    id = values.get("revision")
    if "revision" not in values and (legacy := _LEGACY_ID.match(name)):
        id = legacy.group(1)
    if not isinstance(id, str) or not id:
        raise UnreadableError(
            "unreadable", "has no `revision`, which Alembic demands of every file here"
        )
    if "down_revision" not in values:
        raise UnreadableError("unreadable", "has no `down_revision`")
    down, labels, depends_on = (as_ids(values.get(key)) for key in NAMES[1:])
    return Header(id, down, labels, depends_on, first_line(doc), has_downgrade)


def first_line(doc: str) -> str:
    doc = doc.strip()
    return doc.splitlines()[0].strip() if doc else ""


def as_ids(value: Value) -> tuple[str, ...]:
    return (
        () if value is None else (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
    )


def _has_downgrade(module: ast.Module) -> bool:
    """Return whether the last `downgrade` does anything but pass, return or refuse."""
    found = [
        one for one in module.body if isinstance(one, ast.FunctionDef) and one.name == "downgrade"
    ]
    trivial = (ast.Pass, ast.Raise, ast.Return)
    return bool(found) and any(
        not isinstance(one, trivial)
        and not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
        for one in found[-1].body
    )


# -- the quick way
# ---------------------------------------------------------------------------------------
# The top of the file must be, line by line, what Alembic's template writes; below it none of the
# four names
# may occur outside of strings and comments. So no later line binds them, and nothing else need be
# understood.
