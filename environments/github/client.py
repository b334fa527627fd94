"""The GitHub client: reads are tried again, writes are sent once, answers are frozen values or
`ApiError`.

Sources: GitHub REST API 2022-11-28 and its GraphQL API.
"""

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from urllib.parse import quote

from django.conf import settings

from environments.github import answers, members, merged, overview, protection, reverting
from environments.github import pulls as answers_pulls
from environments.github.answers import Check, Comment, CommitStatus, Comparison, Hook
from environments.github.overview import EVERYTHING, Overview, Pages
from environments.github.protection import Rules
from environments.github.pulls import MergedPull, PullState
from environments.github.transport import SERVICE, Transport, recent, unreadable
from portal.outbound.credentials import App
from portal.outbound.http import ApiError, Reply, Withhold, unknown_outcome
from portal.outbound.parsing import Malformed, commit, commit_field, field, get_path, text
from portal.visible import visible, visible_line

STATUS_STATES = ("error", "failure", "pending", "success")
DESCRIPTION_LETTERS = 140
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[\w.-]+")
# What git itself refuses in a branch name (git-check-ref-format).
_NO_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|^[/.-]|[/.]$|\.lock$|^$")


@contextmanager
def _shaped(*, write: bool = False) -> Iterator[None]:
    """Turns an answer of the wrong shape into an `ApiError`."""
    try:
        yield
    except Malformed as error:
        unreadable(error, write=write)


