"""One request to Railway's GraphQL API.

Failures come with any HTTP status, so words tell them apart.
"""

import json
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from environments.railway import request_counts
from portal import observed
from portal.outbound import http
from portal.outbound.credentials import railway_token
from portal.outbound.http import ApiError, Kind, Reply, Withhold
from portal.outbound.parsing import JsonObject, get_path, quoted, text
from portal.redaction import knowing

SERVICE = "Railway"
DOCUMENTS = Path(__file__).parent / "documents"
# Seconds; Railway allows one new environment per 30 s and workspace.
PAUSE_BETWEEN_ENVIRONMENTS = 35.0

# Words of an error (lower case), its kind, and its meaning for people. The first match counts.
_LIMITED = "Railway's request limit is used up: wait a while."
_UNAUTHORIZED = "Railway refuses the token: make a new workspace token and set RAILWAY_API_TOKEN."
_MEANINGS: list[tuple[tuple[str, ...], Kind, str]] = [
    (
        ("project token not found",),
        "wrong_header",
        "Railway finds no such project token: an account's or workspace's token belongs in"
        " RAILWAY_API_TOKEN, a project token in RAILWAY_TOKEN.",
    ),
    (
        ("two factor",),
        "forbidden",
        "The Railway workspace asks for two-factor authentication: use a token of a member who"
        " has it.",
    ),
    (
        ("too quickly", "only one environment can be created"),
        "too_quickly",
        "Railway allows one new environment per 30 seconds: the portal waits and asks again.",
    ),
    (("rate limit", "too many requests"), "rate_limited", _LIMITED),
    (
        ("cannot redeploy yet",),
        "unavailable",
        "Railway is still building the earlier deployment: it is tried again when that is done.",
    ),
    (
        ("commit not found",),
        "refused",
        "Railway does not find that commit in the service's repository: check repository and"
        " branch.",
    ),
    (
        ("not authorized",),
        "forbidden",
        "Railway answers “Not Authorized”: either the token may not do this, or the thing does"
        " not exist (any more); check the token's workspace and look in Railway.",
    ),
    (("unauthorized", "please login", "invalid token"), "unauthorized", _UNAUTHORIZED),
    (
        ("not found",),
        "not_found",
        "Railway does not find it: it may have been deleted; look in Railway.",
    ),
]
# The meaning of a status whose words tell nothing.
_STATUSES: dict[int, tuple[Kind, str]] = {
    401: ("unauthorized", _UNAUTHORIZED),
    403: (
        "forbidden",
        "Railway does not let the token do this: use a workspace token of that workspace.",
    ),
    429: ("rate_limited", _LIMITED),
}
_CODES: dict[str, tuple[Kind, str]] = {
    "GRAPHQL_VALIDATION_FAILED": (
        "outdated",
        "Railway no longer knows a field the portal asks for",
    ),
    "GRAPHQL_PARSE_FAILED": ("outdated", "Railway no longer understands the portal's question"),
    "BAD_USER_INPUT": ("refused", "Railway refuses a value"),
    "UNAUTHENTICATED": ("unauthorized", "Railway refuses the token"),
    "FORBIDDEN": ("forbidden", "Railway does not let the token do this"),
}


@cache
def fragment(file: str) -> str:
    """Return the text of one fragment, for documents that are put together."""
    return (DOCUMENTS / f"{file}.graphql").read_text()


@cache
def document(name: str) -> str:
    """Return the document `name` with the fragments it uses."""
    text = fragment(name)
    for part in ("Trigger", "Instance", "Deployment"):
        if f"...{part}State" in text:
            text += fragment(f"_{part.lower()}")
    return text


