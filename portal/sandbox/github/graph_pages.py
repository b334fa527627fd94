"""Pages of GraphQL lists, and GraphQL errors as GitHub words them."""

import base64
from typing import Any

from graphql import GraphQLError

Node = dict[str, Any]

MOST = 100


def error_shape(error: GraphQLError) -> Node:
    shape = {name: value for name, value in error.formatted.items() if name != "extensions"}
    return dict(error.extensions or {}) | shape


def fault(kind: str, message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"type": kind})


def connection(
    name: str,
    rows: list[Any],
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Node:
    """Return one page of `rows`; refuse what GitHub refuses: no bound, or one above a hundred."""
    bound = first if first is not None else last
    if bound is None:
        sentence = (
            f"You must provide a `first` or `last` value to properly paginate the `{name}`"
            " connection."
        )
        raise fault("MISSING_PAGINATION_BOUNDARIES", sentence)
    if bound > MOST:
        which = "first" if first is not None else "last"
        sentence = (
            f"Requesting {bound} records on the `{name}` connection exceeds the `{which}` limit"
        )
        raise fault("EXCESSIVE_PAGINATION", f"{sentence} of {MOST} records.")
    start = _offset(after) if after else 0
    end = _offset(before) - 1 if before else len(rows)
    if first is not None:
        end = min(end, start + first)
    else:
        start = max(start, end - bound)
    cursor = base64.b64encode(f"cursor:v2:{end}".encode()).decode() if end > start else None
    page = {"hasNextPage": end < len(rows), "endCursor": cursor}
    return {"totalCount": len(rows), "nodes": rows[start:end], "pageInfo": page}


def _offset(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor).decode().rsplit(":", 1)[1])
    except (ValueError, IndexError):
        message = f"`{cursor}` does not appear to be a valid cursor."
        raise fault("INVALID_CURSOR_ARGUMENTS", message) from None


def actor(login: str) -> Node:
    return {
        "__typename": "Bot" if login.endswith("[bot]") else "User",
        "login": login.removesuffix("[bot]"),
    }
