"""Credentials for GitHub and Railway: found in the settings, looked at before the first call, never shown."""

import hmac
import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn

import github
import github.Auth
from django.conf import settings
from github.Requester import Requester

from portal.http import READ_SECONDS, USER_AGENT, ApiError

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
    """A value that no `repr`, `str`, log line, page or pickle shows; `reveal()` is the one way to it."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return "Secret()"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode("utf-8", "replace"), other._value.encode("utf-8", "replace"))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: pass its name instead")


def checked_token(token: str, setting: str, service: str) -> str:
    """`token` as it is, or `ApiError` (unauthorized) naming its length, kind and fault, never the token."""
    if not token:
        raise ApiError(service, "unauthorized", f"{service} needs a token: set {setting}.")
    if fault := _fault(token):
        kind = github_token_kind(token.strip("\"' \t\r\n")) if service == "GitHub" else "token"
        sentence = f"{setting} holds a {kind} of {len(token)} characters that {fault}: set it again without that."
        raise ApiError(service, "unauthorized", sentence)
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
    """What GitHub calls a token that begins like this."""
    return next((kind for start, kind in _GITHUB_KINDS.items() if token.startswith(start)), "token")


def github_requester(api_url: str, token: str | None = None) -> Requester:
    """PyGithub's requester for `api_url`, with `token`, else GITHUB_TOKEN, else the App of the settings.

    It never retries, never paces and gives up after a time limit. One per process and credential, so that an
    App's installation token (one hour) is fetched once. Raises `ApiError` (unauthorized).
    """
    given = settings.GITHUB_TOKEN if token is None else token
    app = (settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY, settings.GITHUB_APP_INSTALLATION_ID)
    if given or not any(app):
        if not given:
            raise ApiError(
                "GitHub",
                "unauthorized",
                "GitHub needs a credential: set GITHUB_TOKEN, or GITHUB_APP_ID with "
                "GITHUB_APP_PRIVATE_KEY and GITHUB_APP_INSTALLATION_ID.",
            )
        return _requester(os.getpid(), api_url, checked_token(given, "GITHUB_TOKEN", "GitHub"), None)
    return _requester(os.getpid(), api_url, "", app)


@lru_cache(maxsize=16)
def _requester(process: int, api_url: str, token: str, app: tuple[str, str, str] | None) -> Requester:
    auth: github.Auth.Auth = _app_auth(*app) if app else github.Auth.Token(token)
    return Requester(
        auth=auth,
        base_url=api_url,
        timeout=int(READ_SECONDS),
        user_agent=USER_AGENT,
        per_page=100,
        verify=True,
        retry=None,
        pool_size=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
        api_version=GITHUB_API_VERSION,
    )


def _app_auth(app_id: str, private_key: str, installation_id: str) -> github.Auth.AppInstallationAuth:
    if not app_id.isdigit() or not installation_id.isdigit():
        sentence = "GITHUB_APP_ID and GITHUB_APP_INSTALLATION_ID must both be set and be numbers: correct them."
        raise ApiError("GitHub", "unauthorized", sentence)
    private_key = private_key.replace("\\n", "\n")  # how a key of several lines is written in one
    if "PRIVATE KEY-----" not in private_key:
        sentence = "GITHUB_APP_PRIVATE_KEY is not a private key in PEM form: paste the file GitHub gave you."
        raise ApiError("GitHub", "unauthorized", sentence)
    return github.Auth.AppAuth(app_id, private_key).get_installation_auth(int(installation_id))


def railway_token(token: str | None = None) -> tuple[str, str]:
    """The Railway token and the kind of header it belongs in: "bearer" or "project".

    `token`, else RAILWAY_API_TOKEN (an account's or workspace's), else RAILWAY_TOKEN, which Railway's own
    tools use for project tokens. Raises `ApiError` (unauthorized).
    """
    if token is not None or settings.RAILWAY_API_TOKEN or not settings.RAILWAY_TOKEN:
        given = settings.RAILWAY_API_TOKEN if token is None else token
        return checked_token(given, "RAILWAY_API_TOKEN", "Railway"), "bearer"
    return checked_token(settings.RAILWAY_TOKEN, "RAILWAY_TOKEN", "Railway"), "project"


def github_token(api_url: str) -> str:
    """The token with which git itself reads the repository: the plain one, or the App's present installation token.

    Raises `ApiError` (unauthorized) for an unusable one.
    """
    auth = github_requester(api_url).auth
    try:
        return auth.token if auth else ""
    except github.GithubException as error:
        sentence = f"GitHub gave the App no installation token (HTTP {error.status}); see Connections."
        raise ApiError("GitHub", "unauthorized", sentence, status=error.status) from error
