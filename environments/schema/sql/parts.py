"""What one statement does, part by part: the kind of each part, and the object on which it acts.

A kind is the name of PostgreSQL's own node, refined where a detail decides what there is to say:
`AlterTableStmt.AT_DropColumn`, `DropStmt.TABLE`, `IndexStmt.UNIQUE`. `kinds.KINDS` says what each
means.
"""

from collections.abc import Callable, Iterator

from environments.schema.sql.alter_table import alter_table
from environments.schema.sql.functions import SETTINGS
from environments.schema.sql.parser import (
    Message,
    enum,
    joined,
    kind,
    named,
    path,
    strings,
    texts,
    unwrap,
)
from environments.schema.sql.part import (
    FUNCTION,
    ON_TABLE,
    OTHER,
    RELATION,
    SPACES,
    TYPE,
    Part,
    label_of,
)
from environments.schema.sql.queries import of_query


def parts(statement: object) -> tuple[Part, ...]:
    """Return what `statement` does, in order; of an unknown one the kind is its node's name."""
    node = kind(statement)
    all_parts = _PARTS[node](statement) if node in _PARTS else _other(statement)
    return tuple(dict.fromkeys(all_parts))


# --- Where the object stands in a statement of which nothing else needs to be known.


_OF_RELATIONS = ("relation", "view", "sequence", "table", "rel")


def _other(statement: Message) -> Iterator[Part]:
    is_relation = any(field in statement.DESCRIPTOR.fields_by_name for field in _OF_RELATIONS)
    yield Part(kind(statement), _name(statement), RELATION if is_relation else OTHER)


def _name(statement: Message) -> str:
    fields = statement.DESCRIPTOR.fields_by_name
    for field in (*_OF_RELATIONS, "typevar"):
        if field in fields and statement.HasField(field):
            return named(getattr(statement, field))
    for field in ("type_name", "funcname", "domainname", "defnames", "collname"):
        if field in fields and fields[field].is_repeated:
            return path(getattr(statement, field))
    for field in ("func", "object", "opfamilyname"):
        if field in fields:
            value = getattr(statement, field)
            return joined(texts(value) if hasattr(value, "DESCRIPTOR") else strings(value))
    return ""


# --- Objects that are dropped, renamed or moved


def drop(statement: Message) -> Iterator[Part]:
    what = enum(statement, "remove_type").removeprefix("OBJECT_")
    space, label = SPACES.get(what, OTHER), label_of(what)
    more = " CONCURRENTLY" if statement.concurrent else ""
    for object_ in statement.objects:
        name = joined(texts(object_)[:-1] if what in ON_TABLE else texts(object_))
        yield Part(f"DropStmt.{what}{more}", name, space, label=label)
        if enum(statement, "behavior") == "DROP_CASCADE":
            yield Part("DropStmt.CASCADE", name, space, label=label)


def rename(statement: Message) -> Iterator[Part]:
    what = enum(statement, "rename_type").removeprefix("OBJECT_")
    space = SPACES.get(what, TYPE if what in ("ATTRIBUTE", "DOMCONSTRAINT") else OTHER)
    if statement.HasField("relation") and what != "ATTRIBUTE":
        space = RELATION
    yield Part(f"RenameStmt.{what}", _object(statement), space, label=label_of(what))


def move(statement: Message) -> Iterator[Part]:
    what = enum(statement, "object_type").removeprefix("OBJECT_")
    space = SPACES.get(what, OTHER)
    yield Part(kind(statement), _object(statement), space, label=label_of(what))


def _object(statement: Message) -> str:
    if statement.HasField("relation"):
        return named(statement.relation)
    return joined(texts(statement.object))


# --- Other changes of the schema


def _refined(node: str, more: str) -> str:
    return f"{node}.{more}" if more else node


def _index(statement: Message) -> Iterator[Part]:
    words = (("UNIQUE", statement.unique), ("CONCURRENTLY", statement.concurrent))
    more = " ".join(word for word, yes in words if yes)
    columns = tuple(column.name for column in map(unwrap, statement.index_params) if column.name)
    yield Part(_refined("IndexStmt", more), named(statement.relation), columns=columns)


def _create(statement: Message) -> Iterator[Part]:
    if statement.HasField("partbound"):
        yield Part("CreateStmt.PARTITION", named(unwrap(statement.inh_relations[0])))
    more = "UNLOGGED" if statement.relation.relpersistence == "u" else ""
    yield Part(_refined("CreateStmt", more), named(statement.relation))


def _view(statement: Message) -> Iterator[Part]:
    more = "REPLACE" if statement.replace else ""
    yield Part(_refined("ViewStmt", more), named(statement.view), label="view")


def _function(statement: Message) -> Iterator[Part]:
    node = _refined("CreateFunctionStmt", "REPLACE" if statement.replace else "")
    label = "procedure" if statement.is_procedure else "function"
    yield Part(node, path(statement.funcname), FUNCTION, label=label)


def _alter_function(statement: Message) -> Iterator[Part]:
    yield Part("AlterFunctionStmt", path(statement.func.objname), FUNCTION, label="function")


def _refresh(statement: Message) -> Iterator[Part]:
    more = "NO DATA" if statement.skip_data else "CONCURRENTLY" if statement.concurrent else ""
    yield Part(_refined("RefreshMatViewStmt", more), named(statement.relation))


def _define(statement: Message) -> Iterator[Part]:
    what = enum(statement, "kind").removeprefix("OBJECT_")
    node = _refined(f"DefineStmt.{what}", "REPLACE" if statement.replace else "")
    yield Part(node, path(statement.defnames), SPACES.get(what, OTHER), label=label_of(what))


