"""Parse SQL with PostgreSQL's own grammar (libpg_query, version 18) and walk the tree."""

import re
from collections.abc import Iterator
from typing import Any

from environments.schema.run.alembic_env.statements import bare

# libpg_query builds its answer recursively and without a guard: some 50,000 characters of `1+1+…`
# overflow the stack.
LONGEST = 20_000
_NAME = re.compile(r"[a-z_][a-z0-9_$]*")
_ROW = re.compile(r"\(\s*(?:(?:''|-?[\d.]+|null|true|false|default)\s*,?\s*)+\)\s*,\s*", re.I)

# One node of PostgreSQL's own parse tree: a protobuf message, of which mypy knows nothing.
type Message = Any


class UnreadableError(Exception):
    """PostgreSQL's grammar does not know the text, or it is too long or too deep."""


def parse(sql: str) -> tuple[Message, ...]:
    """Return the statements of `sql` as libpg_query's messages. Raise `UnreadableError`."""
    # Imported here because only jobs look at SQL: the messages cost each process a quarter of a
    # second and 20 MB.
    from google.protobuf.message import DecodeError
    from postgast import PgQueryError
    from postgast import parse as read

    if len(bare(sql)) > LONGEST:  # the last of many rows of plain values says as much as all
        sql = _ROW.sub("", bare(sql))
        if len(bare(sql)) > LONGEST:
            raise UnreadableError(f"It is longer than {LONGEST:,} characters.")
    try:
        return tuple(unwrap(stmt.stmt) for stmt in read(sql).stmts)
    except PgQueryError as error:
        raise UnreadableError(f"PostgreSQL's grammar does not know it: {error}.") from None
    except (DecodeError, ValueError, RecursionError):
        raise UnreadableError("It is nested too deeply.") from None


def words(sql: str) -> tuple[str, ...]:
    """Return the words of `sql` as PostgreSQL reads them, without comments; a string is one word,
    with all its spaces. The whole text where it cannot be read.
    """
    from postgast import PgQueryError, scan
    from postgast.pg_query_pb2 import C_COMMENT, SQL_COMMENT

    text = sql.encode()
    try:
        tokens = [
            token for token in scan(sql).tokens if token.token not in (C_COMMENT, SQL_COMMENT)
        ]
    except (PgQueryError, ValueError):
        return (sql.strip(),)
    return tuple(text[token.start : token.end].decode(errors="replace") for token in tokens)


def unwrap(message: Message) -> Message:
    """Return what a `Node` holds; any other message as it is, None for an empty `Node`."""
    if message.DESCRIPTOR.name != "Node":
        return message
    field = message.WhichOneof("node")
    return None if field is None else getattr(message, field)


def walk(message: object) -> Iterator[Message]:
    """Yield `message` and every message within, outermost first."""
    waiting = [message]
    while waiting:
        here = unwrap(waiting.pop())
        if here is None:
            continue
        yield here
        inner: list[object] = []
        for field, value in here.ListFields():
            if field.message_type is not None:
                inner += [value] if hasattr(value, "DESCRIPTOR") else list(value)
        waiting += reversed(inner)


def kind(message: Message) -> str:
    """Return the message's type, such as `AlterTableStmt`."""
    return str(message.DESCRIPTOR.name)


def enum(message: Message, field: str) -> str:
    """Return the name of the value that an enumerated field has."""
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return str(values[getattr(message, field)].name)


def named(relation: Message) -> str:
    """Return the name of a `RangeVar` as `joined` writes it."""
    return joined([relation.schemaname, relation.relname])


def texts(message: Message) -> list[str]:
    """Return the parts of the name of a list, a type, a function or a plain string."""
    here = unwrap(message)
    if here is None:
        return []
    if kind(here) == "String":
        return [here.sval]
    for field in ("items", "names", "objname"):
        if field in here.DESCRIPTOR.fields_by_name:
            return strings(getattr(here, field))
    return []


def strings(nodes: Message) -> list[str]:
    """Return the strings among `nodes`."""
    return [node.string.sval for node in nodes if node.WhichOneof("node") == "string"]


def path(nodes: Message) -> str:
    """Return the name whose parts are `nodes`, as `joined` writes it."""
    return joined(strings(nodes))


def joined(parts: list[str]) -> str:
    """Return a name as people write it: quoted where it must be, without the schema public."""
    kept = [part for part in parts if part]
    if len(kept) > 1 and kept[0] == "public":
        kept = kept[1:]
    return ".".join(
        part if _NAME.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in kept
    )