class GitHub:
    """One repository (`owner/name`) on GitHub, with the credential and address of the settings
    by default.
    """

    def __init__(
        self,
        repository: str,
        *,
        api_url: str | None = None,
        token: str | App | None = None,
        kept: MutableMapping[str, tuple[str, Reply]] = recent,
        withhold: Withhold | None = None,
    ) -> None:
        if not _REPOSITORY.fullmatch(repository) or repository.endswith(("/.", "/..")):
            sentence = f"“{text(repository, 80)}” is no repository: write it as owner/name."
            raise ApiError(SERVICE, "refused", sentence)
        self.owner, self.name = repository.split("/")
        self.path = f"/repos/{repository}"
        self.transport = Transport(
            settings.GITHUB_API_URL if api_url is None else api_url, token, kept, withhold=withhold
        )

    def overview(
        self,
        *,
        staging: str,
        production: str,
        numbers: Sequence[int] = (),
        pages: Pages = EVERYTHING,
    ) -> Overview:
        """Branches, rules, pull requests and checks; one call per 100 open pull requests.

        Those of `numbers` are read with all that their merge takes, wherever they stand in the
        lists.
        """
        _branch(staging), _branch(production)
        return overview.read_overview(
            self.transport, self.owner, self.name, staging, production, numbers, pages
        )

    def merge_facts(self, number: int, *, staging: str, production: str) -> Overview:
        """What the merge of one pull request takes, in one call: both branches' rules, and it
        alone in `named`.
        """
        _branch(staging), _branch(production)
        return overview.read_merge(
            self.transport, self.owner, self.name, staging, production, number
        )

    def merged_pulls(self, base: str, numbers: Sequence[int]) -> tuple[MergedPull, ...]:
        """Those of `numbers` that were merged into `base`; one call for every 100."""
        with _shaped():
            return merged.read_by_number(self.transport, self.owner, self.name, base, numbers)

    # Pull requests

    def pull(self, number: int) -> PullState:
        """The pull request as it is now; `mergeable` None means: ask again shortly."""
        with _shaped():
            item = self.transport.get(
                f"read pull request #{number}", f"{self.path}/pulls/{number:d}"
            )
            return answers_pulls.read_pull_state(item)

    def pulls_of(self, sha: str) -> tuple[PullState, ...]:
        """The pull requests that brought a commit in, or hold it; without `mergeable`."""
        with _shaped():
            items = self.transport.pages(
                "read a commit's pull requests", f"{self.path}/commits/{_commit(sha)}/pulls"
            )
            return tuple(answers_pulls.read_pull_state(item) for item in items)

    def find_pull(self, *, head: str, base: str, state: str = "open") -> PullState | None:
        """The newest pull request from our branch `head` into `base`, or None; without
        `mergeable`.
        """
        query = {"head": f"{self.owner}:{head}", "base": base, "state": state}
        query |= {"sort": "created", "direction": "desc", "per_page": "20"}
        with _shaped():
            items = self.transport.get(
                f"list pull requests into {base}", f"{self.path}/pulls", **query
            )
            if not isinstance(items, list):
                raise Malformed("the list of pull requests is missing")
            # Looked at again: GitHub leaves the filter out when it does not understand it.
            found = [answers_pulls.read_pull_state(item) for item in items]
            return next(
                (pull for pull in found if pull.head_ref == head and pull.base_ref == base), None
            )

    def newest_heads(self, base: str, count: int) -> list[str]:
        """The heads of the `count` pull requests into `base` that changed last, in any state."""
        query = {"base": base, "state": "all", "sort": "updated", "direction": "desc"}
        with _shaped():
            items = self.transport.get(
                f"list pull requests into {base}", f"{self.path}/pulls", per_page=count, **query
            )
            if not isinstance(items, list):
                raise Malformed("the list of pull requests is missing")
            found = [answers_pulls.read_pull_state(item) for item in items]
            return [pull.head_sha for pull in found if pull.base_ref == base][:count]

    def seen_members(self, enough: int) -> frozenset[str]:
        """People of the repository who opened or reviewed pull requests lately; no more are
        looked for once there are `enough`.
        """
        with _shaped():
            return members.seen_members(self.transport, self.path, enough)

    def open_pull(self, *, head: str, base: str, title: str, body: str) -> PullState:
        """Opens a pull request, or returns the one already open.

        Refused when `head` has nothing new.
        """
        _branch(head), _branch(base)
        doing = f"open a pull request from {head} into {base}"
        message = {"title": visible_line(title), "body": visible(body)}
        content: dict[str, object] = {"head": head, "base": base, **message}
        try:
            item = self.transport.write(doing, "POST", f"{self.path}/pulls", content)
        except ApiError as error:
            existing = None
            if error.status == 422 and "already exists" in error.detail.lower():
                existing = self.find_pull(head=head, base=base)
            if existing is None:
                raise
            return existing
        with _shaped(write=True):
            return answers_pulls.read_pull_state(item)

    def revert_pull(self, number: int, *, body: str) -> PullState:
        """Opens GitHub's revert of a merged pull request, once; raises `ApiError`."""
        with _shaped(write=True):
            made = reverting.revert(self.transport, self.path, number, visible(body))
        return self.pull(made)

    def merge(self, number: int, *, sha: str, title: str) -> str:
        """Merges, if the head is still `sha`, with a merge commit; returns that commit.

        Raises `ApiError`: conflict (the head moved), unavailable (the base moved: look, then ask
        again), refused, unknown_outcome.
        """
        doing = f"merge pull request #{number}"
        body: dict[str, object] = {
            "sha": _commit(sha),
            "merge_method": "merge",
            "commit_title": visible_line(title),
        }
        try:
            item = self.transport.write(doing, "PUT", f"{self.path}/pulls/{number:d}/merge", body)
        except ApiError as error:
            if error.status == 405 and (why := _passing(error.detail)):
                sentence = f"GitHub could not {doing} because {why}: it is being retried."
                raise ApiError(
                    SERVICE, "unavailable", sentence, status=405, detail=error.detail
                ) from error
            raise
        with _shaped(write=True):
            if not field(item, "merged", bool):
                raise Malformed("merged is false")
            return commit_field(item, "sha")

    # Branches and commits

    def compare(self, base: str, head: str) -> Comparison:
        """How `head` stands to `base`; both are branches or commits."""
        path = f"{self.path}/compare/{_branch(base)}...{_branch(head)}"
        with _shaped():
            item = self.transport.get(f"compare {base} with {head}", path, per_page=1)
            return answers.read_comparison(item)

    def branch_head(self, branch: str) -> str | None:
        """The commit `branch` points at, or None when there is no such branch."""
        doing = f"read the branch {branch}"
        try:
            with _shaped():
                item = self.transport.get(doing, f"{self.path}/git/ref/heads/{_branch(branch)}")
                if field(item, "ref", str) != f"refs/heads/{branch}":
                    raise Malformed("it is about another branch")
                return commit_field(field(item, "object", dict), "sha")
        except ApiError as error:
            if error.kind != "not_found":
                raise
        # A repository the token may not see answers 404 as well, and that is no missing branch.
        self.transport.get(f"read the repository {self.owner}/{self.name}", self.path)
        return None

    def fast_forward(self, branch: str, sha: str) -> None:
        """Moves `branch` forward to `sha`.

        Raises `ApiError`: conflict when it is not a fast-forward, refused by rules (in GitHub's
        words), unknown_outcome.
        """
        doing = f"move branch {branch} forward"
        body: dict[str, object] = {"sha": _commit(sha), "force": False}
        path = f"{self.path}/git/refs/heads/{_branch(branch)}"
        try:
            item = self.transport.write(doing, "PATCH", path, body)
        except ApiError as error:
            if error.status == 422 and (why := _passing(error.detail)):
                sentence = f"GitHub lets {branch} move when its required checks are there: {why}."
                raise ApiError(
                    SERVICE, "unavailable", sentence, status=422, detail=error.detail
                ) from error
            if error.status == 422 and "fast forward" in error.detail.lower().replace("-", " "):
                sentence = (
                    f"Branch {branch} holds commits that {sha[:8]} does not: merge them, then try"
                    " again."
                )
                raise ApiError(
                    SERVICE, "conflict", sentence, status=422, detail=error.detail
                ) from error
            raise
        with _shaped(write=True):
            if commit_field(field(item, "object", dict), "sha") != sha.lower():
                raise Malformed("the branch is at another commit")

    def create_branch(self, branch: str, sha: str) -> None:
        """Makes a branch that there is not. Raises `ApiError`: refused when it is there already."""
        _branch(branch)
        body: dict[str, object] = {"ref": f"refs/heads/{branch}", "sha": _commit(sha)}
        self.transport.write(f"make branch {branch}", "POST", f"{self.path}/git/refs", body)

    def retarget(self, number: int, base: str) -> None:
        """Lets a pull request go into another branch."""
        body: dict[str, object] = {"base": base}
        self.transport.write(f"retarget #{number}", "PATCH", f"{self.path}/pulls/{number:d}", body)

    def pulls_into(self, base: str) -> tuple[PullState, ...]:
        """The open pull requests into `base`; without `mergeable`."""
        with _shaped():
            items = self.transport.pages(
                "list pull requests", f"{self.path}/pulls", base=base, state="open"
            )
            return tuple(answers_pulls.read_pull_state(item) for item in items)

    def default_branch(self) -> str:
        """The repository's default branch."""
        with _shaped():
            item = self.transport.get("read the repository", self.path)
            return text(field(item, "default_branch", str), 200)

    def deletes_heads(self) -> bool:
        """Whether *Automatically delete head branches* is switched on.

        Shown only to who may push.
        """
        with _shaped():
            item = self.transport.get("read the repository's settings", self.path)
            return field(item, "delete_branch_on_merge", bool)

    def keep_heads(self) -> None:
        """Switches *Automatically delete head branches* off."""
        body: dict[str, object] = {"delete_branch_on_merge": False}
        self.transport.write("change the repository's settings", "PATCH", self.path, body)

    def rules(self, branch: str) -> Rules:
        """What binds a branch: classic protection and rulesets together; what the token may not
        see is None.
        """
        with _shaped():
            return protection.read(self.transport, self.path, _branch(branch))

    def protect(self, branch: str, body: Mapping[str, object]) -> None:
        """Replaces the classic protection of a branch by exactly `body`."""
        path = f"{self.path}/branches/{_branch(branch)}/protection"
        item = self.transport.write(f"protect branch {branch}", "PUT", path, dict(body))
        with _shaped(write=True):
            field(field(item, "enforce_admins", dict), "enabled", bool)

    # Checks and statuses

    def checks(self, sha: str) -> tuple[Check, ...] | None:
        """All check runs and statuses of a commit, or None when the token may not read them.

        A fine-grained token cannot read check runs: then the jobs of GitHub Actions stand in for
        them.
        """
        path = f"{self.path}/commits/{_commit(sha)}"
        try:
            with _shaped():
                return self._check_runs(path, sha) + tuple(
                    Check(
                        name=status.context,
                        kind="status",
                        state=status.state,
                        url=status.target_url,
                        started_at=status.updated_at,
                    )
                    for status in self._statuses(path)
                )
        except ApiError as error:
            if error.kind == "forbidden":
                return None
            raise

    def _check_runs(self, path: str, sha: str) -> tuple[Check, ...]:
        doing = "read check runs"
        try:
            runs = self.transport.pages(doing, f"{path}/check-runs", "check_runs", filter="latest")
            return tuple(answers.read_check_run(run) for run in runs)
        except ApiError as error:
            if error.kind != "forbidden":
                raise
        doing = "read the runs of GitHub Actions"
        found = self.transport.pages(
            doing, f"{self.path}/actions/runs", "workflow_runs", head_sha=sha
        )
        return tuple(
            answers.read_job(job)
            for run in found
            for job in self.transport.pages(
                doing,
                f"{self.path}/actions/runs/{field(run, 'id', int)}/jobs",
                "jobs",
                filter="latest",
            )
        )

    def _statuses(self, path: str) -> list[CommitStatus]:
        items = self.transport.pages("read commit statuses", f"{path}/status", "statuses")
        return [answers.read_status(item) for item in items]

    def status(self, sha: str, context: str) -> CommitStatus | None:
        """The latest status of that context on a commit, or None."""
        with _shaped():
            statuses = self._statuses(f"{self.path}/commits/{_commit(sha)}")
        return next((status for status in statuses if status.context == context), None)

    def status_history(self, sha: str) -> tuple[CommitStatus, ...]:
        """Every status that was ever posted on a commit, the newest first."""
        with _shaped():
            items = self.transport.pages(
                "read commit statuses", f"{self.path}/commits/{_commit(sha)}/statuses"
            )
            return tuple(answers.read_status(item) for item in items)

    def set_status(
        self, sha: str, *, context: str, state: str, description: str, target_url: str
    ) -> str:
        """Posts a commit status and returns as whom; a description beyond GitHub's 140 letters
        is cut.
        """
        if state not in STATUS_STATES:
            raise ValueError(f"{state!r} is no state of a commit status")
        body: dict[str, object] = {
            "state": state,
            "context": context,
            "description": _short(description),
        }
        if target_url:
            body["target_url"] = target_url
        path = f"{self.path}/statuses/{_commit(sha)}"
        item = self.transport.write("post a commit status", "POST", path, body)
        if get_path(item, "state") != state or get_path(item, "context") != context:
            raise unknown_outcome(SERVICE, "another status came back")
        return text(get_path(item, "creator", "login"), 100)

    # Comments and deployments

    def find_comment(self, number: int, marker: str) -> Comment | None:
        """The first comment on a pull request whose text holds `marker`, or None."""
        path = f"{self.path}/issues/{number:d}/comments"
        with _shaped():
            items = self.transport.pages(f"read the comments of #{number}", path)
            comments = [answers.read_comment(item) for item in items]
        return next((comment for comment in comments if marker in comment.body), None)

    def comment(self, number: int, body: str) -> int:
        """Comments on a pull request; returns the comment's id."""
        path = f"{self.path}/issues/{number:d}/comments"
        return self._written(f"comment on #{number}", "POST", path, {"body": body})

    def edit_comment(self, comment_id: int, body: str) -> None:
        """Replaces the text of a comment."""
        path = f"{self.path}/issues/comments/{comment_id:d}"
        self._written("edit a comment", "PATCH", path, {"body": body})

    def find_deployment(self, sha: str, environment: str) -> int | None:
        """The id of the newest announced deployment of a commit to `environment`, or None."""
        doing, query = (
            "read announced deployments",
            {"sha": _commit(sha), "environment": environment, "per_page": "1"},
        )
        with _shaped():
            items = self.transport.get(doing, f"{self.path}/deployments", **query)
            if not isinstance(items, list):
                raise Malformed("the list of deployments is missing")
            # Looked at again: GitHub leaves the filter out when it does not understand it.
            fits = (
                item
                for item in items
                if (get_path(item, "sha"), get_path(item, "environment")) == (sha, environment)
            )
            return next((field(fit, "id", int) for fit in fits), None)

    def create_deployment(
        self,
        ref: str,
        *,
        environment: str,
        description: str,
        production: bool,
        transient: bool = False,
    ) -> int:
        """Announces a deployment of `ref`; returns its id.

        GitHub merges nothing and waits for nothing.
        """
        body: dict[str, object] = {
            "ref": ref,
            "environment": environment,
            "description": _short(description),
            "production_environment": production,
            "transient_environment": transient,
            "auto_merge": False,
            "required_contexts": [],
        }
        return self._written("announce a deployment", "POST", f"{self.path}/deployments", body)

    def deployment_status(
        self,
        deployment_id: int,
        *,
        state: str,
        description: str,
        environment_url: str = "",
        log_url: str = "",
    ) -> None:
        """Says how an announced deployment stands (error, failure, inactive, in_progress,
        queued, pending, success).
        """
        body: dict[str, object] = {"state": state, "description": _short(description)}
        body |= {"environment_url": environment_url} if environment_url else {}
        body |= {"log_url": log_url} if log_url else {}
        path = f"{self.path}/deployments/{deployment_id:d}/statuses"
        self._written("report on a deployment", "POST", path, body)

    # Webhooks

    def hooks(self) -> tuple[Hook, ...]:
        """The repository's webhooks."""
        with _shaped():
            items = self.transport.pages("list webhooks", f"{self.path}/hooks")
            return tuple(answers.read_hook(item) for item in items)

    def add_hook(self, url: str, *, secret: str, events: Sequence[str]) -> int:
        """Adds a webhook that posts signed JSON to `url`; returns its id.

        GitHub pings it at once.
        """
        body = _hook(url, secret, events) | {"name": "web"}
        return self._written("add a webhook", "POST", f"{self.path}/hooks", body)

    def change_hook(self, hook_id: int, url: str, *, secret: str, events: Sequence[str]) -> None:
        """Makes a webhook what `add_hook` would have made, with this secret."""
        self._written(
            "change a webhook",
            "PATCH",
            f"{self.path}/hooks/{hook_id:d}",
            _hook(url, secret, events),
        )

    def _written(self, doing: str, method: str, path: str, body: dict[str, object]) -> int:
        item: object = self.transport.write(doing, method, path, body)
        with _shaped(write=True):
            return field(item, "id", int)


