"""The manifest flow: a browser brings a manifest, gets a code, and the code is exchanged once."""

import json
import re
import secrets
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from portal.sandbox.server import Request, Response

from . import shapes
from .front import API_VERSION
from .rest_releases import INSTALLATION
from .state import PORTAL_APP

if TYPE_CHECKING:
    from .hub import Hub

CREATE = re.compile(r"(/organizations/[A-Za-z0-9-]{1,39})?/settings/apps/new")
FORM = """<!doctype html><meta charset=utf-8><title>Create GitHub App</title>
<h1>Create GitHub App</h1><p>{name}</p><form method=post>
<input type=hidden name=manifest value="{manifest}"><input type=hidden name=confirmed value=1>
<button id=create>Create GitHub App</button></form>"""


def answered(hub: "Hub", request: Request) -> Response | None:
    """Show the answer to a request of the flow; None for any other request."""
    if request.method == "POST" and CREATE.fullmatch(request.path):
        return _create(hub, request)
    if request.path == f"/apps/{PORTAL_APP.slug}/installations/new":
        return _install(hub)
    if match := re.fullmatch(r"/app-manifests/([^/]+)/conversions", request.path):
        return _converted(hub, match[1]) if request.method == "POST" else None
    if request.path == "/app/installations" and request.method == "GET":
        return _installations(hub, request)
    return None


def _create(hub: "Hub", request: Request) -> Response:
    """GitHub's page shows the App first; the person's click there makes it."""
    form = {k: v[-1] for k, v in parse_qs(request.body.decode("utf-8", "replace")).items()}
    try:
        manifest = json.loads(form.get("manifest", ""))
    except ValueError:
        manifest = None
    if problem := _problem(manifest):
        return _page(
            422, f"<h1>Invalid GitHub App configuration</h1><p>Error {escape(problem)}</p>"
        )
    if "confirmed" not in form:
        shown = {"name": escape(manifest["name"]), "manifest": escape(form["manifest"], quote=True)}
        return _page(200, FORM.format(**shown))
    code = secrets.token_hex(20)
    with hub.change():
        hub.state["manifests"] = {code: manifest}
    query = urlencode({"code": code, "state": request.query.get("state", "")})
    return Response(302, b"", {"Location": f"{manifest['redirect_url']}?{query}"})


def _problem(manifest: Any) -> str:
    """Return what GitHub refuses in a manifest, in its words."""
    if not isinstance(manifest, dict):
        return "the manifest is no JSON object."
    hook = manifest.get("hook_attributes")
    # As on GitHub: with the object comes the address, also of a webhook that is not active.
    if not manifest.get("url") or (hook is not None and not hook.get("url")):
        return "“url” wasn't supplied."
    if not manifest.get("redirect_url") or len(manifest.get("name", "")) > 34:
        return "Name is too long (maximum is 34 characters)"
    return ""


def _converted(hub: "Hub", code: str) -> Response:
    manifest = hub.state.get("manifests", {}).get(code)
    if manifest is None:
        return Response(404, {"message": "Not Found", "status": "404"})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    with hub.change():
        hub.state["manifests"] = {}
        hub.state["made_app"] = {"installed": False, "setup_url": manifest.get("setup_url", "")}
    secret = {"client_id": "Iv1.0", "client_secret": secrets.token_hex(20)}
    own = {"name": manifest["name"], "permissions": manifest["default_permissions"]}
    shape = shapes.app(hub, PORTAL_APP) | own | secret | {"webhook_secret": None}
    return Response(201, shape | {"pem": pem.decode()}, {"X-GitHub-Api-Version": API_VERSION})


def _install(hub: "Hub") -> Response:
    made = hub.state.get("made_app")
    if made is None:
        return _page(404, "<h1>Not Found</h1>")
    with hub.change():
        hub.state["made_app"] = made | {"installed": True}
    query = urlencode({"installation_id": INSTALLATION, "setup_action": "install"})
    return Response(302, b"", {"Location": f"{made['setup_url']}?{query}"})


def _installations(hub: "Hub", request: Request) -> Response:
    token = request.headers.get("authorization", "").partition(" ")[2]
    if token.count(".") != 2:
        message = "A JSON web token could not be decoded"
        return Response(401, {"message": message, "status": "401"})
    installed = hub.state.get("made_app", {}).get("installed")
    installation = {
        "id": INSTALLATION,
        "account": shapes.user(hub, hub.owner),
        "app_id": PORTAL_APP.id,
    }
    return Response(200, [installation] if installed else [])


def _page(status: int, body: str) -> Response:
    return Response(status, body.encode(), {"Content-Type": "text/html; charset=utf-8"})
