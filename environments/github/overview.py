"""One repository in a few calls: branches, rules, pull requests and their checks, by one GraphQL document."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from environments.github.answers import (
    Check,
    MergedPull,
    Pull,
    Required,
    read_merged,
    read_pull,
)
from environments.github.transport import SERVICE, Transport
from portal import http
from portal.http import ApiError
from portal.outside import Malformed, commit, dig, optional, text, word
from portal.outside import field as need

DOCUMENT = (Path(__file__).parent / "overview.graphql").read_text()
DOING = "read the repository"
PAGE = 50
SMALL_PAGE = 25  # after an answer that took GitHub more than its 10 s
MAX_PAGES = 20
TOO_SLOW = frozenset({502, 504})


@dataclass(frozen=True)
class Overview:
    """What a sync pass sees. `complete` False: something is missing, and `problems` says what."""

    staging_head: str | None
    production_head: str | None
    open_pulls: tuple[Pull, ...]
    merged_pulls: tuple[MergedPull, ...]
    promotions: tuple[Pull, ...]
    hotfixes: tuple[Pull, ...]
    required_contexts: dict[str, tuple[Required, ...]]
    rules_readable: bool
    complete: bool
    problems: tuple[str, ...]
    remaining_points: int | None


@dataclass
class _Gathering:
    """The overview while its pages come in."""

    pulls: dict[int, Pull] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def lacks(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


def read_overview(transport: Transport, owner: str, name: str, staging: str, production: str) -> Overview:
    """The overview of `owner/name`: one call per 50 open pull requests. Raises `ApiError`."""
    seen = _Gathering()
    variables: dict[str, object] = {
        "owner": owner,
        "name": name,
        "staging": staging,
        "stagingRef": f"refs/heads/{staging}",
        "production": production,
        "productionRef": f"refs/heads/{production}",
    }
    ask = _asker(transport, variables)
    first, errors, points = ask(None)
    _note_errors(seen, errors)
    page = first
    cursors: set[str] = set()
    for _ in range(MAX_PAGES):
        _add_pulls(seen, page, "open", bool(errors))
        cursor = _next(page, seen)
        if cursor is None:
            break
        if cursor in cursors:
            seen.lacks("GitHub's pages of pull requests go round in a circle: some may be missing.")
            break
        cursors.add(cursor)
        page, errors, points = ask(cursor)
        _note_errors(seen, errors)
    else:
        seen.lacks(f"There are more than {MAX_PAGES * SMALL_PAGE} open pull requests: the oldest are not read.")
    return _finish(seen, first, staging, production, points)


Asker = Callable[[str | None], tuple[dict[str, Any], list[object], int | None]]


def _asker(transport: Transport, variables: dict[str, object]) -> Asker:
    size = PAGE

    def ask(cursor: str | None) -> tuple[dict[str, Any], list[object], int | None]:
        nonlocal size
        asked = variables | {"after": cursor, "first": cursor is None}
        try:
            shy = TOO_SLOW if size == PAGE else frozenset()
            return http.read_again(lambda: _ask(transport, asked | {"pageSize": size}), unless_status=shy)
        except ApiError as error:
            if error.status not in TOO_SLOW or size != PAGE:
                raise
        size = SMALL_PAGE
        return http.read_again(lambda: _ask(transport, asked | {"pageSize": size}))

    return ask


def _ask(transport: Transport, variables: dict[str, object]) -> tuple[dict[str, Any], list[object], int | None]:
    answer = transport.graphql(DOING, DOCUMENT, variables)
    errors = answer.get("errors") or []
    repository = dig(answer, "data", "repository")
    if not isinstance(repository, dict):
        raise graphql_error(errors, f"{variables['owner']}/{variables['name']}")
    remaining = dig(answer, "data", "rateLimit", "remaining")
    return repository, errors, remaining if isinstance(remaining, int) else None


def graphql_error(errors: list[object], repository: str) -> ApiError:
    """What an answer without the repository means."""
    first = errors[0] if errors else {}
    words, kind = (
        text(dig(first, "message")),
        text(dig(first, "type")) or text(dig(first, "extensions", "code")),
    )
    if kind.upper() in {"RATE_LIMITED", "RATE_LIMIT"} or "rate limit" in words.lower():
        sentence = "GitHub's request limit is used up: the portal waits for the next hour."
        return ApiError(SERVICE, "rate_limited", sentence, status=200, retry_after=60.0, detail=words)
    if kind.upper() == "NOT_FOUND":
        sentence = f"GitHub shows no repository {repository} to the token: check its name and the token's access."
        return ApiError(SERVICE, "not_found", sentence, status=200, detail=words)
    if kind.upper() in {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        sentence = f"GitHub does not let the token read {repository} ({words}): give it that permission."
        return ApiError(SERVICE, "forbidden", sentence, status=200, detail=words)
    if kind in {"undefinedField", "argumentNotAccepted", "missingRequiredArguments"}:
        sentence = f"GitHub no longer knows a field the portal asks for ({words}): the portal needs an update."
        return ApiError(SERVICE, "outdated", sentence, status=200, detail=words)
    if words:
        sentence = f"GitHub could not answer ({words}): it is asked again later."
        status = 504 if "timeout" in words.lower() else 200  # its own time limit, wrapped in a 200
        return ApiError(SERVICE, "unavailable", sentence, status=status, detail=words)
    return http.malformed(SERVICE, "no repository in it", 200)


def _note_errors(seen: _Gathering, errors: list[object]) -> None:
    for error in errors[:5]:
        seen.lacks(f"GitHub did not show everything: {text(dig(error, 'message')) or 'no reason given'}.")


def _add_pulls(seen: _Gathering, page: dict[str, Any], name: str, errors: bool) -> None:
    for pull in _pulls(seen, dig(page, name, "nodes"), errors):
        seen.pulls.setdefault(pull.number, pull)


def _pulls(seen: _Gathering, nodes: object, errors: bool) -> list[Pull]:
    if not isinstance(nodes, list):
        seen.lacks("GitHub's list of pull requests cannot be read.")
        return []
    found = []
    for node in nodes:
        try:
            pull = read_pull(node, errors=errors)
        except Malformed as error:
            number = dig(node, "number")
            seen.lacks(f"Pull request #{number if isinstance(number, int) else '?'} cannot be read: {error}.")
            continue
        if pull.checks is None:
            seen.lacks(f"The checks of pull request #{pull.number} are not all shown: read them one by one.")
        found.append(pull)
    return found


def _next(page: dict[str, Any], seen: _Gathering) -> str | None:
    try:
        info = need(need(page, "open", dict), "pageInfo", dict)
        if not need(info, "hasNextPage", bool):
            return None
        if cursor := need(info, "endCursor", str):
            return cursor
        raise Malformed("endCursor is empty")
    except Malformed:
        seen.lacks("GitHub does not say whether there are more pull requests.")
        return None


def _finish(seen: _Gathering, first: dict[str, Any], staging: str, production: str, points: int | None) -> Overview:
    heads = {branch: _head(seen, first, key, branch) for key, branch in _refs(staging, production)}
    rules = {branch: _rules(dig(first, key)) for key, branch in _refs(staging, production)}
    for branch in heads:
        if rules[branch] is None:
            seen.lacks(f"The rules of branch {branch} cannot be read: which checks it requires is not known.")
    into = _pulls(seen, dig(first, "promotions", "nodes"), bool(seen.problems))
    into = [_with_required(pull, rules[production]) for pull in into if pull.base_ref == production]
    promotions = tuple(pull for pull in into if pull.head_ref == staging and not pull.fork)
    if dig(first, "promotions", "pageInfo", "hasNextPage") is not False:
        seen.lacks(f"Not all pull requests into {production} were read.")
    return Overview(
        staging_head=heads[staging],
        production_head=heads[production],
        open_pulls=tuple(_with_required(pull, rules[staging]) for pull in seen.pulls.values()),
        merged_pulls=_merged(seen, dig(first, "merged", "nodes")),
        promotions=promotions,
        hotfixes=tuple(pull for pull in into if pull not in promotions),
        required_contexts={branch: found or () for branch, found in rules.items()},
        rules_readable=all(found is not None for found in rules.values()),
        complete=not seen.problems,
        problems=tuple(seen.problems),
        remaining_points=points,
    )


def _refs(staging: str, production: str) -> list[tuple[str, str]]:
    return [("staging", staging), ("production", production)]


def _head(seen: _Gathering, first: dict[str, Any], key: str, branch: str) -> str | None:
    head = commit(dig(first, key, "target", "oid"))
    if head is None:
        missing = key in first and first[key] is None
        seen.lacks(f"Branch {branch} {'does not exist' if missing else 'cannot be read'} on GitHub.")
    return head


def _rules(ref: object) -> tuple[Required, ...] | None:
    """The checks a branch requires, by classic protection and by rulesets; None when not all are shown."""
    try:
        found = {
            Required(text(name))
            for name in optional(optional(ref, "refUpdateRule", dict) or {}, "requiredStatusCheckContexts", list) or []
        }
        rules = need(need(ref, "rules", dict), "nodes", list)
        for rule in rules:
            if word(need(rule, "type", str)) == "required_status_checks":
                for check in need(need(rule, "parameters", dict), "requiredStatusChecks", list):
                    found.add(Required(text(need(check, "context", str)), optional(check, "integrationId", int)))
    except Malformed:
        return None
    if len(rules) >= PAGE or any(not required.context for required in found):
        return None
    bound = {required.context for required in found if required.app_id is not None}
    kept = [required for required in found if required.app_id is not None or required.context not in bound]
    return tuple(sorted(kept, key=lambda required: (required.context, required.app_id or 0)))


def _with_required(pull: Pull, rules: tuple[Required, ...] | None) -> Pull:
    if pull.checks is None or rules is None:
        return pull
    return replace(pull, checks=tuple(mark_required(check, rules) for check in pull.checks))


def mark_required(check: Check, rules: tuple[Required, ...]) -> Check:
    """`check`, saying whether one of `rules` asks for it."""
    asked = any(rule.context == check.name and rule.app_id in (None, -1, check.app_id) for rule in rules)
    return replace(check, required=asked)


def _merged(seen: _Gathering, nodes: object) -> tuple[MergedPull, ...]:
    found = []
    for node in nodes if isinstance(nodes, list) else [None]:
        try:
            found.append(read_merged(node))
        except Malformed as error:
            seen.lacks(f"A merged pull request cannot be read: {error}.")
    return tuple(found)
