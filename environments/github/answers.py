"""What GitHub answers, as frozen values in GitHub's own words; unknown words survive in lower
case.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from portal.outbound.parsing import (
    Malformed,
    commit,
    commit_field,
    field,
    get_path,
    lines,
    link,
    moment,
    nullable,
    optional,
    text,
    word,
)

# The id of GitHub's own Actions app on github.com. Elsewhere it differs; then a requirement bound
# to it is
# not met by a job read without check runs, and stays pending.
ACTIONS_APP_ID = 15368


@dataclass(frozen=True)
class Required:
    """A status check that a branch requires; `app_id` None accepts any source."""

    context: str
    app_id: int | None = None


@dataclass(frozen=True)
class Check:
    """One check run or commit status.

    `state` is the conclusion of a completed run, else its status.

    `kind` is "check_run" or "status"; `required` None when the branch's rules could not be read.
    """

    name: str
    kind: str
    state: str
    conclusion: str | None = None
    url: str = ""
    app_id: int | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    required: bool | None = None
    creator: str = ""  # who posted a status; a bot's login ends in [bot]


@dataclass(frozen=True)
class Review:
    author: str
    state: str
    commit: str | None
    submitted_at: datetime | None


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
    base_sha: str
    mergeable: str
    merge_state: str
    review_decision: str | None
    rollup: str | None
    checks: tuple[Check, ...] | None
    updated_at: datetime | None
    additions: int
    deletions: int
    changed_files: int
    labels: tuple[str, ...] = ()
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
    mergeable_state: str
    url: str
    title: str
    merged_at: datetime | None = None
    merged_by: str = ""  # not told in lists


@dataclass(frozen=True)
class Comparison:
    """How `head` stands to `base`: "ahead", "behind", "diverged" or "identical"."""

    status: str
    ahead_by: int
    behind_by: int
    merge_base: str


@dataclass(frozen=True)
class CommitStatus:
    context: str
    state: str
    description: str
    target_url: str
    updated_at: datetime | None
    creator: str = ""  # told in the list of all statuses, not in the combined one


@dataclass(frozen=True)
class Comment:
    id: int
    body: str
    url: str


def read_check(node: object) -> Check:
    """A node of `statusCheckRollup.contexts`; a type not known to us raises `Malformed`."""
    match field(node, "__typename", str):
        case "CheckRun":
            status, conclusion = (
                word(field(node, "status", str)),
                word(optional(node, "conclusion", str)),
            )
            return Check(
                name=text(field(node, "name", str)),
                kind="check_run",
                state=_state(status, conclusion),
                conclusion=conclusion or None,
                url=link(get_path(node, "detailsUrl")),
                app_id=optional(get_path(node, "checkSuite", "app") or {}, "databaseId", int),
                started_at=moment(get_path(node, "startedAt")),
                completed_at=moment(get_path(node, "completedAt")),
            )
        case "StatusContext":
            return Check(
                name=text(field(node, "context", str)),
                kind="status",
                state=word(field(node, "state", str)),
                url=link(get_path(node, "targetUrl")),
                started_at=moment(get_path(node, "createdAt")),
                creator=_login(get_path(node, "creator")),
            )
    raise Malformed("a check is neither a check run nor a status")


def _login(actor: object) -> str:
    """A login as REST writes it: GraphQL leaves the end of a bot's out."""
    login = text(get_path(actor, "login"), 100)
    return f"{login}[bot]" if login and get_path(actor, "__typename") == "Bot" else login


def _state(status: str, conclusion: str) -> str:
    return (conclusion or "unknown") if status == "completed" else status


def read_check_run(run: object) -> Check:
    """An item of `GET /commits/{ref}/check-runs`."""
    return _run(run, "details_url", optional(get_path(run, "app") or {}, "id", int))


def read_job(job: object) -> Check:
    """A job of an Actions run: what a token without check runs can read in their place."""
    return _run(job, "html_url", ACTIONS_APP_ID)


def _run(run: object, url: str, app_id: int | None) -> Check:
    status, conclusion = word(field(run, "status", str)), word(optional(run, "conclusion", str))
    return Check(
        name=text(field(run, "name", str)),
        kind="check_run",
        state=_state(status, conclusion),
        conclusion=conclusion or None,
        url=link(get_path(run, url)),
        app_id=app_id,
        started_at=moment(get_path(run, "started_at")),
        completed_at=moment(get_path(run, "completed_at")),
    )


def read_status(item: object) -> CommitStatus:
    """An item of `statuses` in `GET /commits/{ref}/status`."""
    return CommitStatus(
        context=text(field(item, "context", str)),
        state=word(field(item, "state", str)),
        description=text(get_path(item, "description")),
        target_url=link(get_path(item, "target_url")),
        updated_at=moment(get_path(item, "updated_at")),
        creator=text(get_path(item, "creator", "login"), 100),
    )


