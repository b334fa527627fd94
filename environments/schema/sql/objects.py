"""Statements that drop, rename or move a whole object."""

from collections.abc import Iterator

from environments.schema.sql.parser import Message, enum, joined, kind, named, texts
from environments.schema.sql.part import LABELS, OTHER, RELATION, SPACES, TYPE, Part


def drop(statement: Message) -> Iterator[Part]:
    what = enum(statement, "remove_type").removeprefix("OBJECT_")
    label = LABELS.get(what, what.lower().replace("_", " "))
    more = " CONCURRENTLY" if statement.concurrent else ""
    for object_ in statement.objects:
        name = joined(texts(object_))
        if what in ("TRIGGER", "RULE", "POLICY"):
            name = joined(texts(object_)[:-1])  # its table
        space = SPACES.get(what, OTHER)
        yield Part(f"DropStmt.{what}{more}", name, space, label=label)
        if enum(statement, "behavior") == "DROP_CASCADE":
            yield Part("DropStmt.CASCADE", name, space, label=label)


def rename(statement: Message) -> Iterator[Part]:
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
        else SPACES.get(what, TYPE if what in ("ATTRIBUTE", "DOMCONSTRAINT") else OTHER)
    )
    yield Part(
        f"RenameStmt.{what}", name, space, label=LABELS.get(what, what.lower().replace("_", " "))
    )


def move(statement: Message) -> Iterator[Part]:
    what = enum(statement, "object_type").removeprefix("OBJECT_")
    name = (
        named(statement.relation)
        if statement.HasField("relation")
        else joined(texts(statement.object))
    )
    label = LABELS.get(what, what.lower().replace("_", " "))
    yield Part(kind(statement), name, SPACES.get(what, OTHER), label=label)
