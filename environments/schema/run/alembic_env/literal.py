"""A revision file read and not executed, for where code cannot be isolated.

Only calls of `op` with literal values, columns and types are followed, in their order; at the first
line that says anything else it stops and names it. Loaded by `render.py` in place of the file.
"""

import ast
from functools import partial
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

_OPERATION_NAMES = """
add_column alter_column create_check_constraint create_foreign_key create_index create_primary_key
create_table create_table_comment create_unique_constraint drop_column drop_constraint drop_index
drop_table drop_table_comment execute rename_table
"""
OPERATIONS = frozenset(_OPERATION_NAMES.split())
_PART_NAMES = """
CheckConstraint Column Computed ForeignKey ForeignKeyConstraint Identity PrimaryKeyConstraint
UniqueConstraint text true false null
"""
PARTS = frozenset(_PART_NAMES.split())
MODULES = {"sa": sa, "sqlalchemy": sa, "postgresql": postgresql}


class NotLiteral(Exception):
    """A line that only executing would explain."""

    def __init__(self, node: ast.AST) -> None:
        super().__init__("it is no literal call of `op`, so it was read and not executed")
        self.lineno = getattr(node, "lineno", 0)


def load(path: str) -> SimpleNamespace:
    """Return what stands in for the module: its `upgrade` and `downgrade`, as far as they are
    there.

    Raise `SyntaxError`.
    """
    with open(path, "rb") as file:
        tree = ast.parse(file.read(), path)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    ways = (function for function in functions if function.name in ("upgrade", "downgrade"))
    return SimpleNamespace(**{way.name: partial(_follow, way) for way in ways})


def _follow(function: ast.FunctionDef) -> None:
    for child in function.body:
        call = child.value if isinstance(child, ast.Expr) else child
        if not isinstance(call, ast.Pass | ast.Constant):
            _do(child, call)


def _do(stmt: ast.stmt, call: ast.AST) -> None:
    if not isinstance(call, ast.Call):
        raise NotLiteral(stmt)
    module, name = _name(call.func)
    if module != "op" or name not in OPERATIONS:
        raise NotLiteral(stmt)
    arguments, named = _arguments(call)
    getattr(op, name)(*arguments, **named)


def _arguments(call: ast.Call) -> tuple[list[object], dict[str, object]]:
    if any(keyword.arg is None for keyword in call.keywords):
        raise NotLiteral(call)
    return [_value(arg) for arg in call.args], {
        str(keyword.arg): _value(keyword.value) for keyword in call.keywords
    }


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(elt) for elt in node.elts]
    if isinstance(node, ast.Dict) and None not in node.keys:
        pairs = zip(node.keys, node.values, strict=True)
        return {_value(key): _value(value) for key, value in pairs if key}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return ast.literal_eval(node) if isinstance(node.operand, ast.Constant) else _part(node)
    if isinstance(node, ast.Call) and _name(node.func) == ("op", "f"):
        return _value(node.args[0])
    if isinstance(node, ast.Call):
        arguments, named = _arguments(node)
        return _part(node.func)(*arguments, **named)
    return _part(node)


def _part(node: ast.expr) -> Any:
    """Return a type or a part of a table, by its name in SQLAlchemy."""
    module, name = _name(node)
    attribute = getattr(MODULES.get(module), name, None)
    is_type = isinstance(attribute, type) and issubclass(attribute, TypeEngine)
    if attribute is None or not (is_type or (module != "postgresql" and name in PARTS)):
        raise NotLiteral(node)
    return attribute


def _name(node: ast.expr) -> tuple[str, str]:
    """Return the two names of `module.name`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id, node.attr
    raise NotLiteral(node)
