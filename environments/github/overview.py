"""One repository in a few calls: branches, rules, pull requests and their checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from environments.github.merging import MergeRules, read_merge_rules
from environments.github.overview_pulls import (
    Gathering,
    add_pulls,
    next_cursor,
    note_errors,
    read_merged_pulls,
    read_named_pulls,
    read_pulls,
)
from environments.github.overview_questions import (
    EVERYTHING,
    MAX_PAGES,
    MERGE_DOCUMENT,
    SMALL_PAGE,
    Asker,
    Pages,
    ask_github,
    asker,
    document_with,
    pulls_by_number,
)
from environments.github.pulls import MergedPull, Pull, nodes_of
from environments.github.transport import Transport
from portal.outbound import http
from portal.outbound.parsing import JsonObject, Malformed, commit, get_path, text
from portal.outbound.parsing import field as need

MOST_NAMED = 10


@dataclass(frozen=True)
class Compared:
    """Staging beside production: commits that only one has; whether the files are the same."""

    ahead: int
    behind: int
    same_files: bool


@dataclass(frozen=True)
class Overview:
    """What a sync pass sees. `problems` says what is missing.

    `named` are the pull requests asked for by number. `listed`: every open pull request into
    staging was seen (`into_listed`: into production); if not, `cursor` is where the next pass goes
    on. `closed` are numbers of those that ended unmerged last.
    `full_name` is what the repository is called now. `rules` of a branch None: they could not be
    read. `comparison` is of the two heads; None: GitHub did not compare them.
    """

    staging_head: str | None = None
    production_head: str | None = None
    rules: dict[str, MergeRules | None] = field(default_factory=dict)
    full_name: str = ""
    named: tuple[Pull, ...] = ()
    open_pulls: tuple[Pull, ...] = ()
    merged_pulls: tuple[MergedPull, ...] = ()
    promotions: tuple[Pull, ...] = ()
    hotfixes: tuple[Pull, ...] = ()
    closed: tuple[int, ...] = ()
    listed: bool = True
    into_listed: bool = True
    cursor: str | None = None
    comparison: Compared | None = None
    problems: tuple[str, ...] = ()


def read_overview(
    transport: Transport,
    owner: str,
    name: str,
    staging: str,
    production: str,
    numbers: Sequence[int] = (),
    pages: Pages = EVERYTHING,
) -> Overview:
    """Return the overview: one call per 100 open pull requests. Raise `ApiError`."""
    seen = Gathering()
    variables = _variables(owner, name, staging, production)
    variables |= {"staging": staging, "production": production}
    numbers = tuple(dict.fromkeys(numbers))[:MOST_NAMED]
    ask = asker(transport, variables, document_with(numbers), pages)
    first, errors = ask(pages.cursor, True)
    note_errors(seen, errors)
    _read_pages(seen, ask, first, errors, pages)
    if pages.recent:
        add_pulls(seen, first, "recent", bool(errors))
    named = read_named_pulls(seen, first, numbers, bool(errors))
    branches = _branches(seen, first, staging, production)
    into = read_pulls(seen, get_path(first, "promotions", "nodes"), bool(errors))
    into = [pull for pull in into if pull.base_ref == production]
    promotions = tuple(pull for pull in into if pull.head_ref == staging and not pull.fork)
    whole = get_path(first, "promotions", "pageInfo", "hasNextPage") is False
    return replace(
        branches,
        named=named,
        open_pulls=tuple(seen.pulls.values()),
        merged_pulls=read_merged_pulls(seen, get_path(first, "merged", "nodes")),
        promotions=promotions,
        hotfixes=tuple(pull for pull in into if pull not in promotions),
        closed=_closed(first),
        listed=seen.listed,
        into_listed=whole and not errors,
        cursor=seen.cursor,
        comparison=_comparison(first, branches.staging_head),
        problems=tuple(seen.problems),
    )


def read_merge(
    transport: Transport, owner: str, name: str, staging: str, production: str, number: int
) -> Overview:
    """Return both branches with what a merge into them takes, and one pull request by its number.

    Raise `ApiError`.
    """
    seen = Gathering()
    variables = _variables(owner, name, staging, production)
    document = MERGE_DOCUMENT.replace("# named", pulls_by_number((number,)))
    first, errors = http.read_again(lambda: ask_github(transport, document, variables))
    note_errors(seen, errors)
    named = read_named_pulls(seen, first, (number,), bool(errors))
    branches = _branches(seen, first, staging, production)
    return replace(
        branches, named=named, listed=False, into_listed=False, problems=tuple(seen.problems)
    )


def _variables(owner: str, name: str, staging: str, production: str) -> dict[str, object]:
    refs = {"stagingRef": f"refs/heads/{staging}", "productionRef": f"refs/heads/{production}"}
    return {"owner": owner, "name": name, **refs}


def _read_pages(
    seen: Gathering, ask: Asker, page: Mapping[str, object], errors: list[object], pages: Pages
) -> None:
    """Take up the open pull requests of the first page and of as many after it as are wanted."""
    cursors: set[str] = set()
    for read in range(pages.most):
        add_pulls(seen, page, "open", bool(errors))
        seen.cursor = cursor = next_cursor(page, seen)
        if cursor in cursors:
            seen.lacks("GitHub repeats pages of pull requests, so some may be missing.")
        if cursor is None or cursor in cursors or read + 1 == pages.most:
            break
        cursors.add(cursor)
        page, errors = ask(cursor, False)
        note_errors(seen, errors)
    if pages.cursor is not None or seen.cursor is not None:
        seen.listed = False
    if seen.cursor is not None and pages.most == MAX_PAGES:
        many = f"There are more than {MAX_PAGES * SMALL_PAGE} open pull requests"
        seen.lacks(f"{many}: the oldest are not read.")


def _branches(seen: Gathering, first: JsonObject, staging: str, production: str) -> Overview:
    """Return what is said of both branches and of the repository itself."""
    names = {"staging": staging, "production": production}
    heads = {key: _head(seen, first, key, branch) for key, branch in names.items()}
    rules = {branch: _rules(seen, first, key, branch) for key, branch in names.items()}
    return Overview(
        heads["staging"],
        heads["production"],
        rules=rules,
        full_name=text(get_path(first, "nameWithOwner")),
    )


def _comparison(first: JsonObject, staging_head: str | None) -> Compared | None:
    """Return what GitHub says of both branches, if it compared the very heads that it shows."""
    comparison = get_path(first, "production", "compare")
    trees = [get_path(first, key, "target", "tree", "oid") for key in ("staging", "production")]
    try:
        ahead, behind = need(comparison, "aheadBy", int), need(comparison, "behindBy", int)
    except Malformed:
        return None
    if not all(isinstance(tree, str) and tree for tree in trees):
        return None
    if staging_head is None or get_path(comparison, "headTarget", "oid") != staging_head:
        return None
    return Compared(ahead, behind, same_files=trees[0] == trees[1])


def _closed(first: JsonObject) -> tuple[int, ...]:
    """Return the numbers of those closed last; an unreadable one stays as it was."""
    numbers = (get_path(node, "number") for node in nodes_of(first.get("closed")))
    return tuple(number for number in numbers if type(number) is int)


def _head(seen: Gathering, first: JsonObject, key: str, branch: str) -> str | None:
    head = commit(get_path(first, key, "target", "oid"))
    if head is None:
        missing = key in first and first[key] is None
        seen.lacks(
            f"Branch {branch} {'does not exist' if missing else 'cannot be read'} on GitHub."
        )
    return head


def _rules(seen: Gathering, first: JsonObject, key: str, branch: str) -> MergeRules | None:
    rules = read_merge_rules(get_path(first, key), first)
    if rules is None:
        seen.lacks(
            f"The rules of branch {branch} cannot be read: which checks it requires is not known."
        )
    return rules
