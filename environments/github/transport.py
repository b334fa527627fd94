"""One request to GitHub: PyGithub's requester knows addresses, credentials and versions, the
line beneath is ours; what comes back is an answer or an `ApiError` that says what to do.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import NoReturn

from environments.github import limits, refusals
from environments.github.refusals import SERVICE
from portal.outbound import http
from portal.outbound.credentials import GITHUB_API_VERSION, App, Installation, github_requester
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


class _Line:
    """What PyGithub calls a connection, for one request.

    PyGithub's own reads answers of any size, repeats a 202 without end, sends a write again after a
    301 and stumbles over odd rate headers. So it is told "200, nothing", and the answer stays here,
    in `reply`.
    """

    status = 200
    reply: Reply

    def __init__(self, origin: str, write: bool) -> None:
        self.origin = origin
        self.write = write

    def request(
        self, verb: str, url: str, body: str | None, headers: dict[str, str], stream: bool = False
    ) -> None:
        self.arguments = (verb, url, body, headers)

    def getresponse(self) -> "_Line":
        verb, url, body, headers = self.arguments
        self.reply = http.send(
            SERVICE,
            verb,
            self.origin + url,
            write=self.write,
            headers={"Accept": "application/vnd.github+json"} | headers,
            content=body.encode() if body is not None else None,
        )
        return self

    def getheaders(self) -> list[tuple[str, str]]:
        return []

    def read(self) -> str:
        return ""


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
        self.requester = github_requester(
            http.checked_url(api_url, "GITHUB_API_URL", SERVICE), token
        )
        self.origin = f"{self.requester.scheme}://{self.requester.hostname_and_port}"
        self.kept = kept
        self.clock = clock

    def get(self, doing: str, path: str, **query: str | int) -> object:
        """Return the JSON at `path`.

        `doing` completes "GitHub does not let the token …". Tried up to 3 times.
        """
        return http.read_again(lambda: self._get(doing, path, query)[0])

    def scopes(self, doing: str, path: str) -> tuple[str, ...] | None:
        """Return what a classic token may do (GitHub names it beside any answer), or None for other
        kinds.
        """
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
        """Return all items of a paged list (under `key`, if it is wrapped); more than 10 pages
        raise `Malformed`.
        """
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
        if self.withhold is not None:
            self.withhold(SERVICE, doing, {"method": method, "path": path, "body": body})
        reply = self._request(method, path, {}, body, {}, write=True)
        if reply.status < 300 and not reply.body:
            return {}
        return self._read(reply, doing, write=True)

    def mutate(self, doing: str, document: str, variables: dict[str, object]) -> JsonObject:
        """Send one GraphQL mutation, once. Raise `WatchOnly` where the project only watches."""
        if self.withhold is not None:
            content: dict[str, object] = {"query": document, "variables": variables}
            self.withhold(SERVICE, doing, {"method": "POST", "path": "/graphql", "body": content})
        return self.graphql(doing, document, variables, write=True)

    def graphql(
        self, doing: str, document: str, variables: dict[str, object], *, write: bool = False
    ) -> JsonObject:
        """Send one query, tried once: an object with `data` and perhaps `errors`, both for the
        caller to judge.
        """
        body: dict[str, object] = {
            "query": document,
            "variables": {k: v for k, v in variables.items() if v is not None},
        }
        reply = self._request("POST", self.requester.graphql_url, {}, body, {}, write=write)
        answer = self._read(reply, doing, write=write)
        if not isinstance(answer, dict) or not isinstance(answer.get("errors") or [], list):
            raise self._unreadable(reply, "not a GraphQL answer", write=write)
        return answer

    def _get(self, doing: str, path: str, query: dict[str, str | int]) -> tuple[object, Reply]:
        key = self._key(path, query)
        etag, cached = self.kept.get(key, ("", None))
        reply = self._request(
            "GET", path, query, None, {"If-None-Match": etag} if etag else {}, write=False
        )
        if reply.status == 304 and cached is not None:
            reply = cached
        if reply.status in MOVED and (there := self._on_same_host(reply)):
            reply = self._request(
                "GET", there, {} if "?" in there else query, None, {}, write=False
            )
        answer = self._read(reply, doing, write=False)
        if (new := reply.headers.get("etag")) and len(reply.body) <= KEPT_BYTES:
            self.kept[key] = (new, reply)
        return answer, reply

    def _on_same_host(self, reply: Reply) -> str:
        """Return where a renamed repository is read now: a path of the same host, or "": no token
        goes elsewhere.
        """
        place = reply.headers.get("location", "")
        return place.removeprefix(self.origin) if place.startswith(f"{self.origin}/") else ""

    def _key(self, path: str, query: dict[str, str | int]) -> str:
        """ETags belong to the token (GitHub support), so an answer is kept for one address and
        one token.
        """
        message = "\n".join(
            [self._token(), self.origin, path, *(f"{k}={v}" for k, v in sorted(query.items()))]
        )
        return hashlib.sha256(message.encode()).hexdigest()

    def _read(self, reply: Reply, doing: str, *, write: bool) -> object:
        if reply.status >= 300 or (reply.status != 200 and not write):
            raise self.error(reply, doing, write=write)
        try:
            return reply.json()
        except ValueError:
            raise self._unreadable(reply, "not JSON", write=write) from None

    def _unreadable(self, reply: Reply, what: str, *, write: bool) -> ApiError:
        if write:
            return http.unknown_outcome(SERVICE, what, reply.status)
        return http.malformed(SERVICE, what, reply.status)

    def _request(
        self,
        method: str,
        path: str,
        query: dict[str, str | int],
        body: dict[str, object] | None,
        headers: dict[str, str],
        *,
        write: bool,
    ) -> Reply:
        self._token()
        line = _Line(self.origin, write)
        self.requester.requestJson(method, path, dict(query), headers, body, line)  # type: ignore[arg-type]
        limits.note(line.reply, self.account)
        return line.reply

    def _token(self) -> str:
        """Return the token now valid; an App's is fetched again each hour, and that is where an
        App's faults show.
        """
        auth = self.requester.auth
        assert auth is not None  # noqa: S101  (the requester is always made with one)
        return auth.token

    @property
    def account(self) -> str:
        """What names the credential where it must not stand: an App's installation keeps its name
        while its tokens change.
        """
        auth = self.requester.auth
        held = auth.address if isinstance(auth, Installation) else self._token()
        return hashlib.sha256(f"github account {held}".encode()).hexdigest()[:16]

    def error(self, reply: Reply, doing: str, *, write: bool) -> ApiError:
        """Return what an answer with an error status means, by status *and* words."""
        with knowing(self._token()):
            words = refusals.words_of(reply)
        kind, sentence = refusals.meaning(reply, doing, words, write)
        passing = kind in {"rate_limited", "unavailable"}
        wait = refusals.seconds_to_wait(reply, self.clock()) if passing else None
        if kind == "rate_limited" and wait is not None:
            limits.note_block(self.clock() + wait, self.account)
        return ApiError(
            SERVICE, kind, sentence, status=reply.status, retry_after=wait, detail=words
        )


def unreadable(error: Malformed, *, write: bool = False) -> NoReturn:
    """Raise the `ApiError` for an answer of the wrong shape."""
    if write:
        raise http.unknown_outcome(SERVICE, str(error)) from error
    raise http.malformed(SERVICE, str(error)) from error


__all__ = ["GITHUB_API_VERSION", "SERVICE", "Recent", "Transport", "unreadable"]
