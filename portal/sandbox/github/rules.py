"""Branch protections and rulesets, brought to one form, and what they refuse.

A protection is kept as the body of its PUT, a ruleset as the body of its POST.
"""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from .state import PORTAL_APP, State, Viewer

if TYPE_CHECKING:
    pass

ADMIN_ROLE = 5


@dataclass(frozen=True)
class Rules:
    """What one protection or one ruleset asks of one branch."""

    checks: dict[str, int | None]
    strict: bool = False
    pull_required: bool = False
    approvals: int = 0
    conversations: bool = False
    linear: bool = False
    no_force: bool = False
    no_delete: bool = False
    locked: bool = False
    methods: tuple[str, ...] = ("merge", "squash", "rebase")
    ruleset: bool = False
    code_owners: bool = False
    dismiss_stale: bool = False
    last_push: bool = False
    signatures: bool = False
    queue: bool = False
    deployments: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


# Rules of rulesets that only GitHub can judge, by what it then expects.
OTHERS = {
    "code_scanning": "Code scanning",
    "workflows": "Required workflow",
    "copilot_code_review": "Copilot code review",
}


def classic(protection: dict[str, Any]) -> Rules:
    checks = protection["required_status_checks"] or {"strict": False, "checks": []}
    reviews = protection["required_pull_request_reviews"]
    return Rules(
        checks={check["context"]: check["app_id"] for check in checks["checks"]},
        strict=checks["strict"],
        pull_required=reviews is not None,
        approvals=(reviews or {}).get("required_approving_review_count", 0),
        conversations=protection["required_conversation_resolution"],
        linear=protection["required_linear_history"],
        no_force=not protection["allow_force_pushes"],
        no_delete=not protection["allow_deletions"],
        locked=protection["lock_branch"],
        code_owners=(reviews or {}).get("require_code_owner_reviews", False),
        dismiss_stale=(reviews or {}).get("dismiss_stale_reviews", False),
        last_push=(reviews or {}).get("require_last_push_approval", False),
        signatures=protection.get("required_signatures", False),
        deployments=tuple(protection.get("required_deployments", ())),
    )


def from_ruleset(ruleset: dict[str, Any]) -> Rules:
    rules = {rule["type"]: rule.get("parameters") or {} for rule in ruleset["rules"]}
    checks = rules.get("required_status_checks", {})
    pull = rules.get("pull_request", {})
    return Rules(
        checks={
            check["context"]: check.get("integration_id")
            for check in checks.get("required_status_checks", [])
        },
        strict=checks.get("strict_required_status_checks_policy", False),
        pull_required="pull_request" in rules,
        approvals=pull.get("required_approving_review_count", 0),
        conversations=pull.get("required_review_thread_resolution", False),
        linear="required_linear_history" in rules,
        no_force="non_fast_forward" in rules,
        no_delete="deletion" in rules,
        locked="update" in rules,
        methods=tuple(pull.get("allowed_merge_methods") or ("merge", "squash", "rebase")),
        ruleset=True,
        code_owners=pull.get("require_code_owner_review", False),
        dismiss_stale=pull.get("dismiss_stale_reviews_on_push", False),
        last_push=pull.get("require_last_push_approval", False),
        signatures="required_signatures" in rules,
        queue="merge_queue" in rules,
        deployments=tuple(
            rules.get("required_deployments", {}).get("required_deployment_environments", ())
        ),
        others=tuple(message for name, message in OTHERS.items() if name in rules),
    )


def active_rulesets(state: State, branch: str) -> list[dict[str, Any]]:
    """Return the rulesets in force whose conditions name the branch."""
    return [
        ruleset
        for ruleset in state["rulesets"]
        if ruleset["enforcement"] == "active"
        and ruleset["target"] == "branch"
        and _names(ruleset["conditions"], branch, state["default_branch"])
    ]


def _names(conditions: dict[str, Any] | None, branch: str, default: str) -> bool:
    names = (conditions or {}).get("ref_name", {})

    def any_of(patterns: list[str]) -> bool:
        return any(
            pattern == "~ALL"
            or (pattern == "~DEFAULT_BRANCH" and branch == default)
            or fnmatchcase(f"refs/heads/{branch}", pattern)
            for pattern in patterns
        )

    return any_of(names.get("include", [])) and not any_of(names.get("exclude", []))


def may_bypass(ruleset: dict[str, Any], viewer: Viewer, *, by_pull: bool) -> bool:
    """Return whether the ruleset lets the viewer pass; `by_pull`: through a pull request rather
    than a push.
    """
    for actor in ruleset.get("bypass_actors") or []:
        same = (
            (actor["actor_type"] == "Integration" and actor["actor_id"] == viewer.app_id)
            or (
                actor["actor_type"] == "RepositoryRole"
                and actor["actor_id"] == ADMIN_ROLE
                and viewer.admin
            )
            or (actor["actor_type"] == "OrganizationAdmin" and viewer.admin)
        )
        if same and (actor.get("bypass_mode", "always") == "always" or by_pull):
            return True
    return False


# Who may go round the pull request needs no reviews either; checks and the rest bind on.
WITHOUT_REVIEWS: dict[str, Any] = {
    "pull_required": False,
    "approvals": 0,
    "code_owners": False,
    "last_push": False,
}


def in_force(state: State, branch: str, viewer: Viewer, *, by_pull: bool = False) -> list[Rules]:
    """Return all that binds the viewer on this branch."""
    rules_found = []
    protection = state["protections"].get(branch)
    if protection and (protection["enforce_admins"] or not viewer.admin):
        bound = classic(protection)
        passing = (protection["required_pull_request_reviews"] or {}).get(
            "bypass_pull_request_allowances"
        ) or {}
        by_app = viewer.app_id == PORTAL_APP.id and PORTAL_APP.slug in passing.get("apps", [])
        if by_app or viewer.login in passing.get("users", []):
            bound = replace(bound, **WITHOUT_REVIEWS)
        rules_found.append(bound)
    for ruleset in active_rulesets(state, branch):
        if not may_bypass(ruleset, viewer, by_pull=by_pull):
            rules_found.append(from_ruleset(ruleset))
    return rules_found


def said(rules: Rules, sentences: list[str]) -> str:
    """Return the refusal as the API words it, which differs between protections and rulesets."""
    if rules.ruleset:
        return "Repository rule violations found\n\n" + "\n\n".join(sentences) + "\n\n"
    return " ".join(sentences)
