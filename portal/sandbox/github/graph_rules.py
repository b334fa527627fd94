"""What binds a branch, as GraphQL shows it."""

from typing import TYPE_CHECKING, Any

from . import rules
from .state import APPS

if TYPE_CHECKING:
    from .hub import Hub

Node = dict[str, Any]


def update_rule(hub: "Hub", branch: str) -> Node | None:
    """Return what a classic protection asks, which everybody may read."""
    protection = hub.state["protections"].get(branch)
    if protection is None:
        return None
    rule = rules.classic(protection)
    return {
        "allowsDeletions": not rule.no_delete,
        "requiredStatusCheckContexts": list(rule.checks),
        "requiredApprovingReviewCount": rule.approvals if rule.pull_required else None,
        "requiresCodeOwnerReviews": rule.code_owners,
        "requiresConversationResolution": rule.conversations,
        "requiresLinearHistory": rule.linear,
        "requiresSignatures": rule.signatures,
        "viewerCanPush": not (rule.pull_required or rule.locked),
    }


def protection(hub: "Hub", branch: str) -> Node | None:
    """Return the whole classic protection, which only those who administer the repository may
    read.
    """
    kept = hub.state["protections"].get(branch)
    if kept is None or not hub.rules_readable:
        return None
    rule = rules.classic(kept)
    return {
        "isAdminEnforced": kept["enforce_admins"],
        "lockBranch": rule.locked,
        "requireLastPushApproval": rule.last_push,
        "requiredDeploymentEnvironments": list(rule.deployments),
        "requiredStatusChecks": [
            {"context": context, "app": _app(app_id)} for context, app_id in rule.checks.items()
        ],
        "requiresStrictStatusChecks": rule.strict,
    }


def _app(app_id: int | None) -> Node | None:
    if app_id is None:
        return None
    known = APPS.get(app_id)
    return {"databaseId": app_id, "slug": known.slug if known else f"app-{app_id}"}


def rules_of(hub: "Hub", branch: str) -> list[Node]:
    """Return the rules of the rulesets in force."""
    rules_in_force = [
        rule for ruleset in rules.active_rulesets(hub.state, branch) for rule in ruleset["rules"]
    ]
    return [
        {"type": rule["type"].upper(), "parameters": _parameters(rule)} for rule in rules_in_force
    ]


def _parameters(rule: Node) -> Node | None:
    given = rule.get("parameters") or {}
    if rule["type"] == "pull_request":
        return {
            "__typename": "PullRequestParameters",
            "allowedMergeMethods": given.get("allowed_merge_methods"),
            "requireCodeOwnerReview": given.get("require_code_owner_review", False),
            "requireLastPushApproval": given.get("require_last_push_approval", False),
            "requiredApprovingReviewCount": given["required_approving_review_count"],
            "requiredReviewThreadResolution": given["required_review_thread_resolution"],
        }
    if rule["type"] == "required_deployments":
        wanted = given["required_deployment_environments"]
        return {
            "__typename": "RequiredDeploymentsParameters",
            "requiredDeploymentEnvironments": wanted,
        }
    if rule["type"] == "required_status_checks":
        wanted = given["required_status_checks"]
        return {
            "__typename": "RequiredStatusChecksParameters",
            "strictRequiredStatusChecksPolicy": given["strict_required_status_checks_policy"],
            "requiredStatusChecks": [
                {"context": check["context"], "integrationId": check.get("integration_id")}
                for check in wanted
            ],
        }
    return None
