"""Credentials for GitHub and Railway: found in the settings, looked at first, never shown."""

import hmac
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import NoReturn

import github.Auth
import jwt
from django.conf import settings

from portal.outbound import http
from portal.outbound.http import ApiError
from portal.outbound.parsing import get_path, moment
from portal.redaction import hold

GITHUB_API_VERSION = "2022-11-28"
_GITHUB_KINDS = {
    "github_pat_": "fine-grained token",
    "ghp_": "classic token",
    "gho_": "OAuth token",
    "ghu_": "App user token",
    "ghs_": "App installation token",
    "ghr_": "refresh token",
}


@dataclass(frozen=True, eq=False)
class Secret:
    """A value that no `repr`, `str`, log line, page or pickle shows; `reveal()` does."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "Secret()"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._value.encode("utf-8", "replace"), other._value.encode("utf-8", "replace")
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: pass its name instead")


@dataclass(frozen=True)
class App:
    """A GitHub App as it is installed: its id, private key (PEM) and installation."""

    id: str
    private_key: str = field(repr=False)
    installation_id: str


def checked_token(token: str, setting: str, service: str) -> str:
    """Return `token`; raise `ApiError` (unauthorized) with its length, kind and fault if unfit."""
    if not token:
        raise ApiError(service, "unauthorized", f"{service} needs a token: set {setting}.")
    if fault := _fault(token):
        kind = github_token_kind(token.strip("\"' \t\r\n")) if service == "GitHub" else "token"
        message = f"{setting} holds a {kind} of {len(token)} characters that {fault}"
        raise ApiError(service, "unauthorized", f"{message}: set it again without that.")
    return token


def _fault(token: str) -> str:
    if not token.strip():
        return "are all spaces"
    if token != token.rstrip():
        return "ends with a line break" if token.endswith(("\n", "\r")) else "ends with a space"
    if token != token.lstrip():
        return "begins with a space or line break"
    if any(letter.isspace() for letter in token):
        return "has a space or line break inside"
    if token[0] in "\"'" or token[-1] in "\"'":
        return "is wrapped in quotation marks"
    if token.lower().startswith(("bearer ", "token ")):
        return "begins with the name of a header"
    if not token.isascii() or not token.isprintable():
        return "has a letter no token has"
    return ""


def github_token_kind(token: str) -> str:
    """Return what GitHub calls a token that begins like this."""
    return next((kind for start, kind in _GITHUB_KINDS.items() if token.startswith(start)), "token")


def github_auth(api_url: str, token: str | App | None = None) -> github.Auth.Auth:
    """Return what signs in at `api_url`: `token`, else GITHUB_TOKEN, else the App of the settings.

    Its `token` is the one now valid. Raise `ApiError` (unauthorized).
    """
    if isinstance(token, App):
        return _installation(os.getpid(), api_url, token)
    given = settings.GITHUB_TOKEN if token is None else token
    if given:
        return github.Auth.Token(checked_token(given, "GITHUB_TOKEN", "GitHub"))
    app = App(
        settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY, settings.GITHUB_APP_INSTALLATION_ID
    )
    if app == App("", "", ""):
        needed = "GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY and GITHUB_APP_INSTALLATION_ID"
        sentence = f"GitHub needs a credential: set GITHUB_TOKEN, or {needed}."
        raise ApiError("GitHub", "unauthorized", sentence)
    return _installation(os.getpid(), api_url, app)


@lru_cache(maxsize=16)
def _installation(process: int, api_url: str, app: App) -> "Installation":
    """One per process and App, so that its token (one hour) is fetched once."""
    private_key = app.private_key.replace("\\n", "\n")  # how several lines are written in one
    fault = ""
    if not app.id.isdigit() or not app.installation_id.isdigit():
        fault = "GITHUB_APP_ID and GITHUB_APP_INSTALLATION_ID must both be set and be numbers:"
        fault += " correct them."
    elif "PRIVATE KEY-----" not in private_key:
        fault = "GITHUB_APP_PRIVATE_KEY is not a private key in PEM form: paste the file GitHub"
        fault += " gave you."
    if fault:
        raise ApiError("GitHub", "unauthorized", fault)
    return Installation(api_url, github.Auth.AppAuth(app.id, private_key), app.installation_id)


class Installation(github.Auth.Auth):
    """An App's installation: fetches a token for an hour and renews it a minute before it ends.

    PyGithub's own class keeps a token of a malformed answer for good and reads answers of any size.
    """

    token_type = "token"  # noqa: S105  (the word in the header)

    def __init__(
        self,
        api_url: str,
        app: github.Auth.AppAuth,
        installation_id: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.address = f"{api_url}/app/installations/{installation_id}/access_tokens"
        self._app = app
        self._clock = clock
        self._lock = threading.Lock()
        # What the last token may do: name → "read", "write" or "admin".
        self.permissions: dict[str, str] = {}
        self._held: tuple[str, datetime] | None = None

    @property
    def token(self) -> str:
        """The token now valid; raises `ApiError`."""
        with self._lock:
            if self._held is None or self._held[1].timestamp() - 60 < self._clock():
                self._held = http.read_again(self._fetch)
            return self._held[0]

    def _fetch(self) -> tuple[str, datetime]:
        try:
            signed = self._app.create_jwt()
        except (jwt.PyJWTError, ValueError, TypeError):
            sentence = (
                "GITHUB_APP_PRIVATE_KEY cannot be used: paste the file GitHub gave you, whole."
            )
            raise ApiError("GitHub", "unauthorized", sentence) from None
        headers = {
            "Authorization": f"Bearer {signed}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": GITHUB_API_VERSION,
        }
        # No write: a token fetched in vain harms nobody.
        reply = http.send("GitHub", "POST", self.address, write=False, headers=headers)
        if reply.status >= 500 or reply.status == 429:
            sentence = f"GitHub gives no installation token (HTTP {reply.status})."
            sentence += " The portal tries again later."
            raise ApiError("GitHub", "unavailable", sentence, status=reply.status)
        if reply.status >= 300:
            sentence = (
                f"GitHub gives the App no installation token (HTTP {reply.status}): check"
                " GITHUB_APP_ID, GITHUB_APP_PRIVATE_KEY and GITHUB_APP_INSTALLATION_ID."
            )
            raise ApiError("GitHub", "unauthorized", sentence, status=reply.status)
        token = _installation_token(reply)
        hold(token[0])
        granted = get_path(reply.json(), "permissions")
        self.permissions = (
            {str(k): str(v) for k, v in granted.items()} if isinstance(granted, dict) else {}
        )
        return token


def _installation_token(reply: http.Reply) -> tuple[str, datetime]:
    try:
        answer = reply.json()
    except ValueError:
        raise http.malformed("GitHub", "no installation token in it", reply.status) from None
    token, ends = get_path(answer, "token"), moment(get_path(answer, "expires_at"))
    if not isinstance(token, str) or ends is None or not token or _fault(token):
        raise http.malformed("GitHub", "no installation token in it", reply.status)
    return token, ends


def railway_token(token: str | None = None) -> tuple[str, str]:
    """Return the Railway token and the kind of header it belongs in: "bearer" or "project".

    `token`, else RAILWAY_API_TOKEN (an account's or workspace's), else RAILWAY_TOKEN, which
    Railway's own tools use for project tokens. Raise `ApiError` (unauthorized).
    """
    if token is not None or settings.RAILWAY_API_TOKEN or not settings.RAILWAY_TOKEN:
        given = settings.RAILWAY_API_TOKEN if token is None else token
        return checked_token(given, "RAILWAY_API_TOKEN", "Railway"), "bearer"
    return checked_token(settings.RAILWAY_TOKEN, "RAILWAY_TOKEN", "Railway"), "project"
