"""Pull requests as GitHub's GraphQL and REST tell them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from environments.github.answers import Check, read_check
from portal.outbound.parsing import (
    Malformed,
    commit_field,
    field,
    get_path,
    link,
    moment,
    nullable,
    optional,
    text,
    word,
)


@dataclass(frozen=True)
class Review:
    author: str
    state: str


@dataclass(frozen=True)
class Pull:
    """An open pull request.

    `checks` is None when they could not all be read: never take that for none.
    """

    number: int
    title: str
    url: str
    author: str
    draft: bool
    fork: bool
    head_ref: str
    head_sha: str
    base_ref: str
    mergeable: str
    merge_state: str
    review_decision: str | None
    checks: tuple[Check, ...] | None
    updated_at: datetime | None
    reviews: tuple[Review, ...] = ()
    state: str = "open"
    merging: "Merging | None" = None  # only of those that were asked for by number


@dataclass(frozen=True)
class Merging:
    """What stands in the way of one merge, counted; None: not all was shown."""

    unresolved: int | None
    unsigned: int | None
    commits: int


@dataclass(frozen=True)
class MergedPull:
    number: int
    title: str
    author: str
    head_sha: str
    head_ref: str
    updated_at: datetime | None
    url: str


@dataclass(frozen=True)
class PullState:
    """One pull request as REST shows it.

    `merge_commit` once merged (before, GitHub shows a trial merge).
    """

    number: int
    state: str
    merged: bool
    merge_commit: str | None
    head_sha: str
    base_ref: str
    head_ref: str
    mergeable: bool | None
    url: str
    title: str
    merged_at: datetime | None = None
    merged_by: str = ""  # not told in lists


def read_pull(node: object, *, errors: bool) -> Pull:
    """Return a pull request node.

    With `errors` in the answer, "no checks" may mean "not shown": then None.
    """
    return Pull(
        number=field(node, "number", int),
        title=text(field(node, "title", str)),
        url=link(get_path(node, "url")),
        author=text(get_path(node, "author", "login")),
        draft=field(node, "isDraft", bool),
        fork=field(node, "isCrossRepository", bool),
        head_ref=text(field(node, "headRefName", str)),
        head_sha=commit_field(node, "headRefOid"),
        base_ref=text(field(node, "baseRefName", str)),
        mergeable=word(field(node, "mergeable", str)),
        merge_state=word(field(node, "mergeStateStatus", str)),
        review_decision=word(optional(node, "reviewDecision", str)) or None,
        checks=_read_checks(node, errors),
        updated_at=moment(get_path(node, "updatedAt")),
        reviews=tuple(
            Review(
                author=text(get_path(review, "author", "login")),
                state=word(get_path(review, "state")),
            )
            for review in nodes_of(get_path(node, "latestOpinionatedReviews"))
        ),
    )


def read_named(node: object, *, errors: bool) -> Pull:
    """Return a pull request asked for by number, in any state, with what its merge takes."""
    return replace(
        read_pull(node, errors=errors),
        state=word(field(node, "state", str)),
        checks=_read_all_checks(node, errors),
        merging=Merging(
            unresolved=_count(
                node, "reviewThreads", lambda thread: not field(thread, "isResolved", bool)
            ),
            unsigned=_count(
                node, "commits", lambda commit: not _is_signed(field(commit, "commit", dict))
            ),
            commits=optional(get_path(node, "commits") or {}, "totalCount", int) or 0,
        ),
    )


def _is_signed(commit_: object) -> bool:
    signature = nullable(commit_, "signature", dict)
    return signature is not None and field(signature, "isValid", bool)


def _count(node: object, name: str, fits: Callable[[object], bool]) -> int | None:
    """Return how many of a connection fit; None when not all are shown. One that is found counts in
    any case.
    """
    try:
        connection = field(node, name, dict)
        nodes = field(connection, "nodes", list)
        count = sum(fits(node) for node in nodes)
        return count if count or field(connection, "totalCount", int) == len(nodes) else None
    except Malformed:
        return None


def _read_all_checks(node: object, errors: bool) -> tuple[Check, ...] | None:
    """Return the first and last hundred checks; None when not all are shown."""
    if not isinstance(node, dict) or "all" not in node or "rollup" not in node:
        return None
    if node["all"] is None:
        return None if errors or node["rollup"] is not None else ()
    try:
        first, last = field(node["all"], "contexts", dict), field(node["all"], "last", dict)
        total, nodes = field(first, "totalCount", int), field(first, "nodes", list)
        if total > len(nodes):
            nodes = nodes + field(last, "nodes", list)[-(total - len(nodes)) :]
        return tuple(read_check(node) for node in nodes) if total == len(nodes) else None
    except Malformed:
        return None


def nodes_of(connection: object) -> list[object]:
    """Return the nodes of a connection, where missing ones only mean that less is known."""
    nodes = get_path(connection, "nodes")
    return nodes if isinstance(nodes, list) else []


def _read_checks(node: object, errors: bool) -> tuple[Check, ...] | None:
    if not isinstance(node, dict) or "checks" not in node or "rollup" not in node:
        return None
    if node["checks"] is None:
        return None if errors or node["rollup"] is not None else ()
    contexts = get_path(node, "checks", "contexts")
    try:
        if field(field(contexts, "pageInfo", dict), "hasNextPage", bool):
            return None
        return tuple(read_check(item) for item in field(contexts, "nodes", list))
    except Malformed:
        return None


def read_merged(node: object) -> MergedPull:
    """Return a merged pull request node."""
    return MergedPull(
        number=field(node, "number", int),
        title=text(field(node, "title", str)),
        author=text(get_path(node, "author", "login")),
        head_sha=commit_field(node, "headRefOid"),
        head_ref=text(field(node, "headRefName", str)),
        updated_at=moment(get_path(node, "updatedAt")),
        url=link(get_path(node, "url")),
    )


def read_pull_state(item: object) -> PullState:
    """Return a pull request of REST, alone or from a list (where `merged` and `mergeable` are
    absent).
    """
    merged = optional(item, "merged", bool)
    if merged is None:
        merged = moment(optional(item, "merged_at", str)) is not None
    head, base = field(item, "head", dict), field(item, "base", dict)
    return PullState(
        number=field(item, "number", int),
        state=word(field(item, "state", str)),
        merged=merged,
        merge_commit=commit_field(item, "merge_commit_sha") if merged else None,
        head_sha=commit_field(head, "sha"),
        base_ref=text(field(base, "ref", str)),
        head_ref=text(field(head, "ref", str)),
        mergeable=optional(item, "mergeable", bool),
        url=link(get_path(item, "html_url")),
        title=text(field(item, "title", str)),
        merged_at=moment(get_path(item, "merged_at")),
        merged_by=text(get_path(item, "merged_by", "login"), 100),
    )
