"""What one revision file says about itself, read from its bytes and never by running it.

`judge` parses the file with `ast` and follows the bindings of Alembic's four names at module level.
"""

import ast
import re
import warnings
from collections.abc import Iterator, Sequence

from environments.schema.history.constants import DYNAMIC, SCOPES, NotConstant, constants, fold
from environments.schema.history.revision import Revision

NAMES = ("revision", "down_revision", "branch_labels", "depends_on")
MAX_FILE_BYTES = 1_000_000
# Alembic's own rules (script/base.py): which files count, and ids taken from the names of very old
# files.
_LEGACY_ID = re.compile(r"([a-f0-9]+)\.py$")
type Value = str | tuple[str, ...] | None
_NAMED = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping)


class UnreadableError(Exception):
    """Why a file cannot be read. `kind`: computed or unreadable; `line`: 0 for the whole file."""

    def __init__(self, kind: str, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.line = kind, reason, line


def is_revision_file(name: str) -> bool:
    """Return whether Alembic would load a file of this name."""
    return name.endswith(".py") and not name.startswith(("__init__", ".#"))


def judge(content: bytes, name: str) -> Revision:
    """Return what the revision file `name` says, by `ast`. Raise `UnreadableError`."""
    module = _parsed(content)
    # A number is the line where something not literal bound the name.
    bound: dict[str, ast.expr | int] = {}
    for statement in module.body:
        try:
            _follow(statement, bound, deep=b"global" in content)
        except RecursionError:
            why = "is nested too deeply to be read"
            raise UnreadableError("unreadable", why, statement.lineno) from None
    values = {key: _literal(key, bound[key], module) for key in NAMES if key in bound}
    doc = ast.get_docstring(module, clean=False) or ""
    return _revision(values, name, doc, _has_downgrade(module))


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
    bound.update(_bindings(statement, deep=deep))
    targets: list[ast.expr]
    if isinstance(statement, ast.Assign):
        targets, read = statement.targets, [statement.value]
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets, read = [statement.target], [statement.value, statement.annotation]
    else:
        return
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if any(True for child in read for _ in _bindings(child, deep=deep)):
        return
    if len(names) == len(targets):
        bound.update((name, read[0]) for name in names if name in NAMES)


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
        body = node.body if isinstance(node, SCOPES) else ()  # its defaults run outside of it
        for child in ast.iter_child_nodes(node):
            within = inside or child in body or isinstance(node, ast.Lambda)
            if deep or not within:
                todo.append((child, within))


def _bound(node: ast.AST, inside: bool) -> Sequence[str]:
    """Return the names that this node alone binds at module level, `inside` a function or not."""
    if isinstance(node, ast.Global):
        return node.names
    if inside:
        return ()
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            return (node.id,)
        return NAMES if node.id in DYNAMIC else ()
    if isinstance(node, ast.alias):
        return NAMES if node.name == "*" else ((node.asname or node.name).partition(".")[0],)
    if isinstance(node, SCOPES):
        return (node.name,)
    if isinstance(node, _NAMED):
        names = (getattr(node, "name", None), getattr(node, "rest", None))
        return [name for name in names if isinstance(name, str)]
    return ()


def _literal(key: str, value: ast.expr | int, module: ast.Module) -> Value:
    if isinstance(value, int):
        raise UnreadableError("computed", f"computes `{key}`", value)
    try:
        names = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        try:  # put together of constants of the same file, as Alembic would find it
            names = fold(value, constants(module))
        except (NotConstant, RecursionError):
            raise UnreadableError("computed", f"computes `{key}`", value.lineno) from None
    if names is None or isinstance(names, str):
        return names
    if isinstance(names, set):
        names = sorted(names, key=str)
    if isinstance(names, tuple | list) and all(isinstance(name, str) for name in names):
        return tuple(names)
    raise UnreadableError("unreadable", f"sets `{key}` to something that is not text", value.lineno)


def _revision(values: dict[str, Value], name: str, doc: str, has_downgrade: bool) -> Revision:
    id = values.get("revision")
    if "revision" not in values and (legacy := _LEGACY_ID.match(name)):
        id = legacy.group(1)
    if not isinstance(id, str) or not id:
        why = "has no `revision`, which Alembic demands of every file here"
        raise UnreadableError("unreadable", why)
    if "down_revision" not in values:
        raise UnreadableError("unreadable", "has no `down_revision`")
    down, labels, depends_on = (as_ids(values.get(key)) for key in NAMES[1:])
    message = first_line(doc)
    return Revision(id, down, depends_on, labels, message=message, has_downgrade=has_downgrade)


def first_line(doc: str) -> str:
    doc = doc.strip()
    return doc.splitlines()[0].strip() if doc else ""


def as_ids(value: Value) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(dict.fromkeys(value or ()))


def _has_downgrade(module: ast.Module) -> bool:
    """Return whether the last `downgrade` does anything but pass, return or refuse."""
    functions = (node for node in reversed(module.body) if isinstance(node, ast.FunctionDef))
    last = next((node for node in functions if node.name == "downgrade"), None)
    return any(
        not isinstance(node, ast.Pass | ast.Raise | ast.Return)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in (last.body if last else ())
    )
