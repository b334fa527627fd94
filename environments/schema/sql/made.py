"""Which objects a statement creates, so that no query can use them yet."""

from dataclasses import replace

from environments.schema.sql.objects import drop
from environments.schema.sql.parser import Message, enum, joined, kind, named, strings
from environments.schema.sql.part import FUNCTION, RELATION, RENAMED, TYPE, Part
from environments.schema.sql.parts import parts


class Names:
    """What a plan has made so far, and under which name each other object stood before it."""

    def __init__(self) -> None:
        self._made: set[tuple[str, str]] = set()
        self._before: dict[tuple[str, str], str] = {}

    def is_new(self, part: Part) -> bool:
        """Return whether the plan itself made what the part acts on."""
        return bool(part.name) and (part.space, part.name) in self._made

    def before(self, part: Part) -> Part:
        """Return the part with the name that its object had before the plan."""
        return replace(part, name=self._before.get((part.space, part.name), part.name))

    def see(self, statement: Message) -> None:
        """Take in what `statement` makes, renames and drops."""
        if (other := _renamed(statement)) is not None:
            old, new = (RELATION, named(statement.relation)), (RELATION, other)
            if old in self._made:
                self._made = self._made - {old} | {new}
            else:
                self._made.discard(new)
                self._before[new] = self._before.pop(old, old[1])
            return
        gone = {(one.space, one.name) for one in drop(statement)} if _drops(statement) else set()
        fresh = made(statement)
        self._made = self._made - gone | fresh
        for key in gone | fresh:
            self._before.pop(key, None)
        if any(_redirects(part) for part in parts(statement)):
            self._made = set()  # a name may mean another object from here on


def _drops(statement: Message) -> bool:
    return kind(statement) == "DropStmt"


def _redirects(part: Part) -> bool:
    setting = part.kind == "VariableSetStmt.MEANING" and part.label in ("search_path", "")
    return setting or part.kind in ("FuncCall.set_config", "DiscardStmt")


def _renamed(statement: Message) -> str | None:
    """Return the new name of a relation that is renamed or moved to another schema."""
    node = kind(statement)
    if node == "RenameStmt" and RENAMED.get(enum(statement, "rename_type")) == RELATION:
        return joined([statement.relation.schemaname, statement.newname])
    if node == "AlterObjectSchemaStmt" and statement.HasField("relation"):
        return joined([statement.newschema, statement.relation.relname])
    return None


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
    return frozenset()
