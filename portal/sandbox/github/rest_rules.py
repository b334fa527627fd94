"""REST: branch protection and rulesets."""

from typing import TYPE_CHECKING, Any

from portal.sandbox.server import Response

from . import rules, shapes
from .rest_repository import get_branch
from .routes import Ask, paged, repo
from .state import APPS, Refused, find, node_id, stamp

if TYPE_CHECKING:
    from .hub import Hub

Body = dict[str, Any]

MUST_BE_THERE = (
    "required_status_checks",
    "enforce_admins",
    "required_pull_request_reviews",
    "restrictions",
)
SWITCHES = (
    "required_linear_history",
    "allow_force_pushes",
    "allow_deletions",
    "block_creations",
    "required_conversation_resolution",
    "lock_branch",
    "allow_fork_syncing",
)


def normal(body: Body) -> Body:
    """Return a protection's PUT as it is kept: every key present, checks with their app; raise
    422.
    """
    missing = [f'"{name}"' for name in MUST_BE_THERE if name not in body]
    if missing:
        raise Refused(422, f"Invalid request.\n\n{', '.join(missing)} weren't supplied.")
    reviews = body["required_pull_request_reviews"]
    return {
        "required_status_checks": (
            body["required_status_checks"] and _checks(body["required_status_checks"])
        ),
        "enforce_admins": bool(body["enforce_admins"]),
        "required_pull_request_reviews": (
            reviews
            if reviews is None
            else {
                "dismiss_stale_reviews": bool(reviews.get("dismiss_stale_reviews")),
                "require_code_owner_reviews": bool(reviews.get("require_code_owner_reviews")),
                "require_last_push_approval": bool(reviews.get("require_last_push_approval")),
                "required_approving_review_count": int(
                    reviews.get("required_approving_review_count") or 0
                ),
                "bypass_pull_request_allowances": _actors(
                    reviews.get("bypass_pull_request_allowances")
                ),
            }
        ),
        "restrictions": body["restrictions"] and _actors(body["restrictions"]),
        **{name: bool(body.get(name)) for name in SWITCHES},
    }


def _actors(body: Body | None) -> Body:
    """Logins and slugs, as PUT takes them; GET shows objects."""
    return {kind: list((body or {}).get(kind) or []) for kind in ("users", "teams", "apps")}


def _shown(hub: "Hub", actors: Body) -> Body:
    return {
        "users": [shapes.user(hub, login) for login in actors["users"]],
        "teams": [],
        "apps": [shapes.app(hub, app) for app in APPS.values() if app.slug in actors["apps"]],
    }


def _checks(body: Body) -> Body:
    if ("checks" in body) == ("contexts" in body):
        raise Refused(422, 'Invalid request.\n\nSend either "checks" or "contexts".')
    checks = body.get("checks") or [{"context": context} for context in body.get("contexts") or []]
    wanted = [{"context": c["context"], "app_id": _app(c.get("app_id"))} for c in checks]
    return {"strict": bool(body.get("strict")), "checks": wanted}


def _app(app_id: int | None) -> int | None:
    return None if app_id == -1 else app_id


UPGRADE = "Upgrade to GitHub Team or make this repository public to enable this feature."


def _on_plan(hub: "Hub") -> None:
    """Private repositories of a free plan have neither protections nor rulesets."""
    if hub.state["plan"] == "free":
        raise Refused(403, UPGRADE)


def _kept(hub: "Hub", branch: str) -> Body:
    _on_plan(hub)
    if branch not in hub.state["heads"]:
        raise Refused(404, "Branch not found")
    if branch not in hub.state["protections"]:
        raise Refused(404, "Branch not protected")
    return hub.state["protections"][branch]


def _url(hub: "Hub", branch: str) -> str:
    return f"{hub.api}/branches/{branch}/protection"


def policy(hub: "Hub", branch: str, checks: Body) -> Body:
    url = f"{_url(hub, branch)}/required_status_checks"
    contexts = [check["context"] for check in checks["checks"]]
    return {
        "url": url,
        "strict": checks["strict"],
        "contexts": contexts,
        "contexts_url": f"{url}/contexts",
        "checks": checks["checks"],
    }


def protection(hub: "Hub", branch: str, kept: Body) -> Body:
    """Return a protection as GET shows it: switches nested under `enabled`, absent parts left
    out.
    """
    url = _url(hub, branch)
    shape: Body = {"url": url}
    if kept["required_status_checks"]:
        shape["required_status_checks"] = policy(hub, branch, kept["required_status_checks"])
    if kept["required_pull_request_reviews"] is not None:
        reviews = kept["required_pull_request_reviews"]
        passing = _shown(hub, reviews.get("bypass_pull_request_allowances") or _actors(None))
        rest = {
            name: value
            for name, value in reviews.items()
            if name != "bypass_pull_request_allowances"
        }
        shape["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews",
            **rest,
        }
        if any(passing.values()):
            shape["required_pull_request_reviews"]["bypass_pull_request_allowances"] = passing
    if kept.get("restrictions"):
        listed = {
            f"{kind}_url": f"{url}/restrictions/{kind}" for kind in ("users", "teams", "apps")
        }
        shape["restrictions"] = (
            {"url": f"{url}/restrictions"} | listed | _shown(hub, kept["restrictions"])
        )
    signatures = kept.get("required_signatures", False)
    shape["required_signatures"] = {"url": f"{url}/required_signatures", "enabled": signatures}
    shape["enforce_admins"] = {"url": f"{url}/enforce_admins", "enabled": kept["enforce_admins"]}
    return shape | {name: {"enabled": kept[name]} for name in SWITCHES}


