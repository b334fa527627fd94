"""One repository in a few calls: branches, rules, pull requests and their checks, by one GraphQL
document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from environments.github.answers import Check, Required
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
from environments.github.pulls import MergedPull, Pull
from environments.github.transport import Transport
from portal.outbound import http
from portal.outbound.parsing import Malformed, commit, get_path, text
from portal.outbound.parsing import field as need

MOST_NAMED = 10


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


def read_overview(
    transport: Transport,
    owner: str,
    name: str,
    staging: str,
    production: str,
    numbers: Sequence[int] = (),
    pages: Pages = EVERYTHING,
) -> Overview:
    """Return the overview of `owner/name`: one call per 100 open pull requests. Raise
    `ApiError`.
    """
    seen = Gathering()
    variables: dict[str, object] = {
        "owner": owner,
        "name": name,
        "staging": staging,
        "stagingRef": f"refs/heads/{staging}",
        "production": production,
        "productionRef": f"refs/heads/{production}",
    }
    numbers = tuple(dict.fromkeys(numbers))[:MOST_NAMED]
    ask = asker(transport, variables, document_with(numbers), pages)
    first, errors, points = ask(pages.cursor, True)
    note_errors(seen, errors)
    _read_pages(seen, ask, first, errors, pages)
    if pages.recent:
        add_pulls(seen, first, "recent", bool(errors))
    named = read_named_pulls(seen, first, numbers, bool(errors))
    return _finish(seen, first, staging, production, points, named, bool(errors))


def read_merge(
    transport: Transport, owner: str, name: str, staging: str, production: str, number: int
) -> Overview:
    """Return both branches with what a merge into them takes, and one pull request by its number.

    Raise `ApiError`.
    """
    seen = Gathering(listed=False)
    variables: dict[str, object] = {
        "owner": owner,
        "name": name,
        "stagingRef": f"refs/heads/{staging}",
        "productionRef": f"refs/heads/{production}",
    }
    document = MERGE_DOCUMENT.replace("# named", pulls_by_number((number,)))
    first, errors, points = http.read_again(lambda: ask_github(transport, document, variables))
    note_errors(seen, errors)
    named = read_named_pulls(seen, first, (number,), bool(errors))
    return _finish(seen, first, staging, production, points, named, bool(errors))


def _read_pages(
    seen: Gathering, ask: "Asker", page: Mapping[str, object], errors: list[object], pages: Pages
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
        page, errors, _ = ask(cursor, False)
        note_errors(seen, errors)
    if pages.cursor is not None or seen.cursor is not None:
        seen.listed = False
    if seen.cursor is not None and pages.most == MAX_PAGES:
        many = f"There are more than {MAX_PAGES * SMALL_PAGE} open pull requests"
        seen.lacks(f"{many}: the oldest are not read.")


def _finish(
    seen: Gathering,
    first: Mapping[str, object],
    staging: str,
    production: str,
    points: int | None,
    named: tuple[Pull, ...],
    errors: bool,
) -> Overview:
    heads = {branch: _head(seen, first, key, branch) for key, branch in _refs(staging, production)}
    rules = {branch: _rules(seen, first, key, branch) for key, branch in _refs(staging, production)}
    wanted = {branch: None if found is None else found.checks for branch, found in rules.items()}
    into = read_pulls(seen, get_path(first, "promotions", "nodes"), errors)
    into = [
        _with_required(pull, wanted[production]) for pull in into if pull.base_ref == production
    ]
    promotions = tuple(pull for pull in into if pull.head_ref == staging and not pull.fork)
    return Overview(
        staging_head=heads[staging],
        production_head=heads[production],
        open_pulls=tuple(_with_required(pull, wanted[staging]) for pull in seen.pulls.values()),
        merged_pulls=read_merged_pulls(seen, get_path(first, "merged", "nodes")),
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
    """Return what GitHub says of both branches, if it compared the very heads that it shows."""
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


def _head(seen: Gathering, first: Mapping[str, object], key: str, branch: str) -> str | None:
    head = commit(get_path(first, key, "target", "oid"))
    if head is None:
        missing = key in first and first[key] is None
        seen.lacks(
            f"Branch {branch} {'does not exist' if missing else 'cannot be read'} on GitHub."
        )
    return head


def _rules(
    seen: Gathering, first: Mapping[str, object], key: str, branch: str
) -> MergeRules | None:
    rules = read_merge_rules(get_path(first, key), first)
    if rules is None:
        seen.lacks(
            f"The rules of branch {branch} cannot be read: which checks it requires is not known."
        )
    return rules


def _with_required(pull: Pull, rules: tuple[Required, ...] | None) -> Pull:
    if pull.checks is None or rules is None:
        return pull
    return replace(pull, checks=tuple(mark_required(check, rules) for check in pull.checks))


def mark_required(check: Check, rules: tuple[Required, ...]) -> Check:
    """Return `check`, saying whether one of `rules` asks for it."""
    asked = any(
        rule.context == check.name and rule.app_id in (None, -1, check.app_id) for rule in rules
    )
    return replace(check, required=asked)
