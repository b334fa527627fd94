"""One repository in a few calls: branches, rules, pull requests and their checks, by one GraphQL
document.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from environments.github.answers import Check, Required
from environments.github.merging import MergeRules, read_merge_rules
from environments.github.pulls import MergedPull, Pull, read_merged, read_named, read_pull
from environments.github.transport import SERVICE, Transport
from portal.outbound import http
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject, Malformed, commit, get_path, quoted, text
from portal.outbound.parsing import field as need

DOCUMENT = (Path(__file__).parent / "overview.graphql").read_text()
DOING = "read the repository"
PAGE = 100
SMALL_PAGE = 25  # after an answer that took GitHub more than its 10 s
MAX_PAGES = 40
MOST_NAMED = 10
MOST_PROBLEMS = 20
TOO_SLOW = frozenset({502, 504})


@dataclass(frozen=True)
class Compared:
    """Staging beside production: how many commits only one of them has, and whether both hold the
    same files.
    """

    ahead: int
    behind: int
    same_files: bool


@dataclass(frozen=True)
class Overview:
    """What a sync pass sees. `complete` False: something is missing, and `problems` says what.

    `named` are the pull requests asked for by number. `listed`: every open pull request into
    staging was seen (`into_listed`: into production); if not, `cursor` is where the next pass goes
    on. `closed` are numbers of those that ended unmerged last. `checks_hidden`: GitHub did not show
    check runs to this credential.
    `full_name` is what the repository is called now. `rules` of a branch None: they could not be
    read. `comparison` is of the two heads; None: GitHub did not compare them.
    """

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
    named: tuple[Pull, ...] = ()
    listed: bool = True
    into_listed: bool = True
    cursor: str | None = None
    closed: tuple[int, ...] = ()
    checks_hidden: bool = False
    full_name: str = ""
    rules: dict[str, MergeRules | None] = field(default_factory=dict)
    comparison: Compared | None = None


@dataclass
class _Gathering:
    """The overview while its pages come in."""

    pulls: dict[int, Pull] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    listed: bool = True
    cursor: str | None = None
    checks_hidden: bool = False

    def lacks(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)


@dataclass(frozen=True)
class Pages:
    """Which pages of open pull requests are read: all from the start, or `most` more from
    `cursor` on.
    """

    cursor: str | None = None
    most: int = MAX_PAGES
    recent: bool = False


EVERYTHING = Pages()


def read_overview(
    transport: Transport,
    owner: str,
    name: str,
    staging: str,
    production: str,
    numbers: Sequence[int] = (),
    pages: Pages = EVERYTHING,
) -> Overview:
    """The overview of `owner/name`: one call per 100 open pull requests. Raises `ApiError`."""
    seen = _Gathering()
    variables: dict[str, object] = {
        "owner": owner,
        "name": name,
        "staging": staging,
        "stagingRef": f"refs/heads/{staging}",
        "production": production,
        "productionRef": f"refs/heads/{production}",
    }
    numbers = tuple(dict.fromkeys(numbers))[:MOST_NAMED]
    ask = _asker(transport, variables, _document(numbers), pages)
    first, errors, points = ask(pages.cursor, True)
    _note_errors(seen, errors)
    _read_pages(seen, ask, first, errors, pages)
    if pages.recent:
        _add_pulls(seen, first, "recent", bool(errors))
    named = _named(seen, first, numbers, bool(errors))
    return _finish(seen, first, staging, production, points, named, bool(errors))


def read_merge(
    transport: Transport, owner: str, name: str, staging: str, production: str, number: int
) -> Overview:
    """Both branches with what a merge into them takes, and one pull request by its number.

    Raises `ApiError`.
    """
    seen = _Gathering(listed=False)
    variables: dict[str, object] = {
        "owner": owner,
        "name": name,
        "stagingRef": f"refs/heads/{staging}",
        "productionRef": f"refs/heads/{production}",
    }
    document = MERGE_DOCUMENT.replace("# named", _asked((number,)))
    first, errors, points = http.read_again(lambda: _ask(transport, document, variables))
    _note_errors(seen, errors)
    named = _named(seen, first, (number,), bool(errors))
    return _finish(seen, first, staging, production, points, named, bool(errors))


def _asked(numbers: Sequence[int]) -> str:
    return "\n    ".join(
        f"named{number:d}: pullRequest(number: {number:d}) {{ ...Pull ...Merging }}"
        for number in numbers
    )


def _document(numbers: Sequence[int]) -> str:
    """The document with these pull requests in it."""
    asked = _asked(numbers)
    if asked:
        return DOCUMENT.replace("# named", asked)
    return (
        DOCUMENT[: DOCUMENT.index("# What the merge of one")]
        + DOCUMENT[DOCUMENT.index("fragment Pull on") :]
    )


def _read_pages(
    seen: _Gathering, ask: "Asker", page: Mapping[str, object], errors: list[object], pages: Pages
) -> None:
    """Takes up the open pull requests of the first page and of those after it, as many as are
    wanted.
    """
    cursors: set[str] = set()
    for read in range(pages.most):
        _add_pulls(seen, page, "open", bool(errors))
        seen.cursor = cursor = _next(page, seen)
        if cursor is None:
            break
        if cursor in cursors:
            seen.lacks("GitHub repeats pages of pull requests, so some may be missing.")
            break
        cursors.add(cursor)
        if read + 1 == pages.most:
            break
        page, errors, _ = ask(cursor, False)
        _note_errors(seen, errors)
    if pages.cursor is not None or seen.cursor is not None:
        seen.listed = False
    if seen.cursor is not None and pages.most == MAX_PAGES:
        seen.lacks(
            f"There are more than {MAX_PAGES * SMALL_PAGE} open pull requests: the oldest are not"
            " read."
        )


def _named(
    seen: _Gathering, first: Mapping[str, object], numbers: Sequence[int], errors: bool
) -> tuple[Pull, ...]:
    found = []
    for number in numbers:
        try:
            pull = read_named(first.get(f"named{number}"), errors=errors)
            if pull.number != number:
                raise Malformed("it is another one")
            found.append(pull)
        except Malformed as error:
            seen.lacks(f"Pull request #{number} cannot be read: {error}.")
    return tuple(found)


Asker = Callable[[str | None, bool], tuple[JsonObject, list[object], int | None]]


def _asker(
    transport: Transport, variables: dict[str, object], document: str, pages: Pages
) -> Asker:
    most = PAGE if pages.most > 1 else 50  # a page that is read beside the recent ones
    size = most

    def ask(cursor: str | None, first: bool) -> tuple[JsonObject, list[object], int | None]:
        nonlocal size
        asked = variables | {"after": cursor, "first": first, "recent": first and pages.recent}
        text_ = document if first else DOCUMENT_OF_PAGES
        try:
            shy = TOO_SLOW if size == most else frozenset()
            return http.read_again(
                lambda: _ask(transport, text_, asked | {"pageSize": size}), unless_status=shy
            )
        except ApiError as error:
            if error.status not in TOO_SLOW or size != most:
                raise
        size = SMALL_PAGE
        return http.read_again(lambda: _ask(transport, text_, asked | {"pageSize": size}))

    return ask


DOCUMENT_OF_PAGES = _document(())
MERGE_DOCUMENT = """query Merge($owner: String!, $name: String!, $stagingRef: String!,
  $productionRef: String!) {
  rateLimit { remaining }
  repository(owner: $owner, name: $name) {
    nameWithOwner
    mergeCommitAllowed
    squashMergeAllowed
    rebaseMergeAllowed
    deleteBranchOnMerge
    # named
    staging: ref(qualifiedName: $stagingRef) { ...Branch }
    production: ref(qualifiedName: $productionRef) { ...Branch }
  }
}
""" + DOCUMENT[DOCUMENT.index("fragment Branch on") :]


def _ask(
    transport: Transport, document: str, variables: dict[str, object]
) -> tuple[JsonObject, list[object], int | None]:
    answer = transport.graphql(DOING, document, variables)
    errors = answer.get("errors") or []
    repository = get_path(answer, "data", "repository")
    if not isinstance(repository, dict):
        raise graphql_error(errors, f"{variables['owner']}/{variables['name']}")
    remaining = get_path(answer, "data", "rateLimit", "remaining")
    return repository, errors, remaining if isinstance(remaining, int) else None


def graphql_error(errors: list[object], repository: str) -> ApiError:
    """What an answer without the repository means."""
    first = errors[0] if errors else {}
    words, kind = (
        quoted(get_path(first, "message")),
        text(get_path(first, "type")) or text(get_path(first, "extensions", "code")),
    )
    if kind.upper() in {"RATE_LIMITED", "RATE_LIMIT"} or "rate limit" in words.lower():
        sentence = "GitHub's request limit is used up: the portal waits for the next hour."
        return ApiError(
            SERVICE, "rate_limited", sentence, status=200, retry_after=60.0, detail=words
        )
    if kind.upper() == "NOT_FOUND":
        sentence = (
            f"GitHub shows no repository {repository} to the token: check its name and the token's"
            " access."
        )
        return ApiError(SERVICE, "not_found", sentence, status=200, detail=words)
    if kind.upper() in {"FORBIDDEN", "INSUFFICIENT_SCOPES"}:
        sentence = (
            f"GitHub does not let the token read {repository} ({words}): give it that permission."
        )
        return ApiError(SERVICE, "forbidden", sentence, status=200, detail=words)
    if kind in {"undefinedField", "argumentNotAccepted", "missingRequiredArguments"}:
        sentence = (
            f"GitHub no longer knows a field the portal asks for ({words}): the portal needs an"
            " update."
        )
        return ApiError(SERVICE, "outdated", sentence, status=200, detail=words)
    if words:
        sentence = f"GitHub could not answer ({words}). The portal asks again later."
        status = 504 if "timeout" in words.lower() else 200  # its own time limit, wrapped in a 200
        return ApiError(SERVICE, "unavailable", sentence, status=status, detail=words)
    return http.malformed(SERVICE, "no repository in it", 200)


def _note_errors(seen: _Gathering, errors: list[object]) -> None:
    """What GitHub did not show.

    Hidden check runs are one thing, however many; a protection that only administrators are shown
    is none: it comes as null. Branches that GitHub cannot compare are compared in git.
    """
    for error in errors:
        path = get_path(error, "path")
        parts = {one for one in path if isinstance(one, str)} if isinstance(path, list) else set()
        if parts & {"contexts", "last"}:
            seen.checks_hidden = True
            seen.lacks("GitHub does not show check runs to this credential.")
        elif not parts & {"branchProtectionRule", "compare"} and len(seen.problems) < MOST_PROBLEMS:
            seen.lacks(
                "GitHub did not show everything:"
                f" {quoted(get_path(error, 'message')) or 'no reason given'}."
            )
            seen.listed = False


def _add_pulls(seen: _Gathering, page: Mapping[str, object], name: str, errors: bool) -> None:
    for pull in _pulls(seen, get_path(page, name, "nodes"), errors):
        seen.pulls.setdefault(pull.number, pull)


def _pulls(seen: _Gathering, nodes: object, errors: bool) -> list[Pull]:
    if not isinstance(nodes, list):
        seen.lacks("GitHub's list of pull requests cannot be read.")
        seen.listed = False
        return []
    found = []
    for node in nodes:
        try:
            pull = read_pull(node, errors=errors)
        except Malformed as error:
            number = get_path(node, "number")
            seen.lacks(
                f"Pull request #{number if isinstance(number, int) else '?'} cannot be read:"
                f" {error}."
            )
            seen.listed = False
            continue
        if pull.checks is None:
            seen.lacks(
                f"The checks of pull request #{pull.number} are not all shown: read them one by"
                " one."
            )
        found.append(pull)
    return found


def _next(page: Mapping[str, object], seen: _Gathering) -> str | None:
    try:
        info = need(need(page, "open", dict), "pageInfo", dict)
        if not need(info, "hasNextPage", bool):
            return None
        if cursor := need(info, "endCursor", str):
            return cursor
        raise Malformed("endCursor is empty")
    except Malformed:
        seen.lacks("GitHub does not say whether there are more pull requests.")
        seen.listed = False
        return None


def _finish(
    seen: _Gathering,
    first: Mapping[str, object],
    staging: str,
    production: str,
    points: int | None,
    named: tuple[Pull, ...],
    errors: bool,
) -> Overview:
    heads = {branch: _head(seen, first, key, branch) for key, branch in _refs(staging, production)}
    rules = {
        branch: read_merge_rules(get_path(first, key), first)
        for key, branch in _refs(staging, production)
    }
    for branch in heads:
        if rules[branch] is None:
            seen.lacks(
                f"The rules of branch {branch} cannot be read: which checks it requires is not"
                " known."
            )
    wanted = {branch: None if found is None else found.checks for branch, found in rules.items()}
    into = _pulls(seen, get_path(first, "promotions", "nodes"), errors)
    into = [
        _with_required(pull, wanted[production]) for pull in into if pull.base_ref == production
    ]
    promotions = tuple(pull for pull in into if pull.head_ref == staging and not pull.fork)
    return Overview(
        staging_head=heads[staging],
        production_head=heads[production],
        open_pulls=tuple(_with_required(pull, wanted[staging]) for pull in seen.pulls.values()),
        merged_pulls=_merged(seen, get_path(first, "merged", "nodes")),
        promotions=promotions,
        hotfixes=tuple(pull for pull in into if pull not in promotions),
        required_contexts={branch: found or () for branch, found in wanted.items()},
        rules_readable=all(found is not None for found in wanted.values()),
        complete=not seen.problems,
        problems=tuple(seen.problems),
        remaining_points=points,
        named=tuple(_with_required(pull, wanted[production]) for pull in named),
        listed=seen.listed,
        into_listed=not errors
        and get_path(first, "promotions", "pageInfo", "hasNextPage") is False,
        cursor=seen.cursor,
        closed=_closed(get_path(first, "closed", "nodes")),
        checks_hidden=seen.checks_hidden,
        full_name=text(get_path(first, "nameWithOwner")),
        rules=rules,
        comparison=_comparison(first, heads[staging]),
    )


def _comparison(first: Mapping[str, object], staging_head: str | None) -> Compared | None:
    """What GitHub says of both branches, if it compared the very heads that it shows."""
    found = get_path(first, "production", "compare")
    trees = [get_path(first, key, "target", "tree", "oid") for key in ("staging", "production")]
    try:
        ahead, behind = need(found, "aheadBy", int), need(found, "behindBy", int)
    except Malformed:
        return None
    if not all(isinstance(one, str) and one for one in trees):
        return None
    if staging_head is None or get_path(found, "headTarget", "oid") != staging_head:
        return None
    return Compared(ahead, behind, same_files=trees[0] == trees[1])


def _closed(nodes: object) -> tuple[int, ...]:
    """Numbers of those that were closed last; one that cannot be read is left out: it stays as
    it was.
    """
    numbers = (get_path(node, "number") for node in (nodes if isinstance(nodes, list) else []))
    return tuple(
        number for number in numbers if isinstance(number, int) and not isinstance(number, bool)
    )


def _refs(staging: str, production: str) -> list[tuple[str, str]]:
    return [("staging", staging), ("production", production)]


def _head(seen: _Gathering, first: Mapping[str, object], key: str, branch: str) -> str | None:
    head = commit(get_path(first, key, "target", "oid"))
    if head is None:
        missing = key in first and first[key] is None
        seen.lacks(
            f"Branch {branch} {'does not exist' if missing else 'cannot be read'} on GitHub."
        )
    return head


def _with_required(pull: Pull, rules: tuple[Required, ...] | None) -> Pull:
    if pull.checks is None or rules is None:
        return pull
    return replace(pull, checks=tuple(mark_required(check, rules) for check in pull.checks))


def mark_required(check: Check, rules: tuple[Required, ...]) -> Check:
    """`check`, saying whether one of `rules` asks for it."""
    asked = any(
        rule.context == check.name and rule.app_id in (None, -1, check.app_id) for rule in rules
    )
    return replace(check, required=asked)


def _merged(seen: _Gathering, nodes: object) -> tuple[MergedPull, ...]:
    found = []
    for node in nodes if isinstance(nodes, list) else [None]:
        try:
            found.append(read_merged(node))
        except Malformed as error:
            seen.lacks(f"A merged pull request cannot be read: {error}.")
    return tuple(found)
