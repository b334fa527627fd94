"""What an ALTER TABLE does, command by command."""

from collections.abc import Callable, Iterator
from typing import Any

from environments.schema.sql.functions import is_stable
from environments.schema.sql.parser import (
    Message,
    enum,
    joined,
    kind,
    named,
    strings,
    texts,
    unwrap,
    walk,
)
from environments.schema.sql.part import RELATION, TYPE, Part


def alter_table(statement: Message) -> Iterator[Part]:
    name, of = named(statement.relation), enum(statement, "objtype").removeprefix("OBJECT_")
    space = TYPE if of == "TYPE" else RELATION
    for cmd in statement.cmds:
        command = unwrap(cmd)
        sub = enum(command, "subtype")
        if of in ("VIEW", "TYPE") and sub != "AT_ChangeOwner":
            yield Part(f"AlterTableStmt.{of}", name, space, label=of.lower())
            continue
        columns = _columns(command) or ((command.name,) if command.name else ())
        detail = _ALTER.get(sub, lambda command: [""])
        for more in detail(command):
            yield Part(f"AlterTableStmt.{sub}{more}", name, space, columns, of.lower())
        if enum(command, "behavior") == "DROP_CASCADE" and sub.startswith("AT_Drop"):
            yield Part("AlterTableStmt.CASCADE", name, space, columns)


def _columns(command: object) -> tuple[str, ...]:
    """Return the columns of what a command adds: one new column, or those of a constraint."""
    added = unwrap(getattr(command, "def"))
    if added is None:
        return ()
    if kind(added) == "ColumnDef":
        return (added.colname,) if added.colname else ()
    return _constrained(added) if kind(added) == "Constraint" else ()


def _constrained(constraint: Message) -> tuple[str, ...]:
    """Return the columns that code must write to be refused; none where null is refused too."""
    if enum(constraint, "contype") == "CONSTR_CHECK" and _refuses_null(constraint):
        return ()
    named_ = [*strings(constraint.keys), *strings(constraint.fk_attrs)]
    for one in walk(constraint):
        if kind(one) == "ColumnRef":
            named_ += strings(one.fields)[-1:]
        elif kind(one) == "IndexElem" and one.name:
            named_.append(one.name)
    return tuple(dict.fromkeys(named_))


def _added_column(command: object) -> Iterator[str]:
    column = unwrap(getattr(command, "def"))
    constraints = [unwrap(constraint) for constraint in column.constraints]
    types = {enum(constraint, "contype") for constraint in constraints}
    serial = (texts(column.type_name) or [""])[-1] in (
        "serial",
        "bigserial",
        "smallserial",
        "serial4",
        "serial8",
    )
    default = next(
        (
            constraint.raw_expr
            for constraint in constraints
            if enum(constraint, "contype") == "CONSTR_DEFAULT"
        ),
        None,
    )
    stored = any(
        enum(constraint, "contype") == "CONSTR_GENERATED" and constraint.generated_kind != "v"
        for constraint in constraints
    )
    computed = (
        serial
        or stored
        or "CONSTR_IDENTITY" in types
        or (default is not None and not _is_constant(default))
    )
    filled = default is not None or serial or types & {"CONSTR_IDENTITY", "CONSTR_GENERATED"}
    details = [
        (".REQUIRED", types & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"} and not filled),
        (".COMPUTED", computed),
        (".UNIQUE", types & {"CONSTR_UNIQUE", "CONSTR_PRIMARY"}),
        (".CHECK", any(_checks_more(one, column.colname) for one in constraints)),
    ]
    yield from [detail for detail, yes in details if yes] or [""]


def _checks_more(constraint: Message, column: str) -> bool:
    """Return whether a CHECK may refuse a row that does not name its new column."""
    columns = _constrained(constraint)
    return enum(constraint, "contype") == "CONSTR_CHECK" and columns != (column,)


def _refuses_null(check: Message) -> bool:
    """Return whether a CHECK may be false where its columns are null; what nobody knows may."""
    for one in walk(check):
        called = joined(strings(one.funcname)) if kind(one) == "FuncCall" else ""
        if kind(one) in _OF_NULL or (kind(one) == "A_Expr" and "DISTINCT" in enum(one, "kind")):
            return True
        if called and (not is_stable(called) or called in _COUNTS_NULL):
            return True
    return False


_OF_NULL = ("NullTest", "BooleanTest", "CoalesceExpr", "CaseExpr")
_COUNTS_NULL = ("num_nulls", "num_nonnulls", "concat", "concat_ws")


def _is_constant(default: object) -> bool:
    """Return whether PostgreSQL works the default out once, and not for each row."""
    called = [joined(strings(one.funcname)) for one in walk(default) if kind(one) == "FuncCall"]
    return all(map(is_stable, called))


def _default(command: Message) -> Iterator[str]:
    yield ".SET" if command.HasField("def") else ".DROP"


def _constraint(command: Message) -> Iterator[str]:
    constraint = unwrap(getattr(command, "def"))
    what = enum(constraint, "contype").removeprefix("CONSTR_")
    more = (
        " USING INDEX"
        if constraint.indexname
        else " NOT VALID"
        if constraint.skip_validation
        else ""
    )
    yield f".{what}{more}"


def _partition(command: object) -> Iterator[str]:
    yield " CONCURRENTLY" if unwrap(getattr(command, "def")).concurrent else ""


_ALTER: dict[str, Callable[[Message], Any]] = {
    "AT_AddColumn": _added_column,
    "AT_ColumnDefault": _default,
    "AT_AddConstraint": _constraint,
    "AT_DetachPartition": _partition,
}
