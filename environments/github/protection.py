"""What binds a branch: protection and rulesets in one form, each part a value or not known."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from environments.github import classic_settings
from environments.github.transport import Transport
from portal.outbound.http import ApiError
from portal.outbound.parsing import Malformed, field, get_path, nullable, optional, text, word

METHODS = ("merge", "squash", "rebase")
CLASSIC = "branch protection"
NO_PLAN = (
    "GitHub has no branch protection for a private repository on this plan, so anybody who may push"
    " can merge around the portal: upgrade the plan, or make the repository public."
)


@dataclass(frozen=True)
class Rules:
    """What one source, or all together, ask of a branch.

    None: not known. `checks` are required contexts.

    `passing`: who may go round it, in words. `closed_by`: what demands pull requests and does not
    let this credential push past that; the classic protection stands there whenever it demands
    them, for it names who may in `passing`.
    """

    pull_request: bool | None = False
    approvals: int | None = 0
    checks: frozenset[str] | None = frozenset()
    conversations: bool | None = False
    linear: bool | None = False
    force_pushes: bool | None = True
    deletions: bool | None = True
    passing: frozenset[str] | None = frozenset()
    apps: frozenset[tuple[str, int]] | None = frozenset()  # contexts that one App alone fulfils
    closed_by: frozenset[str] | None = frozenset()
    problems: tuple[str, ...] = ()
    classic: Mapping[str, str] | None = None  # every setting of the classic protection, in words


UNKNOWN = Rules(None, None, None, None, None, None, None, None, None, None)


def read(transport: Transport, path: str, branch: str) -> Rules:
    """Return the rules in force on `branch` (quoted, for the path).

    Raise `ApiError` where there is no answer at all.
    """
    classic = _tried(lambda: _classic(transport, path, branch), "The branch protection")
    rulesets = _tried(lambda: _rulesets(transport, path, branch), "The rulesets")
    return together((classic, rulesets))


def _tried(ask: Callable[[], Rules], what: str) -> Rules:
    """Return what `ask` gives; what this token may not see is not known."""
    try:
        return ask()
    except ApiError as error:
        if error.status not in (403, 404) or error.kind == "rate_limited":
            raise
        if error.status == 403 and error.kind == "refused":  # in words about an upgrade
            return replace(UNKNOWN, problems=(NO_PLAN,))
        return replace(UNKNOWN, problems=(f"{what} cannot be read: {error}",))


def together(parts: Iterable[Rules]) -> Rules:
    """Return all sources at once: what one asks is asked; what one leaves open is known only when
    all are known.
    """
    rules = tuple(parts)
    return Rules(
        pull_request=_any([rule.pull_request for rule in rules]),
        approvals=_most([rule.approvals for rule in rules]),
        checks=_union([rule.checks for rule in rules]),
        conversations=_any([rule.conversations for rule in rules]),
        linear=_any([rule.linear for rule in rules]),
        force_pushes=_all([rule.force_pushes for rule in rules]),
        deletions=_all([rule.deletions for rule in rules]),
        passing=_union([rule.passing for rule in rules]),
        apps=_union([rule.apps for rule in rules]),
        closed_by=_union([rule.closed_by for rule in rules]),
        problems=tuple(dict.fromkeys(message for rule in rules for message in rule.problems)),
        classic=next((rule.classic for rule in rules if rule.classic is not None), None),
    )


def _any(values: list[bool | None]) -> bool | None:
    return True if True in values else None if None in values else False


def _all(values: list[bool | None]) -> bool | None:
    return False if False in values else None if None in values else True


def _most(values: list[int | None]) -> int | None:
    return None if None in values else max((value or 0 for value in values), default=0)


def _union[T](values: list[frozenset[T] | None]) -> frozenset[T] | None:
    known = [value for value in values if value is not None]
    return frozenset[T]().union(*known) if len(known) == len(values) else None


def _classic(transport: Transport, path: str, branch: str) -> Rules:
    try:
        item = transport.get("read branch protection", f"{path}/branches/{branch}/protection")
    except ApiError as error:
        if error.status == 404 and "not protected" in error.detail.lower():
            return Rules(classic=classic_settings.in_words(None))
        raise
    reviews = optional(item, "required_pull_request_reviews", dict)
    allowed = get_path(reviews, "bypass_pull_request_allowances") or {}
    passing = {name for kind in ("users", "teams", "apps") for name in _names(allowed, kind)}
    if not _enabled(item, "enforce_admins"):
        passing.add("administrators")
    return Rules(
        pull_request=reviews is not None,
        approvals=optional(reviews or {}, "required_approving_review_count", int) or 0,
        checks=frozenset(_contexts(get_path(item, "required_status_checks"))),
        conversations=_enabled(item, "required_conversation_resolution"),
        linear=_enabled(item, "required_linear_history"),
        force_pushes=_enabled(item, "allow_force_pushes"),
        deletions=_enabled(item, "allow_deletions"),
        passing=frozenset(passing),
        apps=_bound(get_path(item, "required_status_checks", "checks"), "app_id"),
        closed_by=frozenset([CLASSIC] if reviews is not None else []),
        classic=classic_settings.in_words(item),
    )


def _bound(checks: object, name: str) -> frozenset[tuple[str, int]]:
    """Return required checks with the App that must report them; -1 and nothing mean any."""
    rows = checks if isinstance(checks, list) else []
    pairs = ((field(row, "context", str), optional(row, name, int)) for row in rows)
    return frozenset((context, app) for context, app in pairs if app is not None and app != -1)


def _enabled(item: object, name: str) -> bool:
    """GET nests a switch as `{enabled}`; one that is missing is off."""
    part = optional(item, name, dict)
    return False if part is None else field(part, "enabled", bool)


def _names(allowed: object, kind: str) -> list[str]:
    rows = get_path(allowed, kind)
    values = rows if isinstance(rows, list) else []
    return [text(get_path(row, "login") or get_path(row, "slug"), 100) for row in values]


def _contexts(item: object) -> list[str]:
    if item is None:
        return []
    if isinstance(checks := get_path(item, "checks"), list):
        return [field(check, "context", str) for check in checks]
    return [context for context in field(item, "contexts", list) if isinstance(context, str)]


def _rulesets(transport: Transport, path: str, branch: str) -> Rules:
    rows = transport.pages("read the rules of a branch", f"{path}/rules/branches/{branch}")
    by_set: dict[int, list[object]] = {}
    for row in rows:
        by_set.setdefault(field(row, "ruleset_id", int), []).append(row)
    parts = []
    for number, rules in by_set.items():
        ruleset = transport.get("read a ruleset", f"{path}/rulesets/{number}")
        # Absent if GitHub does not report it; then the credential counts as not allowed.
        passes = get_path(ruleset, "current_user_can_bypass") in ("always", "exempt")
        name = text(get_path(ruleset, "name"), 100)
        parts.append(_of_ruleset(rules, _actors(ruleset), "" if passes else f"ruleset {name}"))
    return together(parts)


def _of_ruleset(rows: Sequence[object], passing: frozenset[str] | None, closed_by: str) -> Rules:
    rules = {
        field(row, "type", str): nullable({"p": get_path(row, "parameters")}, "p", dict) or {}
        for row in rows
    }
    pull = rules.get("pull_request", {})
    methods = tuple(word(method) for method in pull.get("allowed_merge_methods") or METHODS)
    checks = rules.get("required_status_checks", {}).get("required_status_checks") or []
    return Rules(
        pull_request="pull_request" in rules,
        approvals=optional(pull, "required_approving_review_count", int) or 0,
        checks=frozenset(field(check, "context", str) for check in checks),
        conversations=bool(pull.get("required_review_thread_resolution")),
        linear="required_linear_history" in rules or "merge" not in methods,
        force_pushes="non_fast_forward" not in rules,
        deletions="deletion" not in rules,
        passing=passing,
        apps=_bound(checks, "integration_id"),
        closed_by=frozenset([closed_by] if closed_by and "pull_request" in rules else []),
    )


def _actors(ruleset: object) -> frozenset[str] | None:
    """Return who may bypass, in words; None: GitHub shows it only to those who may edit."""
    rows = get_path(ruleset, "bypass_actors")
    if rows is None:
        return None
    if not isinstance(rows, list):
        raise Malformed("bypass_actors is no list")
    name = text(get_path(ruleset, "name"), 100)
    return frozenset(
        f"{text(get_path(row, 'actor_type'), 40)} {get_path(row, 'actor_id')} (ruleset {name})"
        for row in rows
    )
