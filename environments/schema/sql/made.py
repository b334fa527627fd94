"""Which objects a statement creates, so that no query can use them yet."""

from collections.abc import Callable
from dataclasses import replace

from environments.schema.sql.parser import Message, enum, joined, kind, named, path
from environments.schema.sql.part import FUNCTION, RELATION, RELATIONS, TYPE, Part
from environments.schema.sql.parts import drop, parts


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
        dropped = drop(statement) if kind(statement) == "DropStmt" else ()
        gone, fresh = {(part.space, part.name) for part in dropped}, made(statement)
        self._made = self._made - gone | fresh
        for key in gone | fresh:
            self._before.pop(key, None)
        if any(_redirects(part) for part in parts(statement)):
            self._made = set()  # a name may mean another object from here on


def _redirects(part: Part) -> bool:
    setting = part.kind == "VariableSetStmt.MEANING" and part.label in ("search_path", "")
    return setting or part.kind in ("FuncCall.set_config", "DiscardStmt")


def _renamed(statement: Message) -> str | None:
    """Return the new name of a relation that is renamed or moved to another schema."""
    node = kind(statement)
    if node == "RenameStmt" and enum(statement, "rename_type").removeprefix("OBJECT_") in RELATIONS:
        return joined([statement.relation.schemaname, statement.newname])
    if node == "AlterObjectSchemaStmt" and statement.HasField("relation"):
        return joined([statement.newschema, statement.relation.relname])
    return None


_MADE: dict[str, tuple[str, Callable[[Message], str]]] = {
    "CreateStmt": (RELATION, lambda it: named(it.relation)),
    "CreateForeignTableStmt": (RELATION, lambda it: named(it.base_stmt.relation)),
    "CreateTableAsStmt": (RELATION, lambda it: named(it.into.rel)),
    "ViewStmt": (RELATION, lambda it: named(it.view)),
    "CreateSeqStmt": (RELATION, lambda it: named(it.sequence)),
    "IndexStmt": (RELATION, lambda it: joined([it.relation.schemaname, it.idxname])),
    "CreateFunctionStmt": (FUNCTION, lambda it: path(it.funcname)),
    "CreateEnumStmt": (TYPE, lambda it: path(it.type_name)),
    "CreateRangeStmt": (TYPE, lambda it: path(it.type_name)),
    "CreateDomainStmt": (TYPE, lambda it: path(it.domainname)),
    "CompositeTypeStmt": (TYPE, lambda it: named(it.typevar)),
}


def made(statement: Message) -> set[tuple[str, str]]:
    """Return the objects (their space and name) that surely did not exist before `statement`."""
    node = kind(statement)
    unsure = getattr(statement, "if_not_exists", False) or getattr(statement, "replace", False)
    if unsure or node not in _MADE:
        return set()
    space, name = _MADE[node]
    return {(space, name(statement))}
