"""Values that a module writes out in pieces: names bound once, sums and f-strings of plain text.

Read and never run. Whatever could be bound in a second way, or computed, is no constant.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

DYNAMIC = {"exec", "eval", "globals", "locals", "vars", "setattr"}
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class NotConstant(Exception):
    """The value is computed."""


def parsed(source: bytes) -> ast.Module | None:
    """Return the module that `source` is; None where Python cannot read it."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def constants(module: ast.Module) -> dict[str, object]:
    """Return every name of `module` that is bound once, at its top, to a constant."""
    times: Counter[str] = Counter()
    for node in ast.walk(module):
        if isinstance(node, ast.Name):
            if node.id in DYNAMIC:
                return {}
            times[node.id] += not isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.alias):
            if node.name == "*":
                return {}
            times[(node.asname or node.name).partition(".")[0]] += 1
        elif isinstance(node, ast.Global):
            times.update(node.names)
        elif isinstance(node, SCOPES):
            times[node.name] += 1
    values: dict[str, object] = {}
    for name, value in assigned(module):
        if times[name] == 1:
            with suppress(NotConstant):
                values[name] = fold(value, values)
    return values


def assigned(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that `module` sets at its top, each with the expression."""
    for statement in module.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
        value = getattr(statement, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                yield target.id, value


def fold(node: ast.expr, known: Mapping[str, object]) -> Any:
    """Return the value of `node`, texts and collections of texts only. Raise `NotConstant`."""
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str)):
        return node.value
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(fold(elt, known) for elt in node.elts)
    if isinstance(node, ast.Set):
        return tuple(sorted(str(fold(elt, known)) for elt in node.elts))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        both = fold(node.left, known), fold(node.right, known)
        if all(isinstance(side, str) for side in both) or all(
            isinstance(side, tuple) for side in both
        ):
            return both[0] + both[1]
    if isinstance(node, ast.JoinedStr):
        parts = [fold(_plain(part), known) for part in node.values]
        if all(isinstance(part, str) for part in parts):
            return "".join(parts)
    raise NotConstant


def _plain(part: ast.expr) -> ast.expr:
    """Return the value of a `{…}` in an f-string that is neither formatted nor converted."""
    if isinstance(part, ast.FormattedValue):
        if part.conversion != -1 or part.format_spec is not None:
            raise NotConstant
        return part.value
    return part
