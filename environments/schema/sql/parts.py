"""What one statement does, part by part: the kind of each part, and the object on which it acts.

A kind is the name of PostgreSQL's own node, refined where a detail decides what there is to say:
`AlterTableStmt.AT_DropColumn`, `DropStmt.TABLE`, `IndexStmt.UNIQUE`. `kinds.KINDS` says what each
means.
"""

from collections.abc import Callable, Iterator

from environments.schema.sql.alter_table import alter_table
from environments.schema.sql.functions import SETTINGS
from environments.schema.sql.objects import drop, move, rename
from environments.schema.sql.parser import (
    Message,
    enum,
    joined,
    kind,
    named,
    strings,
    texts,
    unwrap,
)
from environments.schema.sql.part import FUNCTION, LABELS, OTHER, RELATION, SPACES, TYPE, Part
from environments.schema.sql.queries import of_query


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


# --- Other changes of the schema


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
    more = ".UNLOGGED" if statement.relation.relpersistence == "u" else ""
    yield Part(f"CreateStmt{more}", named(statement.relation))


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
    label = LABELS.get(what, what.lower())
    more = ".REPLACE" if statement.replace else ""
    yield Part(
        f"DefineStmt.{what}{more}",
        joined(strings(statement.defnames)),
        SPACES.get(what, OTHER),
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


def _within(statement: Message) -> Iterator[Part]:
    """Yield what the statement inside does, where it is executed with this one."""
    inner = unwrap(statement.query)
    explains = kind(statement) == "ExplainStmt"
    if not explains or any(unwrap(option).defname == "analyze" for option in statement.options):
        yield from parts(inner)
    yield Part(kind(statement))


def _table_as(statement: Message) -> Iterator[Part]:
    yield Part("CreateTableAsStmt", named(statement.into.rel))
    inner = unwrap(statement.query)  # a query, or an EXECUTE
    yield from (one for one in parts(inner) if not one.kind.startswith("SelectStmt"))


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
    known = statement.name in SETTINGS and not strings_off
    yield Part(
        "VariableSetStmt" if known else "VariableSetStmt.MEANING", space=OTHER, label=statement.name
    )


def _is_on(statement: Message) -> bool:
    values = [unwrap(one) for one in statement.args]
    return any(
        kind(one) == "A_Const" and one.sval.sval.lower() in ("on", "true", "yes", "1")
        for one in values
    )


def _transaction(statement: object) -> Iterator[Part]:
    what = enum(statement, "kind").removeprefix("TRANS_STMT_").replace("_", " ")
    yield Part(f"TransactionStmt.{what}", space=OTHER, label=what)


_PARTS: dict[str, Callable[[Message], Iterator[Part]]] = {
    "AlterTableStmt": alter_table,
    "DropStmt": drop,
    "RenameStmt": rename,
    "AlterObjectSchemaStmt": move,
    "AlterOwnerStmt": move,
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
    "SelectStmt": of_query,
    "InsertStmt": of_query,
    "UpdateStmt": of_query,
    "DeleteStmt": of_query,
    "MergeStmt": of_query,
    "ExplainStmt": _within,
    "PrepareStmt": _within,
    "DeclareCursorStmt": _within,
    "CreateTableAsStmt": _table_as,
    "CopyStmt": _copy,
    "CreateSchemaStmt": _schema,
    "VariableSetStmt": _set,
    "TransactionStmt": _transaction,
}
