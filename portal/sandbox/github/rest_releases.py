"""REST: releases, webhooks, the App, and what belongs to no repository."""

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from portal.sandbox.server import Response

from . import events, shapes
from .checks import Row
from .rest_repository import commit_named
from .routes import Ask, paged, repo, route
from .state import PORTAL_APP, Refused, find, invalid, node_id, stamp

if TYPE_CHECKING:
    from .standin import GitHubStandIn

INSTALLATION = 2001


def _row(rows: list[Row], **wanted: object) -> Row:
    row = find(rows, **wanted)
    if row is None:
        raise Refused(404, "Not Found")
    return row


# --- releases


def release_shape(hub: "GitHubStandIn", row: Row) -> Row:
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
def list_releases(hub: "GitHubStandIn", ask: Ask) -> Response:
    return paged(hub, ask, [release_shape(hub, row) for row in reversed(hub.state["releases"])])


@repo("POST", "/releases/generate-notes")
def generate_notes(hub: "GitHubStandIn", ask: Ask) -> Response:
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
def create_release(hub: "GitHubStandIn", ask: Ask) -> Response:
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
def latest_release(hub: "GitHubStandIn", ask: Ask) -> Response:
    rows = [row for row in hub.state["releases"] if not row["draft"] and not row["prerelease"]]
    if not rows:
        raise Refused(404, "Not Found")
    return Response(200, release_shape(hub, rows[-1]))


@repo("GET", "/releases/tags/{ref}")
def release_by_tag(hub: "GitHubStandIn", ask: Ask) -> Response:
    return Response(200, release_shape(hub, _row(hub.state["releases"], tag_name=ask.part["ref"])))


@repo("GET", "/releases/{release_id}")
def get_release(hub: "GitHubStandIn", ask: Ask) -> Response:
    return Response(200, release_shape(hub, _row(hub.state["releases"], id=ask.number("release_id"))))


@repo("PATCH", "/releases/{release_id}")
def update_release(hub: "GitHubStandIn", ask: Ask) -> Response:
    row, body = _row(hub.state["releases"], id=ask.number("release_id")), ask.body()
    names = ("tag_name", "target_commitish", "name", "body", "draft", "prerelease")
    row |= {name: body[name] for name in names if body.get(name) is not None}
    if not row["draft"] and row["published_at"] is None:
        row["published_at"] = stamp(hub.clock())
    return Response(200, release_shape(hub, row))


# --- webhooks


