"""How resolvers are registered and found, and the pages of lists."""

from collections.abc import Callable
from typing import Any

from graphql import GraphQLResolveInfo

from .access import Caller
from .world import Refused, Row

Resolver = Callable[..., Any]


RESOLVERS: dict[tuple[str, str], Resolver] = {}


PAGE_LIMIT = 1000


def field(type_name: str, name: str) -> Callable[[Resolver], Resolver]:
    """Register `resolver(source, caller, **arguments)` for one field of one type."""

    def register(resolver: Resolver) -> Resolver:
        RESOLVERS[type_name, name] = resolver
        return resolver

    return register


def query(resolver: Callable[..., Any]) -> Callable[..., Any]:
    """Register `resolver(caller, **arguments)` for the field of `Query` with its name."""
    RESOLVERS["Query", resolver.__name__] = lambda source, caller, **arguments: resolver(
        caller, **arguments
    )
    return resolver


def mutation(resolver: Callable[..., Any]) -> Callable[..., Any]:
    """Register `resolver(caller, **arguments)` for the field of `Mutation` with its name."""

    def run(source: Any, caller: Caller, **arguments: Any) -> Any:
        if caller.token is None:
            raise Refused()
        caller.world.dirty = True
        return resolver(caller, **arguments)

    RESOLVERS["Mutation", resolver.__name__] = run
    return resolver


def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    """Return the field resolver given to graphql-core."""
    resolver = RESOLVERS.get((info.parent_type.name, info.field_name))
    if resolver is None:
        return source.get(info.field_name)
    return resolver(source, info.context, **arguments)


def page(
    rows: list[Row],
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Row:
    """Return a Relay connection over `rows`; a cursor is the row's id, one that is gone starts
    over.
    """
    ids = [row["id"] for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    end = ids.index(before) if before in ids else len(rows)
    window = rows[start:end]
    window = window[-last:] if last else window[: PAGE_LIMIT if first is None else first]
    begins = ids.index(window[0]["id"]) if window else start
    return {
        "edges": [{"cursor": row["id"], "node": row} for row in window],
        "pageInfo": {
            "startCursor": window[0]["id"] if window else None,
            "endCursor": window[-1]["id"] if window else None,
            "hasNextPage": begins + len(window) < len(rows),
            "hasPreviousPage": begins > 0,
        },
    }
