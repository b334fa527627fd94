"""Which objects a statement makes, so that nobody can rest on them yet."""

from environments.schema.sql.parser import Message, enum, joined, kind, named, strings
from environments.schema.sql.part import FUNCTION, RELATION, RENAMED, TYPE


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
        and RENAMED.get(enum(statement, "rename_type")) == RELATION
    ):
        return frozenset({(RELATION, joined([statement.relation.schemaname, statement.newname]))})
    return frozenset()