def _enum(statement: Message) -> Iterator[Part]:
    more = "RENAME VALUE" if statement.old_val else "ADD VALUE"
    yield Part(f"AlterEnumStmt.{more}", path(statement.type_name), TYPE, label="enum type")


_DOMAIN = {
    "T": "DEFAULT",
    "N": "DROP NOT NULL",
    "O": "SET NOT NULL",
    "C": "ADD CONSTRAINT",
    "X": "DROP CONSTRAINT",
    "V": "VALIDATE CONSTRAINT",
}


def _domain(statement: Message) -> Iterator[Part]:
    more = _DOMAIN.get(statement.subtype, statement.subtype)
    yield Part(f"AlterDomainStmt.{more}", path(statement.type_name), TYPE, label="domain")


def _grant(statement: Message) -> Iterator[Part]:
    node = kind(statement)
    given = statement.action if node == "AlterDefaultPrivilegesStmt" else statement
    on = map(unwrap, getattr(statement, "objects", ()))
    tables = [named(node) for node in on if kind(node) == "RangeVar"]
    for table in tables or [""]:
        yield Part(f"{node}.{'GRANT' if given.is_grant else 'REVOKE'}", table)


def _relations(statement: Message) -> Iterator[Part]:
    names = [named(unwrap(relation)) for relation in statement.relations]
    yield from (Part(kind(statement), name) for name in names)
    if kind(statement) == "TruncateStmt" and enum(statement, "behavior") == "DROP_CASCADE":
        yield Part("TruncateStmt.CASCADE", names[0])


_WHOLE = ("REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_DATABASE", "REINDEX_OBJECT_SCHEMA")


def _reindex(statement: Message) -> Iterator[Part]:
    more = "CONCURRENTLY" if "concurrently" in _options(statement.params) else ""
    if enum(statement, "kind") in _WHOLE:
        more = "DATABASE"
    yield Part(_refined("ReindexStmt", more), named(statement.relation))


def _options(nodes: Message) -> set[str]:
    return {unwrap(node).defname for node in nodes}


def _vacuum(statement: Message) -> Iterator[Part]:
    more = "VACUUM" if statement.is_vacuumcmd else "ANALYZE"
    if "full" in _options(statement.options):
        more = "FULL"
    on = [named(unwrap(rel).relation) for rel in statement.rels]
    yield from (Part(f"VacuumStmt.{more}", name) for name in on or [""])


# --- Rows, settings, transactions


def _within(statement: Message) -> Iterator[Part]:
    """Yield what the statement inside does, where it is executed with this one."""
    if kind(statement) != "ExplainStmt" or "analyze" in _options(statement.options):
        yield from parts(unwrap(statement.query))
    yield Part(kind(statement))


def _table_as(statement: Message) -> Iterator[Part]:
    yield Part("CreateTableAsStmt", named(statement.into.rel))
    inner = unwrap(statement.query)  # a query, or an EXECUTE
    yield from (part for part in parts(inner) if not part.kind.startswith("SelectStmt"))


def _copy(statement: Message) -> Iterator[Part]:
    more = "PROGRAM" if statement.is_program else "FROM" if statement.is_from else "TO"
    if statement.HasField("query"):
        yield from parts(unwrap(statement.query))
    yield Part(f"CopyStmt.{more}", named(statement.relation))


def _schema(statement: Message) -> Iterator[Part]:
    yield Part("CreateSchemaStmt", statement.schemaname, OTHER, label="schema")
    for element in statement.schema_elts:
        yield from parts(unwrap(element))


def _set(statement: Message) -> Iterator[Part]:
    if enum(statement, "kind") == "VAR_SET_MULTI":
        yield Part("VariableSetStmt.TRANSACTION", space=OTHER)
        return
    # Without it a backslash ends or hides what this reading takes for a string.
    strings_off = statement.name == "standard_conforming_strings" and not _is_on(statement)
    more = "MEANING" if strings_off or statement.name not in SETTINGS else ""
    yield Part(_refined("VariableSetStmt", more), space=OTHER, label=statement.name)


def _is_on(statement: Message) -> bool:
    constants = [node for node in map(unwrap, statement.args) if kind(node) == "A_Const"]
    return any(constant.sval.sval.lower() in ("on", "true", "yes", "1") for constant in constants)


def _transaction(statement: object) -> Iterator[Part]:
    what = enum(statement, "kind").removeprefix("TRANS_STMT_").replace("_", " ")
    yield Part(f"TransactionStmt.{what}", space=OTHER, label=what)


_QUERIES = ("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
_PARTS: dict[str, Callable[[Message], Iterator[Part]]] = {
    "AlterTableStmt": alter_table,
    "DropStmt": drop,
    "RenameStmt": rename,
    "AlterObjectSchemaStmt": move,
    "AlterOwnerStmt": move,
    "IndexStmt": _index,
    "CreateStmt": _create,
    "ViewStmt": _view,
    "CreateFunctionStmt": _function,
    "AlterFunctionStmt": _alter_function,
    "RefreshMatViewStmt": _refresh,
    "DefineStmt": _define,
    "AlterEnumStmt": _enum,
    "AlterDomainStmt": _domain,
    **dict.fromkeys(["GrantStmt", "GrantRoleStmt", "AlterDefaultPrivilegesStmt"], _grant),
    **dict.fromkeys(["TruncateStmt", "LockStmt"], _relations),
    "ReindexStmt": _reindex,
    "VacuumStmt": _vacuum,
    **dict.fromkeys(_QUERIES, of_query),
    **dict.fromkeys(["ExplainStmt", "PrepareStmt", "DeclareCursorStmt"], _within),
    "CreateTableAsStmt": _table_as,
    "CopyStmt": _copy,
    "CreateSchemaStmt": _schema,
    "VariableSetStmt": _set,
    "TransactionStmt": _transaction,
}
