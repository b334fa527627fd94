"""What an ALTER TABLE does, command by command."""

from collections.abc import Callable, Iterator

from environments.schema.sql.functions import is_stable
from environments.schema.sql.parser import (
    Message,
    enum,
    kind,
    named,
    path,
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
        for more in _DETAILS[sub](command) if sub in _DETAILS else [""]:
            yield Part(f"AlterTableStmt.{sub}{more}", name, space, columns, of.lower())
        if enum(command, "behavior") == "DROP_CASCADE" and sub.startswith("AT_Drop"):
            yield Part("AlterTableStmt.CASCADE", name, space, columns)


def _columns(command: object) -> tuple[str, ...]:
    """Return the columns of what a command adds: one new column, or those of a constraint."""
    added = _definition(command)
    if added is None:
        return ()
    if kind(added) == "ColumnDef":
        return (added.colname,) if added.colname else ()
    return _constrained(added) if kind(added) == "Constraint" else ()


def _definition(command: object) -> Message:
    return unwrap(getattr(command, "def"))


def _constrained(constraint: Message) -> tuple[str, ...]:
    """Return the columns that code must write to be refused; none where null is refused too."""
    if enum(constraint, "contype") == "CONSTR_CHECK" and _refuses_null(constraint):
        return ()
    columns = [*strings(constraint.keys), *strings(constraint.fk_attrs)]
    for node in walk(constraint):
        if kind(node) == "ColumnRef":
            columns += strings(node.fields)[-1:]
        elif kind(node) == "IndexElem" and node.name:
            columns.append(node.name)
    return tuple(dict.fromkeys(columns))


SERIAL = {"serial", "bigserial", "smallserial", "serial4", "serial8"}


def _added_column(command: object) -> list[str]:
    column = _definition(command)
    constraints = [
        (enum(constraint, "contype"), constraint) for constraint in map(unwrap, column.constraints)
    ]
    types = {of for of, _ in constraints}
    serial = (texts(column.type_name) or [""])[-1] in SERIAL
    computed = serial or "CONSTR_IDENTITY" in types
    for of, part in constraints:
        stored = of == "CONSTR_GENERATED" and part.generated_kind != "v"
        varies = of == "CONSTR_DEFAULT" and not _is_constant(part.raw_expr)
        computed = computed or stored or varies
    filled = serial or types & {"CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED"}
    details = [
        (".REQUIRED", types & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"} and not filled),
        (".COMPUTED", computed),
        (".UNIQUE", types & {"CONSTR_UNIQUE", "CONSTR_PRIMARY"}),
        (".CHECK", any(_checks_more(constraint, column.colname) for _, constraint in constraints)),
    ]
    return [detail for detail, yes in details if yes] or [""]


def _checks_more(constraint: Message, column: str) -> bool:
    """Return whether a CHECK may refuse a row that does not name its new column."""
    columns = _constrained(constraint)
    return enum(constraint, "contype") == "CONSTR_CHECK" and columns != (column,)


def _refuses_null(check: Message) -> bool:
    """Return whether a CHECK may be false where its columns are null; what nobody knows may."""
    for node in walk(check):
        if kind(node) in _OF_NULL or (kind(node) == "A_Expr" and "DISTINCT" in enum(node, "kind")):
            return True
        called = path(node.funcname) if kind(node) == "FuncCall" else ""
        if called and (not is_stable(called) or called in _COUNTS_NULL):
            return True
    return False


_OF_NULL = ("NullTest", "BooleanTest", "CoalesceExpr", "CaseExpr")
_COUNTS_NULL = ("num_nulls", "num_nonnulls", "concat", "concat_ws")


def _is_constant(default: object) -> bool:
    """Return whether PostgreSQL works the default out once, and not for each row."""
    return all(is_stable(path(node.funcname)) for node in walk(default) if kind(node) == "FuncCall")


def _added_constraint(command: Message) -> list[str]:
    constraint, more = _definition(command), ""
    if constraint.indexname:
        more = " USING INDEX"
    elif constraint.skip_validation:
        more = " NOT VALID"
    return [f".{enum(constraint, 'contype').removeprefix('CONSTR_')}{more}"]


_DETAILS: dict[str, Callable[[Message], list[str]]] = {
    "AT_AddColumn": _added_column,
    "AT_AddConstraint": _added_constraint,
    "AT_ColumnDefault": lambda command: [".SET" if command.HasField("def") else ".DROP"],
    "AT_DetachPartition": lambda command: [" CONCURRENTLY" * _definition(command).concurrent],
}