@repo("GET", "/branches/{branch}/protection/required_status_checks")
def get_required_checks(hub: "Hub", ask: Ask) -> Response:
    kept = _kept(hub, ask.part["branch"])["required_status_checks"]
    if not kept:
        raise Refused(404, "Required status checks not enabled")
    return Response(200, policy(hub, ask.part["branch"], kept))


@repo("PATCH", "/branches/{branch}/protection/required_status_checks")
def patch_required_checks(hub: "Hub", ask: Ask) -> Response:
    kept, body = _kept(hub, ask.part["branch"]), ask.body()
    old = kept["required_status_checks"]
    if not old:
        raise Refused(404, "Required status checks not enabled")
    if "checks" not in body and "contexts" not in body:
        body = body | {"checks": old["checks"]}
    kept["required_status_checks"] = _checks({"strict": old["strict"]} | body)
    return Response(200, policy(hub, ask.part["branch"], kept["required_status_checks"]))


@repo("GET", "/branches/{branch}/protection")
def get_protection(hub: "Hub", ask: Ask) -> Response:
    return Response(200, protection(hub, ask.part["branch"], _kept(hub, ask.part["branch"])))


@repo("PUT", "/branches/{branch}/protection")
def put_protection(hub: "Hub", ask: Ask) -> Response:
    _on_plan(hub)
    branch = ask.part["branch"]
    if branch not in hub.state["heads"]:
        raise Refused(404, "Branch not found")
    kept = normal(ask.body())
    hub.state["protections"][branch] = kept
    return Response(200, protection(hub, branch, kept))


@repo("DELETE", "/branches/{branch}/protection")
def delete_protection(hub: "Hub", ask: Ask) -> Response:
    _kept(hub, ask.part["branch"])
    del hub.state["protections"][ask.part["branch"]]
    return Response(204)


repo("GET", "/branches/{branch}")(get_branch)


# --- rulesets


@repo("GET", "/rules/branches/{branch}")
def branch_rules(hub: "Hub", ask: Ask) -> Response:
    _on_plan(hub)
    rows = [
        rule
        | {
            "ruleset_source_type": "Repository",
            "ruleset_source": hub.full_name,
            "ruleset_id": ruleset["id"],
        }
        for ruleset in rules.active_rulesets(hub.state, ask.part["branch"])
        for rule in ruleset["rules"]
    ]
    return paged(hub, ask, rows)


def ruleset_shape(hub: "Hub", kept: Body, viewer_bypasses: bool, *, brief: bool = False) -> Body:
    url = f"{hub.api}/rulesets/{kept['id']}"
    shape = {
        "id": kept["id"],
        "name": kept["name"],
        "target": kept["target"],
        "source_type": "Repository",
        "source": hub.full_name,
        "enforcement": kept["enforcement"],
        "node_id": node_id("RepositoryRuleset", kept["id"]),
        "_links": {"self": {"href": url}, "html": {"href": f"{hub.web}/rules/{kept['id']}"}},
        "created_at": kept["created_at"],
        "updated_at": kept["updated_at"],
    }
    if brief:
        return shape
    return shape | {
        "bypass_actors": kept["bypass_actors"],
        "current_user_can_bypass": "always" if viewer_bypasses else "never",
        "conditions": kept["conditions"],
        "rules": kept["rules"],
    }


@repo("GET", "/rulesets")
def list_rulesets(hub: "Hub", ask: Ask) -> Response:
    _on_plan(hub)
    return paged(
        hub, ask, [ruleset_shape(hub, r, False, brief=True) for r in hub.state["rulesets"]]
    )


def _ruleset(hub: "Hub", ask: Ask) -> Body:
    kept = find(hub.state["rulesets"], id=ask.number("ruleset_id"))
    if kept is None:
        raise Refused(404, "Not Found")
    return kept


def _answer(hub: "Hub", ask: Ask, kept: Body, status: int = 200) -> Response:
    passes = rules.may_bypass(kept, ask.viewer, by_pull=False)
    return Response(status, ruleset_shape(hub, kept, passes))


@repo("GET", "/rulesets/{ruleset_id}")
def get_ruleset(hub: "Hub", ask: Ask) -> Response:
    return _answer(hub, ask, _ruleset(hub, ask))


@repo("POST", "/rulesets")
def create_ruleset(hub: "Hub", ask: Ask) -> Response:
    _on_plan(hub)
    body, now = ask.need("name", "enforcement"), stamp(hub.clock())
    kept = {
        "id": hub.new_id(),
        "target": "branch",
        "bypass_actors": [],
        "conditions": {"ref_name": {"include": [], "exclude": []}},
        "rules": [],
        "created_at": now,
        "updated_at": now,
    } | body
    hub.state["rulesets"].append(kept)
    return _answer(hub, ask, kept, 201)


@repo("PUT", "/rulesets/{ruleset_id}")
def update_ruleset(hub: "Hub", ask: Ask) -> Response:
    kept = _ruleset(hub, ask)
    allowed = ("name", "target", "enforcement", "bypass_actors", "conditions", "rules")
    kept |= {name: value for name, value in ask.body().items() if name in allowed}
    kept["updated_at"] = stamp(hub.clock())
    return _answer(hub, ask, kept)
