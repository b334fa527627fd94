"""What a service answers at its address: small pages that name service, environment and live
commit.
"""

import html
import json

from .addresses import Page
from .movement import active, settle
from .world import Row, World

PATHS = {"/", "/version", "/signals", "/signals/1", "/settings"}


def answer(world: World, domain_id: str, path: str) -> Page:
    """Return the page at `path` of the address; 503 while nothing is live, 404 for a page there is
    not.
    """
    with world.reading():
        settle(world)
        domain = world.data["domains"].get(domain_id)
        if domain is None:
            return _problem(404, "Application not found")
        place = {"environmentId": domain["environmentId"], "serviceId": domain["serviceId"]}
        instance = world.one("instances", **place)
        deployment = active(world, instance) if instance else None
        broken, spares = instance["broken"].get(path, (0, "")) if instance else (0, "")
        if instance is None or deployment is None or not _serving(world, deployment):
            return _problem(503, "Application failed to respond")
        names = {
            "service": world.get("services", domain["serviceId"])["name"],
            "environment": world.get("environments", domain["environmentId"])["name"],
            "commit": deployment["meta"].get("commitHash") or "",
        }
    return _page(path, names, 0 if spares and names["commit"] == spares else broken)


def _serving(world: World, deployment: Row) -> bool:
    """Wake a sleeping service on the request; one that is serverless falls asleep again."""
    if deployment["status"] == "SLEEPING":
        deployment |= {"status": "SUCCESS", "enteredAt": world.clock()}
        if world.get("instances", deployment["instanceId"]).get("sleepApplication"):
            deployment["next"] = ["SLEEPING"]
            world.data["moving"].append(deployment["id"])
        world.dirty = True
    return deployment["status"] == "SUCCESS" and not deployment["stopped"]


def _problem(status: int, message: str) -> Page:
    body = json.dumps({"status": "error", "code": status, "message": message}).encode()
    return Page(status, body, {"Content-Type": "application/json"})


def _page(path: str, names: dict[str, str], broken: int) -> Page:
    headers = {"X-Commit": names["commit"]}
    if broken:
        problem = _problem(broken, "This page is broken on request")
        return Page(broken, problem.body, problem.headers | headers)
    if path == "/health":
        body = json.dumps({"status": "ok"} | names).encode()
        return Page(200, body, headers | {"Content-Type": "application/json"})
    if path not in PATHS:
        return _problem(404, "Not found")
    title = path.strip("/").replace("/", " ").title() or "Home"
    rows = "".join(f"<dt>{key}</dt><dd>{html.escape(value)}</dd>" for key, value in names.items())
    page = (
        "<!doctype html><html lang=en><meta"
        f" charset=utf-8><title>{title}</title><h1>{title}</h1><dl>{rows}</dl></html>"
    )
    return Page(200, page.encode(), headers | {"Content-Type": "text/html; charset=utf-8"})
