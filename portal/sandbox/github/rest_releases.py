"""REST: releases, the App, and what belongs to no repository."""

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from portal.sandbox.server import Response

from . import events, shapes
from .checks import Row
from .rest_repository import commit_named
from .routes import Ask, paged, repo, route
from .state import PORTAL_APP, Refused, find, invalid, need_row, node_id, stamp

if TYPE_CHECKING:
    from .hub import Hub

INSTALLATION = 2001


# --- releases


def release_shape(hub: "Hub", row: Row) -> Row:
    url, tag = f"{hub.api}/releases/{row['id']}", row["tag_name"]
    copied = ("id", "tag_name", "target_commitish", "name", "body", "draft", "prerelease")
    return {name: row[name] for name in copied} | {
        "url": url,
        "html_url": f"{hub.web}/releases/tag/{tag}",
        "assets_url": f"{url}/assets",
        "upload_url": f"{url}/assets{{?name,label}}",
        "tarball_url": f"{hub.api}/tarball/{tag}",
        "zipball_url": f"{hub.api}/zipball/{tag}",
        "node_id": node_id("Release", row["id"]),
        "created_at": row["created_at"],
        "published_at": row["published_at"],
        "author": shapes.user(hub, row["user"]),
        "assets": [],
    }


@repo("GET", "/releases")
def list_releases(hub: "Hub", ask: Ask) -> Response:
    return paged(hub, ask, [release_shape(hub, row) for row in reversed(hub.state["releases"])])


@repo("POST", "/releases/generate-notes")
def generate_notes(hub: "Hub", ask: Ask) -> Response:
    body = ask.need("tag_name")
    target = hub.git.resolve(body["tag_name"]) or commit_named(
        hub, body.get("target_commitish") or hub.state["default_branch"], 404
    )
    previous = body.get("previous_tag_name")
    since = commit_named(hub, previous, 404) if previous else None
    lines = [
        f"* {pull['title']} by @{pull['user']} in {hub.web}/pull/{pull['number']}"
        for pull in hub.state["pulls"]
        if pull["merged_at"]
        and hub.git.is_ancestor(pull["merge_commit_sha"], target)
        and not (since and hub.git.is_ancestor(pull["merge_commit_sha"], since))
    ]
    span = f"compare/{previous}...{body['tag_name']}" if previous else f"commits/{body['tag_name']}"
    text = "\n".join(["## What's Changed", *lines, "", f"**Full Changelog**: {hub.web}/{span}"])
    return Response(200, {"name": body["tag_name"], "body": text})


@repo("POST", "/releases")
def create_release(hub: "Hub", ask: Ask) -> Response:
    body, now = ask.need("tag_name"), stamp(hub.clock())
    tag, target = body["tag_name"], body.get("target_commitish") or hub.state["default_branch"]
    if find(hub.state["releases"], tag_name=tag):
        raise invalid("Release", "tag_name", "already_exists")
    row = {
        "id": hub.new_id(),
        "tag_name": tag,
        "target_commitish": target,
        "name": body.get("name") or tag,
        "body": body.get("body") or "",
        "draft": bool(body.get("draft")),
        "prerelease": bool(body.get("prerelease")),
        "created_at": now,
        "published_at": None if body.get("draft") else now,
        "user": ask.viewer.login,
    }
    if not row["draft"] and not hub.git.ref(f"refs/tags/{tag}"):
        hub.git.move(f"refs/tags/{tag}", commit_named(hub, target))
    hub.state["releases"].append(row)
    shape = release_shape(hub, row)
    if not row["draft"]:
        events.emit(hub, "release", ask.viewer, {"action": "published", "release": shape})
    return Response(201, shape)


@repo("GET", "/releases/latest")
def latest_release(hub: "Hub", ask: Ask) -> Response:
    rows = [row for row in hub.state["releases"] if not row["draft"] and not row["prerelease"]]
    if not rows:
        raise Refused(404, "Not Found")
    return Response(200, release_shape(hub, rows[-1]))


@repo("GET", "/releases/tags/{ref}")
def release_by_tag(hub: "Hub", ask: Ask) -> Response:
    return Response(
        200, release_shape(hub, need_row(hub.state["releases"], tag_name=ask.part["ref"]))
    )


@repo("GET", "/releases/{release_id}")
def get_release(hub: "Hub", ask: Ask) -> Response:
    return Response(
        200, release_shape(hub, need_row(hub.state["releases"], id=ask.number("release_id")))
    )


