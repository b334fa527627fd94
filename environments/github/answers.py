"""What GitHub answers, as frozen values; words new to us survive in lower case."""

from dataclasses import dataclass
from datetime import datetime

from portal.outbound.parsing import (
    Malformed,
    commit_field,
    field,
    get_path,
    lines,
    link,
    moment,
    optional,
    text,
    word,
)

# The id of GitHub's own Actions app on github.com. Elsewhere it differs; then a requirement bound
# to it is not met by a job read without check runs, and stays pending.
ACTIONS_APP_ID = 15368


@dataclass(frozen=True)
class Required:
    """A status check that a branch requires; `app_id` None accepts any source."""

    context: str
    app_id: int | None = None


@dataclass(frozen=True)
class Check:
    """One check run or status; `state` is a completed run's conclusion, else the status."""

    name: str
    state: str
    url: str = ""
    app_id: int | None = None
    creator: str = ""  # who posted a status; a bot's login ends in [bot]


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
    """Return a node of `statusCheckRollup.contexts`; raise `Malformed` for an unknown type."""
    match field(node, "__typename", str):
        case "CheckRun":
            app = get_path(node, "checkSuite", "app") or {}
            return _run(node, "detailsUrl", optional(app, "databaseId", int))
        case "StatusContext":
            return Check(
                name=text(field(node, "context", str)),
                state=word(field(node, "state", str)),
                url=link(get_path(node, "targetUrl")),
                creator=_login(get_path(node, "creator")),
            )
    raise Malformed("a check is neither a check run nor a status")


def _login(actor: object) -> str:
    """Return a login as REST writes it: GraphQL leaves the end of a bot's out."""
    login = text(get_path(actor, "login"), 100)
    return f"{login}[bot]" if login and get_path(actor, "__typename") == "Bot" else login


def read_check_run(run: object) -> Check:
    """Return an item of `GET /commits/{ref}/check-runs` as a check."""
    return _run(run, "details_url", optional(get_path(run, "app") or {}, "id", int))


def read_job(job: object) -> Check:
    """Return a job of Actions as a check, for a token that may not read check runs."""
    return _run(job, "html_url", ACTIONS_APP_ID)


def _run(run: object, url: str, app_id: int | None) -> Check:
    status, conclusion = word(field(run, "status", str)), word(optional(run, "conclusion", str))
    return Check(
        name=text(field(run, "name", str)),
        state=(conclusion or "unknown") if status == "completed" else status,
        url=link(get_path(run, url)),
        app_id=app_id,
    )


def read_status(item: object) -> CommitStatus:
    """Return an item of `statuses` in `GET /commits/{ref}/status`."""
    return CommitStatus(
        context=text(field(item, "context", str)),
        state=word(field(item, "state", str)),
        description=text(get_path(item, "description")),
        target_url=link(get_path(item, "target_url")),
        updated_at=moment(get_path(item, "updated_at")),
        creator=text(get_path(item, "creator", "login"), 100),
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
    """Return a webhook of REST's `/repos/{owner}/{repo}/hooks`; raise `Malformed`."""
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
