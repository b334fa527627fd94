"""The front door: who asks, within which limits, and the headers every answer carries."""

import hashlib
import secrets
from base64 import b64decode
from binascii import Error as NotBase64
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from portal.sandbox.server import Request, Response

from .state import PORTAL_APP, Refused, Viewer, login_id, stamp

if TYPE_CHECKING:
    from .hub import Hub

API_VERSION = "2022-11-28"
FREE = ("/rate_limit", "/meta")


@dataclass
class Rate:
    """One hourly allowance; write `used` to bring a limit about."""

    limit: int
    used: int
    reset: datetime

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


def viewer(hub: "Hub", request: Request) -> Viewer:
    """Return who asks; a viewer without login is nobody. Raise 401 for a token that is not
    known.
    """
    word, _, secret = request.headers.get("authorization", "").strip().partition(" ")
    if not word:
        if request.path == "/user":
            raise Refused(401, "Requires authentication")
        return Viewer("")
    if word.lower() == "basic":
        secret = _of_basic(secret)
    if (known := hub.tokens.get(secret)) and not hub.has_expired(secret):
        return known
    app = Viewer(f"{PORTAL_APP.slug}[bot]", PORTAL_APP.id)
    if hub.state["tokens"].get(secret, "") > stamp(hub.clock()):
        return app
    if secret.count(".") == 2 and (
        request.path.startswith("/app") or request.path.endswith("/installation")
    ):
        return app  # a JSON web token of the App; its signature is not looked at
    raise Refused(401, "Bad credentials")


def _secret_of(request: Request) -> str:
    return request.headers.get("authorization", "").strip().partition(" ")[2]


def _of_basic(secret: str) -> str:
    try:
        user, _, password = b64decode(secret).decode("utf-8", "replace").partition(":")
    except NotBase64:
        return ""
    return user if password in ("", "x-oauth-basic") else password


def rate_of(hub: "Hub", request: Request) -> Rate:
    """Return the allowance a request counts against, renewed when its hour is over."""
    rate = hub.rate["graphql" if request.path == "/graphql" else "core"]
    if hub.clock() >= rate.reset:
        rate.used, rate.reset = 0, hub.clock() + timedelta(hours=1)
    return rate


def check_limits(hub: "Hub", request: Request) -> None:
    if request.headers.get("x-github-api-version", API_VERSION) != API_VERSION:
        raise Refused(400, f"Unsupported API version; this stand-in speaks {API_VERSION}.")
    if request.path not in FREE and not rate_of(hub, request).remaining:
        raise Refused(403, f"API rate limit exceeded for user ID {login_id(hub.owner)}.")


def refused(refusal: Refused) -> Response:
    """Show a refusal as GitHub words it in JSON."""
    body: dict[str, Any] = {"message": refusal.message}
    if refusal.errors is not None:
        body["errors"] = refusal.errors
    body["documentation_url"] = "https://docs.github.com/rest"
    return Response(refusal.status, body | {"status": str(refusal.status)})


def finished(hub: "Hub", request: Request, response: Response) -> Response:
    """Add the headers GitHub sends, and turn an unchanged answer into a 304, which costs
    nothing.
    """
    headers = {
        "X-GitHub-Media-Type": "github.v3; format=json",
        "X-GitHub-Api-Version-Selected": API_VERSION,
        "X-GitHub-Request-Id": secrets.token_hex(8).upper(),
    }
    if request.method in ("GET", "HEAD") and response.status == 200:
        # Bound to the token, as on GitHub: a new installation token starts with an empty cache.
        response = replace(response, body=response.encoded())
        message = request.headers.get("authorization", "").encode() + response.encoded()
        headers["ETag"] = f'W/"{hashlib.sha256(message).hexdigest()}"'
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            response = replace(response, status=304, body=b"")
    rate = rate_of(hub, request)
    if request.path not in FREE and response.status not in (304, 401):
        rate.used = min(rate.limit, rate.used + 1)
    headers |= {
        "X-RateLimit-Limit": str(rate.limit),
        "X-RateLimit-Remaining": str(rate.remaining),
        "X-RateLimit-Used": str(rate.used),
        "X-RateLimit-Reset": str(int(rate.reset.timestamp())),
        "X-RateLimit-Resource": "graphql" if request.path == "/graphql" else "core",
    }
    if expires := hub.expiries.get(_secret_of(request)):
        headers["GitHub-Authentication-Token-Expiration"] = f"{expires:%Y-%m-%d %H:%M:%S} UTC"
    return replace(response, headers=headers | response.headers)