@repo("PATCH", "/releases/{release_id}")
def update_release(hub: "Hub", ask: Ask) -> Response:
    row, body = need_row(hub.state["releases"], id=ask.number("release_id")), ask.body()
    names = ("tag_name", "target_commitish", "name", "body", "draft", "prerelease")
    row |= {name: body[name] for name in names if body.get(name) is not None}
    if not row["draft"] and row["published_at"] is None:
        row["published_at"] = stamp(hub.clock())
    return Response(200, release_shape(hub, row))


# --- people and the App


@repo("GET", "/collaborators/{username}/permission")
def permission(hub: "Hub", ask: Ask) -> Response:
    login = ask.part["username"]
    role = hub.state["permissions"].get(login, "admin" if login == hub.owner else "none")
    plain = {"maintain": "write", "triage": "read"}.get(role, role)
    user = shapes.user(hub, login) | {"role_name": role}
    return Response(200, {"permission": plain, "role_name": role, "user": user})


@route("GET", "/user")
def get_user(hub: "Hub", ask: Ask) -> Response:
    blank = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    times = dict.fromkeys(("created_at", "updated_at"), hub.state["created_at"])
    return Response(
        200,
        shapes.user(hub, ask.viewer.login) | blank | counts | times | {"user_view_type": "public"},
    )


@route("GET", "/user/repos")
def list_user_repositories(hub: "Hub", ask: Ask) -> Response:
    return paged(hub, ask, [shapes.repository(hub)])


@route("GET", "/installation/repositories")
def list_installation_repositories(hub: "Hub", ask: Ask) -> Response:
    return paged(hub, ask, [shapes.repository(hub)], "repositories")


@route("GET", "/rate_limit")
def rate_limit(hub: "Hub", ask: Ask) -> Response:
    def shape(kind: str) -> dict[str, int]:
        rate = hub.rate[kind]
        reset = int(rate.reset.timestamp())
        return {"limit": rate.limit, "remaining": rate.remaining, "used": rate.used, "reset": reset}

    resources = {"core": shape("core"), "graphql": shape("graphql"), "search": shape("core")}
    return Response(200, {"resources": resources, "rate": shape("core")})


@route("GET", "/meta")
def meta(hub: "Hub", ask: Ask) -> Response:
    return Response(200, {"verifiable_password_authentication": False, "hooks": ["127.0.0.0/8"]})


@route("GET", "/app")
def get_app(hub: "Hub", ask: Ask) -> Response:
    return Response(200, shapes.app(hub, PORTAL_APP) | {"installations_count": 1})


@repo("GET", "/installation")
def installation(hub: "Hub", ask: Ask) -> Response:
    url, now = f"{hub.url}/app/installations/{INSTALLATION}", hub.state["created_at"]
    shape = {
        "id": INSTALLATION,
        "account": shapes.user(hub, hub.owner),
        "repository_selection": "selected",
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{hub.url}/installation/repositories",
        "html_url": f"{hub.url}/settings/installations/{INSTALLATION}",
        "app_id": PORTAL_APP.id,
        "app_slug": PORTAL_APP.slug,
        "target_id": shapes.user(hub, hub.owner)["id"],
        "target_type": "Organization",
        "permissions": shapes.app(hub, PORTAL_APP)["permissions"],
        "events": ["push", "pull_request"],
        "created_at": now,
        "updated_at": now,
        "single_file_name": None,
        "suspended_by": None,
        "suspended_at": None,
    }
    return Response(200, shape)


@route("POST", "/app/installations/{installation_id}/access_tokens")
def access_token(hub: "Hub", ask: Ask) -> Response:
    if ask.number("installation_id") != INSTALLATION:
        raise Refused(404, "Not Found")
    token = f"ghs_{secrets.token_hex(100)}"  # far longer than 40 characters, as real ones may be
    expires = stamp(hub.clock() + timedelta(hours=1))
    hub.state["tokens"] = {t: e for t, e in hub.state["tokens"].items() if e > stamp(hub.clock())}
    hub.state["tokens"][token] = expires
    permissions = shapes.app(hub, PORTAL_APP)["permissions"]
    return Response(201, {"token": token, "expires_at": expires, "permissions": permissions})


@route("GET", "/installation/repositories")
def installation_repositories(hub: "Hub", ask: Ask) -> Response:
    return paged(hub, ask, [shapes.repository(hub)], "repositories")


@route("GET", "/app/hook/deliveries")
def app_deliveries(hub: "Hub", ask: Ask) -> Response:
    """Refuse: the App has no webhook of its own here."""
    return Response(200, [])