def hook_shape(hub: "GitHubStandIn", row: Row) -> Row:
    url = f"{hub.api}/hooks/{row['id']}"
    config = {"url": row["url"], "content_type": "json", "insecure_ssl": "0"}
    return {
        "type": "Repository",
        "id": row["id"],
        "name": "web",
        "active": row["active"],
        "events": row["events"],
        "config": config | ({"secret": "********"} if row["secret"] else {}),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "url": url,
        "test_url": f"{url}/test",
        "ping_url": f"{url}/pings",
        "deliveries_url": f"{url}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }


def new_hook(hub: "GitHubStandIn", url: str, secret: str, wanted: list[str], *, active: bool = True) -> Row:
    """Adds a webhook and pings it, as GitHub does."""
    if any(row["url"] == url and row["events"] == wanted for row in hub.state["hooks"]):
        raise invalid("Hook", "", message="Hook already exists on this repository")
    now = stamp(hub.clock())
    row = {
        "id": hub.new_id(),
        "url": url,
        "secret": secret,
        "events": wanted,
        "active": active,
        "created_at": now,
        "updated_at": now,
    }
    hub.state["hooks"].append(row)
    ping(hub, row)
    return row


def ping(hub: "GitHubStandIn", row: Row) -> None:
    body: dict[str, Any] = {
        "zen": "Keep it logically awesome.",
        "hook_id": row["id"],
        "hook": hook_shape(hub, row),
    }
    body |= {"repository": shapes.repository(hub), "sender": shapes.user(hub, hub.owner)}
    hub.hooks.send(row, "ping", body)


@repo("GET", "/hooks")
def list_hooks(hub: "GitHubStandIn", ask: Ask) -> Response:
    return paged(hub, ask, [hook_shape(hub, row) for row in hub.state["hooks"]])


@repo("POST", "/hooks")
def create_hook(hub: "GitHubStandIn", ask: Ask) -> Response:
    body = ask.need("config")
    config = body["config"]
    if not str(config.get("url", "")).startswith(("http://", "https://")):
        raise invalid("Hook", "url", message="url is missing a scheme")
    wanted, active = body.get("events") or ["push"], body.get("active", True)
    row = new_hook(hub, config["url"], config.get("secret") or "", wanted, active=active)
    return Response(201, hook_shape(hub, row))


def _hook(hub: "GitHubStandIn", ask: Ask) -> Row:
    return _row(hub.state["hooks"], id=ask.number("hook_id"))


@repo("GET", "/hooks/{hook_id}")
def get_hook(hub: "GitHubStandIn", ask: Ask) -> Response:
    return Response(200, hook_shape(hub, _hook(hub, ask)))


@repo("PATCH", "/hooks/{hook_id}")
def update_hook(hub: "GitHubStandIn", ask: Ask) -> Response:
    row, body = _hook(hub, ask), ask.body()
    row |= {name: body[name] for name in ("active", "events") if name in body}
    if config := body.get("config"):
        # As on GitHub: a config sent without its secret loses the secret.
        row |= {"url": config.get("url", row["url"]), "secret": config.get("secret") or ""}
    added = set(body.get("add_events") or [])
    row["events"] = sorted((set(row["events"]) | added) - set(body.get("remove_events") or []))
    row["updated_at"] = stamp(hub.clock())
    return Response(200, hook_shape(hub, row))


@repo("DELETE", "/hooks/{hook_id}")
def delete_hook(hub: "GitHubStandIn", ask: Ask) -> Response:
    hub.state["hooks"].remove(_hook(hub, ask))
    return Response(204)


@repo("POST", "/hooks/{hook_id}/pings")
def ping_hook(hub: "GitHubStandIn", ask: Ask) -> Response:
    ping(hub, _hook(hub, ask))
    return Response(204)


@repo("GET", "/hooks/{hook_id}/deliveries")
def list_deliveries(hub: "GitHubStandIn", ask: Ask) -> Response:
    rows = hub.hooks.deliveries(_hook(hub, ask)["id"])
    size = int(ask.request.query.get("per_page", 30))
    cursor = int(ask.request.query.get("cursor") or 0)
    rows = [row for row in rows if not cursor or row["id"] < cursor]
    shown = [{k: v for k, v in row.items() if k not in ("request", "response")} for row in rows[:size]]
    more = (
        f'<{hub.url}{ask.request.path}?per_page={size}&cursor={shown[-1]["id"]}>; rel="next"' if shown else ""
    )
    return Response(200, shown, {"Link": more} if len(rows) > size else {})


@repo("GET", "/hooks/{hook_id}/deliveries/{delivery_id}")
def get_delivery(hub: "GitHubStandIn", ask: Ask) -> Response:
    hook = _hook(hub, ask)
    return Response(
        200, _row(hub.hooks.deliveries(hook["id"]), id=ask.number("delivery_id")) | {"url": hook["url"]}
    )


@repo("POST", "/hooks/{hook_id}/deliveries/{delivery_id}/attempts")
def redeliver(hub: "GitHubStandIn", ask: Ask) -> Response:
    hook = _hook(hub, ask)
    hub.hooks.send_again(hook, _row(hub.hooks.deliveries(hook["id"]), id=ask.number("delivery_id")))
    return Response(202, {})


# --- people and the App


@repo("GET", "/collaborators/{username}/permission")
def permission(hub: "GitHubStandIn", ask: Ask) -> Response:
    login = ask.part["username"]
    role = hub.state["permissions"].get(login, "admin" if login == hub.owner else "none")
    plain = {"maintain": "write", "triage": "read"}.get(role, role)
    user = shapes.user(hub, login) | {"role_name": role}
    return Response(200, {"permission": plain, "role_name": role, "user": user})


@route("GET", "/user")
def get_user(hub: "GitHubStandIn", ask: Ask) -> Response:
    blank = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
    times = dict.fromkeys(("created_at", "updated_at"), hub.state["created_at"])
    return Response(
        200, shapes.user(hub, ask.viewer.login) | blank | counts | times | {"user_view_type": "public"}
    )


@route("GET", "/rate_limit")
def rate_limit(hub: "GitHubStandIn", ask: Ask) -> Response:
    def shape(kind: str) -> dict[str, int]:
        rate = hub.rate[kind]
        reset = int(rate.reset.timestamp())
        return {"limit": rate.limit, "remaining": rate.remaining, "used": rate.used, "reset": reset}

    resources = {"core": shape("core"), "graphql": shape("graphql"), "search": shape("core")}
    return Response(200, {"resources": resources, "rate": shape("core")})


@route("GET", "/meta")
def meta(hub: "GitHubStandIn", ask: Ask) -> Response:
    return Response(200, {"verifiable_password_authentication": False, "hooks": ["127.0.0.0/8"]})


@route("GET", "/app")
def get_app(hub: "GitHubStandIn", ask: Ask) -> Response:
    return Response(200, shapes.app(hub, PORTAL_APP) | {"installations_count": 1})


@repo("GET", "/installation")
def installation(hub: "GitHubStandIn", ask: Ask) -> Response:
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
def access_token(hub: "GitHubStandIn", ask: Ask) -> Response:
    if ask.number("installation_id") != INSTALLATION:
        raise Refused(404, "Not Found")
    token = f"ghs_{secrets.token_hex(100)}"  # far longer than 40 characters, as real ones may be
    expires = stamp(hub.clock() + timedelta(hours=1))
    hub.state["tokens"] = {t: e for t, e in hub.state["tokens"].items() if e > stamp(hub.clock())}
    hub.state["tokens"][token] = expires
    permissions = shapes.app(hub, PORTAL_APP)["permissions"]
    return Response(201, {"token": token, "expires_at": expires, "permissions": permissions})


@route("GET", "/installation/repositories")
def installation_repositories(hub: "GitHubStandIn", ask: Ask) -> Response:
    return paged(hub, ask, [shapes.repository(hub)], "repositories")


@route("GET", "/app/hook/deliveries")
def app_deliveries(hub: "GitHubStandIn", ask: Ask) -> Response:
    """The App has no webhook of its own here."""
    return Response(200, [])