def read_pull(node: object, *, errors: bool) -> Pull:
    """A pull request node.

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
        base_sha=commit_field(node, "baseRefOid"),
        mergeable=word(field(node, "mergeable", str)),
        merge_state=word(field(node, "mergeStateStatus", str)),
        review_decision=word(optional(node, "reviewDecision", str)) or None,
        rollup=word(get_path(node, "rollup", "state")) or None,
        checks=_read_checks(node, errors),
        updated_at=moment(get_path(node, "updatedAt")),
        additions=field(node, "additions", int),
        deletions=field(node, "deletions", int),
        changed_files=field(node, "changedFiles", int),
        labels=tuple(text(get_path(label, "name")) for label in _nodes(get_path(node, "labels"))),
        reviews=tuple(
            Review(
                author=text(get_path(review, "author", "login")),
                state=word(get_path(review, "state")),
                commit=commit(get_path(review, "commit", "oid")),
                submitted_at=moment(get_path(review, "submittedAt")),
            )
            for review in _nodes(get_path(node, "latestOpinionatedReviews"))
        ),
    )


def read_named(node: object, *, errors: bool) -> Pull:
    """A pull request that was asked for by number, in whatever state it is, with all that its
    merge takes.
    """
    pull = read_pull(node, errors=errors)
    return replace(
        pull,
        state=word(field(node, "state", str)),
        checks=_read_all_checks(node, errors),
        merging=Merging(
            unresolved=_count(
                node, "reviewThreads", lambda one: not field(one, "isResolved", bool)
            ),
            unsigned=_count(
                node, "commits", lambda one: not _is_signed(field(one, "commit", dict))
            ),
            commits=optional(get_path(node, "commits") or {}, "totalCount", int) or 0,
        ),
    )


def _is_signed(commit_: object) -> bool:
    signature = nullable(commit_, "signature", dict)
    return signature is not None and field(signature, "isValid", bool)


def _count(node: object, name: str, fits: Callable[[object], bool]) -> int | None:
    """How many of a connection fit; None when not all are shown. One that is found counts in any
    case.
    """
    try:
        connection = field(node, name, dict)
        nodes = field(connection, "nodes", list)
        found = sum(fits(node) for node in nodes)
        return found if found or field(connection, "totalCount", int) == len(nodes) else None
    except Malformed:
        return None


def _read_all_checks(node: object, errors: bool) -> tuple[Check, ...] | None:
    """Checks out of the first and the last hundred; None when there are more, or not all are
    shown.
    """
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


def _nodes(connection: object) -> list[object]:
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
    """A merged pull request node."""
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
    """A pull request of REST, alone or from a list (where `merged` and `mergeable` are absent)."""
    state = word(field(item, "state", str))
    if "merged" in item if isinstance(item, dict) else False:
        merged = field(item, "merged", bool)
    else:
        merged = moment(optional(item, "merged_at", str)) is not None
    merge_commit = commit_field(item, "merge_commit_sha") if merged else None
    return PullState(
        number=field(item, "number", int),
        state=state,
        merged=merged,
        merge_commit=merge_commit,
        head_sha=commit_field(field(item, "head", dict), "sha"),
        base_ref=text(field(field(item, "base", dict), "ref", str)),
        head_ref=text(field(field(item, "head", dict), "ref", str)),
        mergeable=optional(item, "mergeable", bool),
        mergeable_state=word(get_path(item, "mergeable_state")) or "unknown",
        url=link(get_path(item, "html_url")),
        title=text(field(item, "title", str)),
        merged_at=moment(get_path(item, "merged_at")),
        merged_by=text(get_path(item, "merged_by", "login"), 100),
    )


def read_comparison(item: object) -> Comparison:
    return Comparison(
        status=word(field(item, "status", str)),
        ahead_by=field(item, "ahead_by", int),
        behind_by=field(item, "behind_by", int),
        merge_base=commit_field(field(item, "merge_base_commit", dict), "sha"),
    )


@dataclass(frozen=True)
class Hook:
    """A webhook of the repository; its secret never comes back."""

    id: int
    url: str
    content_type: str
    events: frozenset[str]
    active: bool


def read_hook(item: object) -> Hook:
    """A webhook of REST's `/repos/{owner}/{repo}/hooks`; raises `Malformed`."""
    config = field(item, "config", dict)
    return Hook(
        id=field(item, "id", int),
        url=optional(config, "url", str) or "",
        content_type=optional(config, "content_type", str) or "form",
        events=frozenset(event for event in field(item, "events", list) if isinstance(event, str)),
        active=field(item, "active", bool),
    )


def read_comment(item: object) -> Comment:
    return Comment(
        field(item, "id", int),
        lines(optional(item, "body", str), 70_000),
        link(get_path(item, "html_url")),
    )