def _passing(refusal: str) -> str:
    """Why a merge was refused, where that may be over in a moment; "" where only people can
    change it.
    """
    message = refusal.lower()
    if "base branch was modified" in message:
        return "its base branch moved meanwhile"
    if "required status check" in message and ("expected" in message or "pending" in message):
        return "it has not reckoned with the newest status yet"
    return ""


def _hook(url: str, secret: str, events: Sequence[str]) -> dict[str, object]:
    # The whole config each time: one sent without its secret loses it.
    config = {"url": url, "content_type": "json", "secret": secret, "insecure_ssl": "0"}
    return {"active": True, "events": list(events), "config": config}


def _short(description: str) -> str:
    """One line in which all can be seen, of no more letters than GitHub takes."""
    line = visible_line(description)
    return line if len(line) <= DESCRIPTION_LETTERS else line[: DESCRIPTION_LETTERS - 1] + "…"


def _branch(name: str) -> str:
    """A branch or commit as part of a path; refuses what git would refuse."""
    if _NO_BRANCH.search(name):
        raise ApiError(
            SERVICE, "refused", f"“{text(name, 80)}” is no name of a branch: correct it."
        )
    return quote(name)


def _commit(sha: str) -> str:
    if found := commit(sha):
        return found
    raise ApiError(
        SERVICE, "refused", f"“{text(sha, 80)}” is no full commit id: give all 40 digits."
    )
