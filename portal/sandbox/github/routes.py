"""The table of REST routes and what their handlers share."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from portal.sandbox.server import Request, Response

from .state import Refused, Viewer

if TYPE_CHECKING:
    from .hub import Hub


@dataclass(frozen=True)
class Ask:
    """One request to one route: who asks, and the parts of the path."""

    request: Request
    viewer: Viewer
    part: dict[str, str]

    def body(self) -> dict[str, Any]:
        """Return the JSON object sent; raise GitHub's 400 when it is none."""
        try:
            body = self.request.json()
        except ValueError:
            raise Refused(400, "Problems parsing JSON") from None
        if not isinstance(body, dict):
            raise Refused(400, "Body should be a JSON object")
        return body

    def need(self, *names: str) -> dict[str, Any]:
        """Return the JSON object sent, which must hold `names`; raise 422 otherwise."""
        body = self.body()
        missing = [name for name in names if body.get(name) is None]
        if missing:
            listed = ", ".join(f'"{name}"' for name in missing)
            raise Refused(422, f"Invalid request.\n\n{listed} wasn't supplied.")
        return body

    def number(self, name: str) -> int:
        """Return a number out of the path; raise 404 when it is none."""
        if not self.part[name].isdigit():
            raise Refused(404, "Not Found")
        return int(self.part[name])


Handler = Callable[["Hub", Ask], Response]

# These parts may hold slashes (`x-multi-segment` in openapi.json).
WIDE = {"branch", "ref", "path", "basehead"}
_routes: list[tuple[str, re.Pattern[str], Handler]] = []


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Register a handler; register more specific patterns first."""

    def part(match: re.Match[str]) -> str:
        return f"(?P<{match[1]}>{'.+?' if match[1] in WIDE else '[^/]+'})"

    compiled = re.compile(re.sub(r"{(\w+)}", part, pattern))

    def register(handler: Handler) -> Handler:
        _routes.append((method, compiled, handler))
        return handler

    return register


def repo(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Register as `route`, under `/repos/{owner}/{repo}`."""
    return route(method, "/repos/{owner}/{repo}" + pattern)


def matching(method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
    """Return the handler for a path and the path's parts, unquoted."""
    for wanted, pattern, handler in _routes:
        if wanted == method and (match := pattern.fullmatch(path)):
            return handler, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def paged(hub: "Hub", ask: Ask, items: Iterable[Any], key: str = "") -> Response:
    """One page of `items`, with `Link`; under `key` beside `total_count` when one is named."""
    rows = list(items)
    size, page = page_of(ask)
    shown = rows[(page - 1) * size : page * size]
    headers = links(hub, ask, page, max(1, -(-len(rows) // size)))
    return Response(200, {"total_count": len(rows), key: shown} if key else shown, headers)


def page_of(ask: Ask) -> tuple[int, int]:
    """Return `per_page` (30, at most 100) and `page`."""
    query = ask.request.query

    def whole(name: str, default: int) -> int:
        value = query.get(name, "")
        return int(value) if value.isdigit() and int(value) else default

    return min(whole("per_page", 30), 100), whole("page", 1)


def links(hub: "Hub", ask: Ask, page: int, last: int) -> dict[str, str]:
    """Return the `Link` header; empty when one page holds all."""
    wanted = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    if page >= last:
        wanted = {"prev": page - 1, "first": 1}
    if page <= 1:
        wanted = {name: at for name, at in wanted.items() if name in ("next", "last")}
    url = f"{hub.url}{ask.request.path}"
    parts = [
        f'<{url}?{urlencode(ask.request.query | {"page": str(at)})}>; rel="{name}"'
        for name, at in wanted.items()
    ]
    return {"Link": ", ".join(parts)} if parts else {}