class Transport:
    """Requests to Railway with one token in one kind of header ("bearer" or "project")."""

    def __init__(
        self,
        api_url: str,
        token: str | None,
        header: str | None,
        clock: Callable[[], float] = time.time,
        withhold: Withhold | None = None,
    ) -> None:
        self.withhold = withhold
        self.url = http.checked_url(api_url, "RAILWAY_API_URL", SERVICE)
        self.token, kind = railway_token(token)
        self.header = header or kind
        self.clock = clock

    def ask(self, name: str, **variables: object) -> JsonObject:
        """Return the `data` of a query, up to 3 tries; any error in the answer is raised."""
        return self.ask_text(document(name), **variables)

    def ask_text(self, text: str, **variables: object) -> JsonObject:
        """Do the same as `ask`, for a document of `environments.railway.batch`."""
        return http.read_again(lambda: self._whole(text, variables))

    def ask_leniently(self, name: str, **variables: object) -> tuple[dict[str, object], list[str]]:
        """Do the same as `ask`; beside data, errors are returned in words and not raised."""

        def once() -> tuple[dict[str, object], list[str]]:
            data, errors, reply = self._post(document(name), variables)
            if errors and not any(value is not None for value in data.values()):
                raise self._error(reply, errors, write=False)
            return data, [self._words(error) or "no reason given" for error in errors[:5]]

        return http.read_again(once)

    def write(
        self, name: str, *, read_seconds: float = http.READ_SECONDS, **variables: object
    ) -> JsonObject:
        """Return the `data` of a mutation, sent once; any error in the answer is raised.

        Raise `WatchOnly` where the project only watches.
        """
        if self.withhold is not None:
            self.withhold(SERVICE, name.replace("_", " "), {"mutation": name, **variables})
        return self._whole(document(name), variables, write=True, read_seconds=read_seconds)

    def _whole(
        self,
        text: str,
        variables: dict[str, object],
        *,
        write: bool = False,
        read_seconds: float = http.READ_SECONDS,
    ) -> JsonObject:
        data, errors, reply = self._post(text, variables, write=write, read_seconds=read_seconds)
        if errors:
            raise self._error(reply, errors, write=write)
        return data

    def _post(
        self,
        text: str,
        variables: dict[str, object],
        *,
        write: bool = False,
        read_seconds: float = http.READ_SECONDS,
    ) -> tuple[dict[str, object], list[object], Reply]:
        # A null would unset a setting (Railway's own CLI leaves nulls out as well).
        kept = {key: value for key, value in variables.items() if value is not None}
        body = json.dumps({"query": text, "variables": kept})
        reply = http.send(
            SERVICE,
            "POST",
            self.url,
            write=write,
            headers={"Content-Type": "application/json", "Accept": "application/json"}
            | self._credential(),
            content=body.encode(),
            read_seconds=read_seconds,
        )
        request_counts.note(self.token, reply, self.clock())
        try:
            answer = reply.json()
        except ValueError:
            raise self._error(reply, [], write=write) from None
        errors = get_path(answer, "errors") or []
        if not isinstance(errors, list):
            errors = [errors]
        data = get_path(answer, "data")
        if not errors and (reply.status != 200 or not isinstance(data, dict)):
            raise self._error(reply, [], write=write)
        content = data if isinstance(data, dict) else {}
        if not errors and any(value is not None for value in content.values()):
            observed.note_accepted(request_counts.key_of(self.token))
        return content, errors, reply

    def with_header(self, header: str) -> "Transport":
        """Return the same address and token, sent in the other kind of header."""
        return Transport(self.url, self.token, header, self.clock, self.withhold)

    def _credential(self) -> dict[str, str]:
        if self.header == "project":
            return {"Project-Access-Token": self.token}
        return {"Authorization": f"Bearer {self.token}"}

    def _words(self, error: object) -> str:
        with knowing(self.token):
            return quoted(get_path(error, "message"))

    def _error(self, reply: Reply, errors: list[object], *, write: bool) -> ApiError:
        """Return what the first error, or none, means: by its words, its code, the status."""
        words = self._words(errors[0]) if errors else ""
        code = text(get_path(errors[0], "extensions", "code")) if errors else ""
        kind, sentence = _meaning(words, code, reply.status, write)
        wait = None
        if kind in {"rate_limited", "unavailable"}:
            wait = http.retry_after(reply.headers, self.clock())
        if kind == "too_quickly":
            wait = PAUSE_BETWEEN_ENVIRONMENTS
        return ApiError(
            SERVICE, kind, sentence, status=reply.status, retry_after=wait, detail=words
        )


def _meaning(words: str, code: str, status: int, write: bool) -> tuple[Kind, str]:
    for parts, kind, sentence in _MEANINGS:
        if any(part in words.lower() for part in parts):
            return kind, sentence
    if code in _CODES:
        kind, start = _CODES[code]
        fix = "the portal needs an update" if kind == "outdated" else "correct it and try again"
        return kind, f"{start}{f' ({words})' if words else ''}: {fix}."
    if status in _STATUSES:
        return _STATUSES[status]
    if 300 <= status < 500 and not words:
        return "refused", f"Railway answers HTTP {status}: check RAILWAY_API_URL."
    if write:
        return "unknown_outcome", http.unknown_outcome(SERVICE).sentence
    if status == 200 and not words:
        return "malformed", http.malformed(SERVICE, "not a GraphQL answer").sentence
    message = words or f"HTTP {status}"
    return "unavailable", f"Railway could not answer ({message}). The portal asks again later."
