"""Every setting of a classic branch protection in words: two are compared line by line."""

from collections.abc import Mapping

from portal.outbound.parsing import get_path, text

OPEN_UNPROTECTED = ("allow_force_pushes", "allow_deletions")
SWITCHES = {
    "enforce_admins": "Rules bind administrators",
    "required_linear_history": "Linear history",
    "allow_force_pushes": "Force pushes allowed",
    "allow_deletions": "Deletion allowed",
    "block_creations": "Creation restricted",
    "required_conversation_resolution": "Conversations resolved",
    "lock_branch": "Locked",
    "allow_fork_syncing": "Fork syncing allowed",
}
REVIEWS = {
    "dismiss_stale_reviews": "Stale approvals dismissed",
    "require_code_owner_reviews": "Review by code owners",
    "require_last_push_approval": "Last push approved by somebody else",
}


def in_words(protection: object) -> dict[str, str]:
    """Return each setting and its value, of what GET shows or PUT takes; None: not protected."""
    reviews = get_path(protection, "required_pull_request_reviews")
    checks = get_path(protection, "required_status_checks")
    restrictions = get_path(protection, "restrictions")
    is_open = protection is None
    return {
        "Changes only by pull request": _yes(reviews is not None),
        "Approvals": str(get_path(reviews, "required_approving_review_count") or 0),
        **{words: _yes(get_path(reviews, name)) for name, words in REVIEWS.items()},
        "May go round pull requests": _actors(get_path(reviews, "bypass_pull_request_allowances")),
        "May dismiss reviews": _actors(get_path(reviews, "dismissal_restrictions")),
        "Required checks": _checks(checks),
        "Branch up to date": _yes(get_path(checks, "strict")),
        "May push": "anybody" if restrictions is None else _actors(restrictions),
        **{
            words: _yes(_is_on(protection, name) or (is_open and name in OPEN_UNPROTECTED))
            for name, words in SWITCHES.items()
        },
    }


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (setting, before, after) of each that differs, in the order of `after`."""
    return [
        (name, before.get(name, "not known"), value)
        for name, value in after.items()
        if before.get(name) != value
    ]


def _is_on(protection: object, name: str) -> bool:
    """PUT takes a switch as it is, GET nests it under `enabled`."""
    value = get_path(protection, name)
    return (get_path(value, "enabled") if isinstance(value, Mapping) else value) is True


def _yes(value: object) -> str:
    return "yes" if value is True else "no"


def _actors(allowed: object) -> str:
    """PUT takes logins and slugs, GET shows objects that have them."""
    names = []
    for kind in ("users", "teams", "apps"):
        rows = get_path(allowed, kind)
        for row in rows if isinstance(rows, list) else []:
            name = row if isinstance(row, str) else get_path(row, "login") or get_path(row, "slug")
            names.append(text(name, 100))
    return ", ".join(sorted(names)) or "nobody"


def _checks(policy: object) -> str:
    """Names alone: of a check sent without an App GitHub takes the one that reported it last."""
    rows = get_path(policy, "checks")
    names = [get_path(row, "context") for row in rows] if isinstance(rows, list) else None
    if names is None:
        contexts = get_path(policy, "contexts")
        names = contexts if isinstance(contexts, list) else []
    return ", ".join(sorted(text(name, 200) for name in names)) or "none"
