"""Making a GitHub App by the manifest flow: what is sent, and what comes back.

A person's browser sends the manifest to GitHub, which sends the browser back with a code; the code
is exchanged once, within an hour, for the App's id and private key. The manifest names no webhook:
GitHub demands a public address for one, and the portal registers those of each repository itself.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode, urlsplit

import github.Auth
import jwt
from django.conf import settings

from portal.outbound import http
from portal.outbound.credentials import GITHUB_API_VERSION
from portal.outbound.http import ApiError, malformed
from portal.outbound.parsing import get_path, text

SERVICE = "GitHub"
NAME_LETTERS = 34  # GitHub refuses a longer name of an App
PERMISSIONS = {
    "metadata": "read",
    "actions": "read",
    "administration": "write",
    "checks": "write",
    "contents": "write",
    "deployments": "write",
    "pull_requests": "write",
    "repository_hooks": "write",
    "statuses": "write",
    "workflows": "write",
}
_CODE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_SLUG = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True)
class NewApp:
    """An App that GitHub has just made. `private_key` is PEM and a secret."""

    id: str
    slug: str
    private_key: str = field(repr=False)


def manifest(made: str, installed: str) -> dict[str, object]:
    """Return the manifest; `made` and `installed` are addresses GitHub sends the browser to."""
    host = urlsplit(settings.PORTAL_URL).hostname or "portal"
    return {
        "name": f"Release portal {host}"[:NAME_LETTERS].strip(),
        "url": settings.PORTAL_URL,
        "redirect_url": made,
        "setup_url": installed,
        "public": False,
        "default_permissions": PERMISSIONS,
        "default_events": [],
    }


def creation_address(organization: str, state: str) -> str:
    """Return where the manifest is sent: of an organization, or of the person's own account."""
    owner = f"/organizations/{quote(organization, safe='')}" if organization else ""
    return f"{settings.GITHUB_GIT_URL}{owner}/settings/apps/new?{urlencode({'state': state})}"


def installation_address(slug: str) -> str:
    """Return GitHub's page on which the App is installed."""
    return f"{settings.GITHUB_GIT_URL}/apps/{quote(slug, safe='')}/installations/new"


def convert(code: str) -> NewApp:
    """Return the App for a code of GitHub, which works once. Raise `ApiError`."""
    if not _CODE.fullmatch(code):
        raise ApiError(SERVICE, "refused", "GitHub sent no code that makes sense: start again.")
    base = http.checked_url(settings.GITHUB_API_URL, "GITHUB_API_URL", SERVICE)
    address = f"{base}/app-manifests/{code}/conversions"
    reply = http.send(SERVICE, "POST", address, write=True, headers=_headers())
    if reply.status != 201:
        sentence = (
            f"GitHub does not take the code (HTTP {reply.status}): it works once and for an hour."
            " Start again."
        )
        raise ApiError(SERVICE, "refused", sentence, status=reply.status)
    answer = _json(reply)
    number, slug, key = (get_path(answer, name) for name in ("id", "slug", "pem"))
    sound = isinstance(number, int) and isinstance(slug, str) and isinstance(key, str)
    if not sound or not _SLUG.fullmatch(str(slug)) or "PRIVATE KEY-----" not in str(key):
        raise malformed(SERVICE, "no App in it", reply.status)
    return NewApp(str(number), str(slug), str(key))


def installations(app: NewApp) -> list[tuple[str, str]]:
    """Return id and account of each installation of the App. Raise `ApiError`."""
    try:
        signed = github.Auth.AppAuth(app.id, app.private_key).create_jwt()
    except (jwt.PyJWTError, ValueError, TypeError):
        sentence = "The App's private key cannot be used: make the App again."
        raise ApiError(SERVICE, "unauthorized", sentence) from None
    base = http.checked_url(settings.GITHUB_API_URL, "GITHUB_API_URL", SERVICE)
    headers = {**_headers(), "Authorization": f"Bearer {signed}"}
    address = f"{base}/app/installations?per_page=100"
    reply = http.read_again(
        lambda: http.send(SERVICE, "GET", address, write=False, headers=headers)
    )
    if reply.status != 200:
        sentence = f"GitHub does not know the App any more (HTTP {reply.status}): make it again."
        raise ApiError(SERVICE, "unauthorized", sentence, status=reply.status)
    answer = _json(reply)
    if not isinstance(answer, list):
        raise malformed(SERVICE, "no list of installations", reply.status)
    accounts = [
        (get_path(installation, "id"), get_path(installation, "account", "login"))
        for installation in answer
    ]
    return [
        (str(number), text(login, 100)) for number, login in accounts if isinstance(number, int)
    ]


def _headers() -> dict[str, str]:
    return {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": GITHUB_API_VERSION}


def _json(reply: http.Reply) -> object:
    try:
        return reply.json()
    except ValueError:
        raise malformed(SERVICE, "no JSON", reply.status) from None
