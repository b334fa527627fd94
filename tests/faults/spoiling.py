"""Ways in which an honest answer is spoiled on its way: nothing here makes a bad state look like a
good one.

A value is lost (null, missing, another type, an unknown word, an old commit), a list ends too soon
(and says that there is more), or the whole answer is none (429, 5xx, HTML, half a JSON, GraphQL
errors, no answer at all).
"""

import copy
import json
import random
import re
from typing import Any

from portal.sandbox.server import Response

COMMIT = re.compile(r"[0-9a-f]{40}")
WORD = re.compile(r"[A-Z][A-Z_]+")
HTML = b"<!doctype html><title>502 Bad Gateway</title><h1>Bad gateway</h1>"
Place = tuple[Any, Any]  # a container and the key in it


def spoiled(response: Response, dice: random.Random, old: str) -> tuple[str, Response | None]:
    """The name of the fault, and what arrives instead of `response` (None: nothing); `old` is a
    commit of yore.
    """
    name = dice.choice((*WHOLE, *(["value"] * 12)))
    if name != "value":
        return name, WHOLE[name](response)
    try:
        body = copy.deepcopy(json.loads(response.encoded()))
    except ValueError:
        return "html", Response(200, HTML, {"Content-Type": "text/html"})
    message = [_spoil_value(body, dice, old) for _ in range(dice.choice((1, 1, 2, 5)))]
    return message[0], Response(response.status, body, response.headers)


def _graphql(response: Response) -> Response:
    return Response(
        200, {"data": None, "errors": [{"message": "Something went wrong", "path": ["repository"]}]}
    )


def _partial(response: Response) -> Response:
    """GraphQL with data and errors at once."""
    try:
        body = json.loads(response.encoded())
    except ValueError:
        return _graphql(response)
    if isinstance(body, dict) and isinstance(body.get("data"), dict):
        body["errors"] = [{"message": "Timeout on a part of it", "path": ["repository", "open"]}]
    return Response(200, body)


WHOLE = {
    "429": lambda response: Response(429, {"message": "slow down"}, {"Retry-After": "60"}),
    "500": lambda response: Response(500, {"message": "oops"}),
    "502": lambda response: Response(502, HTML, {"Content-Type": "text/html"}),
    "html": lambda response: Response(200, HTML, {"Content-Type": "text/html"}),
    "truncated": lambda response: Response(
        response.status, response.encoded()[: len(response.encoded()) // 2]
    ),
    "empty": lambda response: Response(200, b""),
    "empty object": lambda response: Response(200, {}),
    "data null": lambda response: Response(200, {"data": None}),
    "graphql errors": _graphql,
    "data and errors": _partial,
    "no answer": lambda response: None,
}


def _places(value: Any) -> list[Place]:
    """Every key of every object and every index of every list in it."""
    found: list[Place] = []
    todo = [value]
    while todo:
        one = todo.pop()
        pairs = (
            one.items()
            if isinstance(one, dict)
            else enumerate(one)
            if isinstance(one, list)
            else ()
        )
        for key, inner in pairs:
            found.append((one, key))
            todo.append(inner)
    return found


def _spoil_value(body: Any, dice: random.Random, old: str) -> str:
    """Loses one value somewhere in `body`; says how."""
    places = _places(body)
    if not places:
        return "nothing to spoil"
    # Commits, words and lists decide, and are few: they get their share.
    message = [(holder, key) for holder, key in places if isinstance(holder[key], str)]
    kinds = (
        [one for one in message if COMMIT.fullmatch(one[0][one[1]])],
        [one for one in message if WORD.fullmatch(one[0][one[1]])],
        [place for place in places if isinstance(place[0][place[1]], list)],
        places,
        places,
    )
    holder, key = dice.choice(dice.choice(kinds) or places)
    value = holder[key]
    if isinstance(value, str) and COMMIT.fullmatch(value):
        holder[key] = dice.choice((old, None, value[:7], "", "HEAD"))
        return "stale or cut commit"
    if isinstance(value, str) and WORD.fullmatch(value):
        holder[key] = dice.choice(("BRAND_NEW_WORD", "", None, 7))
        return "unknown word"
    if isinstance(value, list) and value and isinstance(holder, dict):
        return _cut(holder, key, dice)
    if isinstance(value, bool):
        holder[key] = dice.choice((None, "yes", 1))
        return "another type"
    if isinstance(holder, dict) and dice.random() < 0.5:
        del holder[key]
        return "missing key"
    holder[key] = None if dice.random() < 0.6 else dice.choice(([], {}, 0, "", "x"))
    return "null or another type"


def _cut(holder: dict[str, Any], key: str, dice: random.Random) -> str:
    """A page that ends too soon.

    Where pages are told it says that there is more, and not always where.
    """
    info = holder.get("pageInfo")
    if not isinstance(info, dict):
        holder[key] = None
        return "null for a list"
    holder[key] = holder[key][: dice.randrange(len(holder[key]))]
    info["hasNextPage"] = True
    info["endCursor"] = dice.choice((info.get("endCursor"), None, "", "bogus"))
    return "partial page"
