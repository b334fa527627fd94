"""One request to GitHub with one credential; what comes back is an answer or an `ApiError` that
says what to do.
"""

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from urllib.parse import urlencode, urljoin

from environments.github import limits, refusals
from environments.github.refusals import SERVICE
from portal.outbound import http
from portal.outbound.credentials import GITHUB_API_VERSION, App, Installation, github_auth
from portal.outbound.http import ApiError, Reply, Withhold
from portal.outbound.parsing import JsonObject, Malformed, get_path, text
from portal.redaction import knowing

MAX_PAGES = 10
MOVED = frozenset({301, 302, 307, 308})
KEPT_ANSWERS = 256
KEPT_BYTES = 256 * 1024


class Recent(OrderedDict[str, tuple[str, Reply]]):
    """The last answers with their ETags; the oldest goes when there are too many."""

    def __setitem__(self, key: str, value: tuple[str, Reply]) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        while len(self) > KEPT_ANSWERS:
            self.popitem(last=False)


recent = Recent()


def _scope(name: str) -> str:
    return text(name, 60)


class Transport:
    """Requests to one GitHub with one credential."""

    def __init__(
        self,
        api_url: str,
        token: str | App | None,
        kept: MutableMapping[str, tuple[str, Reply]] = recent,
        clock: Callable[[], float] = time.time,
        withhold: Withhold | None = None,
    ) -> None:
        self.withhold = withhold
        self.api_url = http.checked_url(api_url, "GITHUB_API_URL", SERVICE)
        self.auth = github_auth(self.api_url, token)
        self.kept = kept
        self.clock = clock

    def get(self, doing: str, path: str, **query: str | int) -> object:
        """Return the JSON at `path`.

        `doing` completes "GitHub does not let the token …". Tried up to 3 times.
        """
        return http.read_again(lambda: self._get(doing, path, query)[0])

    def scopes(self, doing: str, path: str) -> tuple[str, ...] | None:
        """Return what a classic token may do, or None for other kinds."""
        return self.about_itself(doing, path)[0]

    def about_itself(self, doing: str, path: str) -> tuple[tuple[str, ...] | None, datetime | None]:
        """Return what GitHub tells of the token beside any answer: the scopes of a classic one
        (else None), and when it ends, in UTC (None: never, or not told).
        """
        reply = http.read_again(lambda: self._get(doing, path, {})[1])
        named = reply.headers.get("x-oauth-scopes")
        scopes = None if named is None else tuple(filter(None, map(_scope, named.split(","))))
        ends = limits.expiry(reply.headers.get(limits.EXPIRES, ""))
        return scopes, None if ends is None else datetime.fromtimestamp(ends, UTC)

    def pages(self, doing: str, path: str, key: str = "", **query: str | int) -> list[object]:
        """Return all items of a paged list (under `key`); over 10 pages raise `Malformed`."""
        items: list[object] = []
        for page in range(1, MAX_PAGES + 1):
            parameters = {**query, "per_page": 100, "page": page}
            answer, reply = http.read_again(lambda: self._get(doing, path, parameters))  # noqa: B023
            part = get_path(answer, key) if key else answer
            if not isinstance(part, list):
                raise Malformed(f"{key or 'the list'} is missing")
            items += part
            if 'rel="next"' not in reply.headers.get("link", ""):
                return items
        raise Malformed(f"the list has more than {MAX_PAGES} pages")

    def write(self, doing: str, method: str, path: str, body: dict[str, object]) -> object:
        """Send a change, once; return the JSON of the answer.

        Raise `WatchOnly` where the project only watches.
        """
        self._withhold(doing, method, path, body)
        reply = self._request(method, self.api_url + path, body, write=True)
        if reply.status < 300 and not reply.body:
            return {}
        return self._read(reply, doing, write=True)

    def mutate(self, doing: str, document: str, variables: dict[str, object]) -> JsonObject:
        """Send one GraphQL mutation, once. Raise `WatchOnly` where the project only watches."""
        self._withhold(doing, "POST", "/graphql", {"query": document, "variables": variables})
        return self.graphql(doing, document, variables, write=True)

    def _withhold(self, doing: str, method: str, path: str, body: dict[str, object]) -> None:
        if self.withhold is not None:
            self.withhold(SERVICE, doing, {"method": method, "path": path, "body": body})

    def graphql(
        self, doing: str, document: str, variables: dict[str, object], *, write: bool = False
    ) -> JsonObject:
        """Send one query, once; return `data` and perhaps `errors`, for the caller to judge."""
        body: dict[str, object] = {
            "query": document,
            "variables": {k: v for k, v in variables.items() if v is not None},
        }
        # On GitHub Enterprise Server REST is at /api/v3, GraphQL at /api/graphql.
        address = f"{self.api_url.removesuffix('/v3')}/graphql"
        reply = self._request("POST", address, body, write=write)
        answer = self._read(reply, doing, write=write)
        if not isinstance(answer, dict) or not isinstance(answer.get("errors") or [], list):
            raise http.unreadable(SERVICE, "not a GraphQL answer", write, reply.status)
        return answer

    def _get(self, doing: str, path: str, query: dict[str, str | int]) -> tuple[object, Reply]:
        address = _with(self.api_url + path, query)
        # ETags belong to the token (GitHub support).
        key = hashlib.sha256(f"{self.auth.token}\n{address}".encode()).hexdigest()
        etag, cached = self.kept.get(key, ("", None))
        reply = self._request("GET", address, etag=etag)
        if reply.status == 304 and cached is not None:
            reply = cached
        if reply.status in MOVED and (there := self._on_same_host(reply)):
            reply = self._request("GET", there if "?" in there else _with(there, query))
        answer = self._read(reply, doing, write=False)
        if (new := reply.headers.get("etag")) and len(reply.body) <= KEPT_BYTES:
            self.kept[key] = (new, reply)
        return answer, reply

    def _on_same_host(self, reply: Reply) -> str:
        """Return where a renamed repository is read now; "" off this host: no token goes there."""
        place = reply.headers.get("location", "")
        return place if place.startswith(urljoin(self.api_url, "/")) else ""

    def _read(self, reply: Reply, doing: str, *, write: bool) -> object:
        if reply.status >= 300 or (reply.status != 200 and not write):
            raise self.error(reply, doing, write=write)
        try:
            return reply.json()
        except ValueError:
            raise http.unreadable(SERVICE, "not JSON", write, reply.status) from None

    def _request(
        self,
        method: str,
        address: str,
        body: dict[str, object] | None = None,
        *,
        etag: str = "",
        write: bool = False,
    ) -> Reply:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"{self.auth.token_type} {self.auth.token}",
            "X-GitHub-Api-Version": GITHUB_API_VERSION,
        }
        if etag:
            headers["If-None-Match"] = etag
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        reply = http.send(SERVICE, method, address, write=write, headers=headers, content=content)
        limits.note(reply, self.account)
        return reply

    @property
    def account(self) -> str:
        """What names the credential where it must not stand: an App's installation keeps its name
        while its tokens change.
        """
        held = self.auth.address if isinstance(self.auth, Installation) else self.auth.token
        return hashlib.sha256(f"github account {held}".encode()).hexdigest()[:16]

    def error(self, reply: Reply, doing: str, *, write: bool) -> ApiError:
        """Return what an answer with an error status means, by status *and* words."""
        with knowing(self.auth.token):
            words = refusals.words_of(reply)
        kind, sentence = refusals.meaning(reply, doing, words, write)
        passing = kind in {"rate_limited", "unavailable"}
        wait = refusals.seconds_to_wait(reply, self.clock()) if passing else None
        if kind == "rate_limited" and wait is not None:
            limits.note_block(self.clock() + wait, self.account)
        return ApiError(
            SERVICE, kind, sentence, status=reply.status, retry_after=wait, detail=words
        )


def _with(address: str, query: Mapping[str, str | int]) -> str:
    return f"{address}?{urlencode(query)}" if query else address
