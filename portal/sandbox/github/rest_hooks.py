"""REST: webhooks and their deliveries."""

from typing import TYPE_CHECKING

from portal.sandbox.server import Response

from . import shapes
from .checks import Row
from .routes import Ask, paged, repo
from .state import invalid, need_row, stamp

if TYPE_CHECKING:
    from .hub import Hub


def hook_shape(hub: "Hub", row: Row) -> Row:
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


def new_hook(hub: "Hub", url: str, secret: str, wanted: list[str], *, active: bool = True) -> Row:
    """Add a webhook and pings it, as GitHub does."""
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


def ping(hub: "Hub", row: Row) -> None:
    body: Row = {
        "zen": "Keep it logically awesome.",
        "hook_id": row["id"],
        "hook": hook_shape(hub, row),
    }
    body |= {"repository": shapes.repository(hub), "sender": shapes.user(hub, hub.owner)}
    hub.hooks.send(row, "ping", body)


@repo("GET", "/hooks")
def list_hooks(hub: "Hub", ask: Ask) -> Response:
    return paged(hub, ask, [hook_shape(hub, row) for row in hub.state["hooks"]])


@repo("POST", "/hooks")
def create_hook(hub: "Hub", ask: Ask) -> Response:
    body = ask.need("config")
    config = body["config"]
    if not str(config.get("url", "")).startswith(("http://", "https://")):
        raise invalid("Hook", "url", message="url is missing a scheme")
    wanted, active = body.get("events") or ["push"], body.get("active", True)
    row = new_hook(hub, config["url"], config.get("secret") or "", wanted, active=active)
    return Response(201, hook_shape(hub, row))


def _hook(hub: "Hub", ask: Ask) -> Row:
    return need_row(hub.state["hooks"], id=ask.number("hook_id"))


@repo("GET", "/hooks/{hook_id}")
def get_hook(hub: "Hub", ask: Ask) -> Response:
    return Response(200, hook_shape(hub, _hook(hub, ask)))


@repo("PATCH", "/hooks/{hook_id}")
def update_hook(hub: "Hub", ask: Ask) -> Response:
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
def delete_hook(hub: "Hub", ask: Ask) -> Response:
    hub.state["hooks"].remove(_hook(hub, ask))
    return Response(204)


@repo("POST", "/hooks/{hook_id}/pings")
def ping_hook(hub: "Hub", ask: Ask) -> Response:
    ping(hub, _hook(hub, ask))
    return Response(204)


@repo("GET", "/hooks/{hook_id}/deliveries")
def list_deliveries(hub: "Hub", ask: Ask) -> Response:
    rows = hub.hooks.deliveries(_hook(hub, ask)["id"])
    size = int(ask.request.query.get("per_page", 30))
    cursor = int(ask.request.query.get("cursor") or 0)
    rows = [row for row in rows if not cursor or row["id"] < cursor]
    shown = [
        {k: v for k, v in row.items() if k not in ("request", "response")} for row in rows[:size]
    ]
    more = (
        f'<{hub.url}{ask.request.path}?per_page={size}&cursor={shown[-1]["id"]}>; rel="next"'
        if shown
        else ""
    )
    return Response(200, shown, {"Link": more} if len(rows) > size else {})


@repo("GET", "/hooks/{hook_id}/deliveries/{delivery_id}")
def get_delivery(hub: "Hub", ask: Ask) -> Response:
    hook = _hook(hub, ask)
    return Response(
        200,
        need_row(hub.hooks.deliveries(hook["id"]), id=ask.number("delivery_id"))
        | {"url": hook["url"]},
    )


@repo("POST", "/hooks/{hook_id}/deliveries/{delivery_id}/attempts")
def redeliver(hub: "Hub", ask: Ask) -> Response:
    hook = _hook(hub, ask)
    hub.hooks.send_again(
        hook, need_row(hub.hooks.deliveries(hook["id"]), id=ask.number("delivery_id"))
    )
    return Response(202, {})
