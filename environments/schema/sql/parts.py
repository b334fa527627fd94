"""What one statement does, part by part: the kind of each part, and the object on which it acts.

A kind is the name of PostgreSQL's own node, refined where a detail decides what there is to say:
`AlterTableStmt.AT_DropColumn`, `DropStmt.TABLE`, `IndexStmt.UNIQUE`. `kinds.KINDS` says what each
means.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from environments.schema.sql.functions import HARMLESS, SETTINGS, is_stable
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

RELATION, FUNCTION, TYPE, OTHER = "relation", "function", "type", "other"


@dataclass(frozen=True)
class Part:
    """One thing that a statement does.

    `name`: the object it acts on, as people write it; `space`: which names it shares its name with
    (`RELATION`, …).
    `columns`: those it is about. `label`: the word for the object: view, function.
    """

    kind: str
    name: str = ""
    space: str = RELATION
    columns: tuple[str, ...] = ()
    label: str = ""

    @property
    def table(self) -> str:
        """Return the table (or other relation) it acts on; "" for other objects."""
        return self.name if self.space == RELATION else ""


def parts(statement: object) -> tuple[Part, ...]:
    """Return what `statement` does, in its order; something of which nothing is known has its
    node's name as kind.
    """
    node = kind(statement)
    found = (
        list(_PARTS[node](statement))
        if node in _PARTS
        else [Part(node, _name(statement), *_space(statement))]
    )
    return tuple(dict.fromkeys(found))


def made(statement: Message) -> frozenset[tuple[str, str]]:
    """Return the objects (their space and name) that surely did not exist before `statement`."""
    node = kind(statement)
    if getattr(statement, "if_not_exists", False) or getattr(statement, "replace", False):
        return frozenset()
    if node == "CreateStmt":
        return frozenset({(RELATION, named(statement.relation))})
    if node == "CreateForeignTableStmt":
        return frozenset({(RELATION, named(statement.base_stmt.relation))})
    if node == "CreateTableAsStmt":
        return frozenset({(RELATION, named(statement.into.rel))})
    if node == "ViewStmt":
        return frozenset({(RELATION, named(statement.view))})
    if node == "CreateSeqStmt":
        return frozenset({(RELATION, named(statement.sequence))})
    if node == "IndexStmt":
        return frozenset({(RELATION, joined([statement.relation.schemaname, statement.idxname]))})
    if node == "CreateFunctionStmt":
        return frozenset({(FUNCTION, joined(strings(statement.funcname)))})
    if node in ("CreateEnumStmt", "CreateRangeStmt"):
        return frozenset({(TYPE, joined(strings(statement.type_name)))})
    if node == "CreateDomainStmt":
        return frozenset({(TYPE, joined(strings(statement.domainname)))})
    if node == "CompositeTypeStmt":
        return frozenset({(TYPE, named(statement.typevar))})
    if (
        node == "RenameStmt"
        and statement.rename_type
        and _RENAMED.get(enum(statement, "rename_type")) == RELATION
    ):
        return frozenset({(RELATION, joined([statement.relation.schemaname, statement.newname]))})
    return frozenset()


# --- Where the object stands in a statement of which nothing else needs to be known.


def _name(statement: Message) -> str:
    fields = statement.DESCRIPTOR.fields_by_name
    for field in ("relation", "view", "sequence", "table", "rel", "typevar"):
        if field in fields and statement.HasField(field):
            return named(getattr(statement, field))
    for field in ("type_name", "funcname", "domainname", "defnames", "collname"):
        if field in fields and fields[field].is_repeated:
            return joined(strings(getattr(statement, field)))
    for field in ("func", "object", "opfamilyname"):
        if field in fields:
            value = getattr(statement, field)
            return joined(texts(value) if hasattr(value, "DESCRIPTOR") else strings(value))
    return ""


def _space(statement: Message) -> tuple[str]:
    fields = statement.DESCRIPTOR.fields_by_name
    return (
        (
            RELATION
            if any(one in fields for one in ("relation", "view", "sequence", "table", "rel"))
            else OTHER
        ),
    )


# --- ALTER TABLE


def _alter_table(statement: Message) -> Iterator[Part]:
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
    ]
    yield from [detail for detail, yes in details if yes] or [""]


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


# --- Other changes of the schema


def _drop(statement: Message) -> Iterator[Part]:
    what = enum(statement, "remove_type").removeprefix("OBJECT_")
    label = _LABELS.get(what, what.lower().replace("_", " "))
    more = " CONCURRENTLY" if statement.concurrent else ""
    for object_ in statement.objects:
        name = joined(texts(object_))
        if what in ("TRIGGER", "RULE", "POLICY"):
            name = joined(texts(object_)[:-1])  # its table
        space = _SPACES.get(what, OTHER)
        yield Part(f"DropStmt.{what}{more}", name, space, label=label)
        if enum(statement, "behavior") == "DROP_CASCADE":
            yield Part("DropStmt.CASCADE", name, space, label=label)


_LABELS = {
    "MATVIEW": "materialized view",
    "FDW": "foreign data wrapper",
    "STATISTIC_EXT": "statistics object",
    "AMOP": "operator",
    "OPCLASS": "operator class",
    "OPFAMILY": "operator family",
    "TSCONFIGURATION": "text search configuration",
    "TSDICTIONARY": "text search dictionary",
    "TSPARSER": "text search parser",
    "TSTEMPLATE": "text search template",
}
_SPACES = {
    **dict.fromkeys(
        [
            "TABLE",
            "VIEW",
            "MATVIEW",
            "SEQUENCE",
            "INDEX",
            "FOREIGN_TABLE",
            "TRIGGER",
            "RULE",
            "POLICY",
        ],
        RELATION,
    ),
    **dict.fromkeys(["FUNCTION", "PROCEDURE", "ROUTINE", "AGGREGATE"], FUNCTION),
    **dict.fromkeys(["TYPE", "DOMAIN"], TYPE),
}
_RENAMED = {f"OBJECT_{name}": space for name, space in _SPACES.items()} | {
    "OBJECT_COLUMN": "",
    "OBJECT_TABCONSTRAINT": "",
    "OBJECT_TRIGGER": "",
    "OBJECT_RULE": "",
    "OBJECT_POLICY": "",
}


def _rename(statement: Message) -> Iterator[Part]:
    what = enum(statement, "rename_type").removeprefix("OBJECT_")
    on_table = statement.HasField("relation") and what not in ("ATTRIBUTE",)
    name = (
        named(statement.relation)
        if statement.HasField("relation")
        else joined(texts(statement.object))
    )
    space = (
        RELATION
        if on_table
        else _SPACES.get(what, TYPE if what in ("ATTRIBUTE", "DOMCONSTRAINT") else OTHER)
    )
    yield Part(
        f"RenameStmt.{what}", name, space, label=_LABELS.get(what, what.lower().replace("_", " "))
    )


def _move(statement: Message) -> Iterator[Part]:
    what = enum(statement, "object_type").removeprefix("OBJECT_")
    name = (
        named(statement.relation)
        if statement.HasField("relation")
        else joined(texts(statement.object))
    )
    label = _LABELS.get(what, what.lower().replace("_", " "))
    yield Part(kind(statement), name, _SPACES.get(what, OTHER), label=label)


def _index(statement: Message) -> Iterator[Part]:
    more = [
        word
        for word, yes in (("UNIQUE", statement.unique), ("CONCURRENTLY", statement.concurrent))
        if yes
    ]
    columns = tuple(
        one.name for node in statement.index_params for one in [unwrap(node)] if one.name
    )
    yield Part(
        ".".join(["IndexStmt", *([" ".join(more)] if more else [])]),
        named(statement.relation),
        columns=columns,
    )


def _create(statement: Message) -> Iterator[Part]:
    if statement.HasField("partbound"):
        yield Part("CreateStmt.PARTITION", named(unwrap(statement.inh_relations[0])))
    yield Part("CreateStmt", named(statement.relation))


def _replaced(of: str, space: str, label: str) -> Callable[[Message], Iterator[Part]]:
    def found(statement: Message) -> Iterator[Part]:
        name = (
            joined(strings(statement.funcname))
            if of == "CreateFunctionStmt"
            else named(statement.view)
        )
        message = "procedure" if getattr(statement, "is_procedure", False) else label
        yield Part(f"{of}.REPLACE" if statement.replace else of, name, space, label=message)

    return found


def _alter_function(statement: Message) -> Iterator[Part]:
    yield Part(
        "AlterFunctionStmt", joined(strings(statement.func.objname)), FUNCTION, label="function"
    )


def _refresh(statement: Message) -> Iterator[Part]:
    more = " NO DATA" if statement.skip_data else " CONCURRENTLY" if statement.concurrent else ""
    yield Part(f"RefreshMatViewStmt{'.' + more.strip() if more else ''}", named(statement.relation))


def _define(statement: Message) -> Iterator[Part]:
    what = enum(statement, "kind").removeprefix("OBJECT_")
    label = _LABELS.get(what, what.lower())
    more = ".REPLACE" if statement.replace else ""
    yield Part(
        f"DefineStmt.{what}{more}",
        joined(strings(statement.defnames)),
        _SPACES.get(what, OTHER),
        label=label,
    )


def _enum(statement: Message) -> Iterator[Part]:
    more = "RENAME VALUE" if statement.old_val else "ADD VALUE"
    yield Part(
        f"AlterEnumStmt.{more}", joined(strings(statement.type_name)), TYPE, label="enum type"
    )


def _domain(statement: Message) -> Iterator[Part]:
    words = {
        "T": "DEFAULT",
        "N": "DROP NOT NULL",
        "O": "SET NOT NULL",
        "C": "ADD CONSTRAINT",
        "X": "DROP CONSTRAINT",
        "V": "VALIDATE CONSTRAINT",
    }
    more = words.get(statement.subtype, statement.subtype)
    yield Part(
        f"AlterDomainStmt.{more}", joined(strings(statement.type_name)), TYPE, label="domain"
    )


def _grant(statement: Message) -> Iterator[Part]:
    node = kind(statement)
    given = (
        statement.action.is_grant if node == "AlterDefaultPrivilegesStmt" else statement.is_grant
    )
    on = [unwrap(one) for one in getattr(statement, "objects", ())]
    tables = [named(one) for one in on if kind(one) == "RangeVar"]
    yield from (Part(f"{node}.{'GRANT' if given else 'REVOKE'}", table) for table in tables or [""])


def _relations(field: str) -> Callable[[Message], Iterator[Part]]:
    def found(statement: Message) -> Iterator[Part]:
        for one in getattr(statement, field):
            yield Part(kind(statement), named(unwrap(one)))
        if kind(statement) == "TruncateStmt" and enum(statement, "behavior") == "DROP_CASCADE":
            yield Part("TruncateStmt.CASCADE", named(unwrap(statement.relations[0])))

    return found


def _reindex(statement: Message) -> Iterator[Part]:
    more = (
        "CONCURRENTLY"
        if any(unwrap(param).defname == "concurrently" for param in statement.params)
        else ""
    )
    if enum(statement, "kind") in (
        "REINDEX_OBJECT_SYSTEM",
        "REINDEX_OBJECT_DATABASE",
        "REINDEX_OBJECT_SCHEMA",
    ):
        more = "DATABASE"
    yield Part(f"ReindexStmt.{more}" if more else "ReindexStmt", named(statement.relation))


def _vacuum(statement: Message) -> Iterator[Part]:
    options = {unwrap(option).defname for option in statement.options}
    more = "FULL" if "full" in options else "VACUUM" if statement.is_vacuumcmd else "ANALYZE"
    on = [named(unwrap(rel).relation) for rel in statement.rels]
    yield from (Part(f"VacuumStmt.{more}", name) for name in on or [""])


# --- Rows, settings, transactions


def _query(statement: object) -> Iterator[Part]:
    """Yield what a query changes, also within WITH, and the functions it calls of which nothing
    is known.
    """
    top, read = statement, False
    for here in walk(statement):
        node = kind(here)
        if node == "InsertStmt":
            conflict = (
                here.HasField("on_conflict_clause") and here.on_conflict_clause.action == _UPDATES
            )
            query = unwrap(here.select_stmt)
            more = (
                ".CONFLICT"
                if conflict
                else ".SELECT"
                if query is not None and not query.values_lists
                else ""
            )
            yield Part(f"InsertStmt{more}", named(here.relation))
        elif node in ("UpdateStmt", "DeleteStmt", "MergeStmt"):
            yield Part(node, named(here.relation))
        elif node == "FuncCall":
            yield from _called(joined(strings(here.funcname)))
        elif node == "IntoClause":
            yield Part("SelectStmt.INTO", named(here.rel))
        read = read or node == "LockingClause"
    if kind(top) == "SelectStmt":
        yield Part("SelectStmt.FOR UPDATE" if read else "SelectStmt")


_UPDATES = 3  # ONCONFLICT_UPDATE


def _called(name: str) -> Iterator[Part]:
    plain = name.removeprefix("pg_catalog.")
    if plain in ("setval", "set_config"):
        yield Part(f"FuncCall.{plain}", space=OTHER, label=plain)
    elif plain not in HARMLESS and not is_stable(plain):
        yield Part("FuncCall", name, FUNCTION, label=name)


def _within(statement: Message) -> Iterator[Part]:
    """Yield what the statement inside does, where it is executed with this one."""
    inner = unwrap(statement.query)
    explains = kind(statement) == "ExplainStmt"
    if not explains or any(unwrap(option).defname == "analyze" for option in statement.options):
        yield from parts(inner)
    yield Part(kind(statement))


def _table_as(statement: Message) -> Iterator[Part]:
    yield Part("CreateTableAsStmt", named(statement.into.rel))
    yield from (
        one for one in _query(unwrap(statement.query)) if not one.kind.startswith("SelectStmt")
    )


def _copy(statement: Message) -> Iterator[Part]:
    more = "PROGRAM" if statement.is_program else "FROM" if statement.is_from else "TO"
    yield Part(f"CopyStmt.{more}", named(statement.relation))


def _set(statement: Message) -> Iterator[Part]:
    if enum(statement, "kind") == "VAR_SET_MULTI":
        yield Part("VariableSetStmt.TRANSACTION", space=OTHER)
        return
    known = statement.name in SETTINGS
    yield Part(
        "VariableSetStmt" if known else "VariableSetStmt.MEANING", space=OTHER, label=statement.name
    )


def _transaction(statement: object) -> Iterator[Part]:
    what = enum(statement, "kind").removeprefix("TRANS_STMT_").replace("_", " ")
    yield Part(f"TransactionStmt.{what}", space=OTHER, label=what)


_PARTS: dict[str, Callable[[Message], Iterator[Part]]] = {
    "AlterTableStmt": _alter_table,
    "DropStmt": _drop,
    "RenameStmt": _rename,
    "AlterObjectSchemaStmt": _move,
    "AlterOwnerStmt": _move,
    "IndexStmt": _index,
    "CreateStmt": _create,
    "ViewStmt": _replaced("ViewStmt", RELATION, "view"),
    "CreateFunctionStmt": _replaced("CreateFunctionStmt", FUNCTION, "function"),
    "AlterFunctionStmt": _alter_function,
    "RefreshMatViewStmt": _refresh,
    "DefineStmt": _define,
    "AlterEnumStmt": _enum,
    "AlterDomainStmt": _domain,
    "GrantStmt": _grant,
    "GrantRoleStmt": _grant,
    "AlterDefaultPrivilegesStmt": _grant,
    "TruncateStmt": _relations("relations"),
    "LockStmt": _relations("relations"),
    "ReindexStmt": _reindex,
    "VacuumStmt": _vacuum,
    "SelectStmt": _query,
    "InsertStmt": _query,
    "UpdateStmt": _query,
    "DeleteStmt": _query,
    "MergeStmt": _query,
    "ExplainStmt": _within,
    "PrepareStmt": _within,
    "DeclareCursorStmt": _within,
    "CreateTableAsStmt": _table_as,
    "CopyStmt": _copy,
    "VariableSetStmt": _set,
    "TransactionStmt": _transaction,
}
