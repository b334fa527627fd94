"""Statements that drop, rename or move a whole object."""

from collections.abc import Iterator

from environments.schema.sql.parser import Message, enum, joined, kind, named, texts
from environments.schema.sql.part import ON_TABLE, OTHER, RELATION, SPACES, TYPE, Part, label_of


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
    yield Part(f"RenameStmt.{what}", _name(statement), space, label=label_of(what))


def move(statement: Message) -> Iterator[Part]:
    what = enum(statement, "object_type").removeprefix("OBJECT_")
    space = SPACES.get(what, OTHER)
    yield Part(kind(statement), _name(statement), space, label=label_of(what))


def _name(statement: Message) -> str:
    if statement.HasField("relation"):
        return named(statement.relation)
    return joined(texts(statement.object))
