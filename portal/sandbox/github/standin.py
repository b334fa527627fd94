"""The GitHub stand-in: one repository over real git, with REST, GraphQL, webhooks and git's own
protocol.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from portal.sandbox.server import Request, Response

from . import (
    apps,
    checks,
    events,
    front,
    graph,
    merging,
    pages,
    pulls,
    rest_checks,
    rest_contents,
    rest_deployments,
    rest_hooks,
    rest_pulls,
    rest_releases,
    rest_repository,
    rest_rules,
    routes,
    smart_http,
    state,
)
from .git import Git
from .git_objects import GitError, Person
from .hooks import Hooks
from .state import ACTIONS_APP, PORTAL_APP, Refused, Viewer, stamp

# Imported for the routes they register.
ROUTES = (
    rest_repository,
    rest_contents,
    rest_rules,
    rest_checks,
    rest_deployments,
    rest_pulls,
    rest_hooks,
    rest_releases,
)


class GitHubStandIn:
    """State and answers of one repository `owner/name`, kept under `directory`.

    `token` speaks for the portal's GitHub App, which every protection binds; `admin_token` for an
    administrator, whom a protection without `enforce_admins` does not. `on_push` listeners are
    called with (branch, before, after) after any movement of a branch; before or after is empty
    when it was made or deleted.

    Switches: `lazy_mergeable`: as on GitHub, the first look at a pull request after a change
    answers
    `mergeable: null`. `checks_readable` False: check runs are refused, as they are to a
    fine-grained token.
    `rules_readable` False: classic protections are shown only to those who administer the
    repository.
    `most_statuses`: how many a commit takes of one context. `slow_statuses`: how many merges more
    are refused as if the newest status had not arrived yet.
    """

    def __init__(
        self,
        directory: Path,
        *,
        owner: str,
        name: str,
        token: str = "sandbox-github-token",  # noqa: S107  (opens nothing but this sandbox)
        admin_token: str = "sandbox-admin-token",  # noqa: S107
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        lazy_mergeable: bool = True,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.owner, self.name, self.clock = directory, owner, name, clock
        self.url = "http://127.0.0.1"
        self.git = Git(directory / "repository.git")
        self.state = state.load(directory / "github.json", clock())
        self.name = self.state["name"] or name
        self.hooks = Hooks(directory / "deliveries", clock)
        self.on_push: list[Callable[[str, str, str], None]] = []
        self.on_pull: list[
            Callable[[dict[str, Any]], None]
        ] = []  # each is told of a row that was opened or closed
        self.lazy_mergeable, self.checks_readable = lazy_mergeable, True
        self.rules_readable = True
        self.most_statuses = 1000
        self.slow_statuses = 0
        hour = timedelta(hours=1)
        self.rate = {kind: front.Rate(5000, 0, clock() + hour) for kind in ("core", "graphql")}
        self.expiries: dict[str, datetime] = {}  # of fine-grained tokens, in UTC
        self.tokens = {
            token: Viewer(f"{PORTAL_APP.slug}[bot]", PORTAL_APP.id),
            admin_token: Viewer(owner, admin=True),
        }
        self._lock = threading.RLock()
        self._moves: list[tuple[str, str, str]] = []
        self._asked: set[tuple[str, str]] = set()
        self._reckoned: set[tuple[str, str]] = set()
        self._begun = False
        self._open_pulls = {row["number"] for row in self.state["pulls"] if row["state"] == "open"}

    # --- names and numbers

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def api(self) -> str:
        return f"{self.url}/repos/{self.full_name}"

    @property
    def web(self) -> str:
        return f"{self.url}/{self.full_name}"

    @property
    def repository_id(self) -> int:
        return state.login_id(self.full_name)

    def new_id(self) -> int:
        self.state["next_id"] += 1
        return self.state["next_id"]

    def person(self, login: str) -> Person:
        return Person(login, f"{login}@users.noreply.github.com", self.clock())

    def login_of(self, email: str) -> str:
        return "web-flow" if email == "noreply@github.com" else email.split("@")[0] or "ghost"

    def has_expired(self, token: str) -> bool:
        return self.expiries.get(token, datetime.max.replace(tzinfo=UTC)) <= self.clock()

    def heads(self) -> dict[str, str]:
        """Return every branch and the commit it points at now."""
        return self.git.heads()

    # --- change

    def save(self) -> None:
        state.save(self.directory / "github.json", self.state)

    @contextmanager
    def change(self, viewer: Viewer | None = None) -> Iterator[Viewer]:
        """Run a change alone, then bring everything in step with where the branches are, and keep
        it.
        """
        with self._lock:
            self._begin()
            yield (by := viewer or Viewer(self.owner, admin=True))
            self._settle(by)
        self._tell()

    def _begin(self) -> None:
        """Once: catches up with what happened to the branches while nobody watched."""
        if not self._begun:
            self._begun = True
            self._settle(Viewer(self.owner))

    def _settle(self, viewer: Viewer) -> None:
        known, now = self.state["heads"], self.git.heads()
        moved = [b for b in sorted({*known, *now}) if known.get(b) != now.get(b)]
        self.state["heads"] = now
        for branch in moved:
            before, after = known.get(branch), now.get(branch)
            self.state["pushed_at"] = stamp(self.clock())
            events.pushed(self, branch, before, after, viewer)
            pulls.follow(self, branch, before, after, viewer)
            self._moves.append((branch, before or "", after or ""))
        self.save()

    def _tell(self) -> None:
        """Call the listeners, without the lock: they may call back."""
        with self._lock:
            moves, self._moves = self._moves, []
        for move in moves:
            for listener in self.on_push:
                listener(*move)
        self._tell_pulls()

    def _tell_pulls(self) -> None:
        """Call the listeners to pull requests for each that was opened or closed since the last
        change.
        """
        with self._lock:
            rows = {row["number"]: dict(row) for row in self.state["pulls"]}
            now = {number for number, row in rows.items() if row["state"] == "open"}
            before, self._open_pulls = self._open_pulls, now
        for number in sorted(now ^ before):
            for listener in self.on_pull:
                listener(rows[number])

    def reckoned(self, base: str, head: str, *, ask: bool = True) -> bool:
        """Return whether mergeability of this pair is known; if not, asking makes the next request
        know it.
        """
        if ask:
            self._asked.add((base, head))
        return not self.lazy_mergeable or (base, head) in self._reckoned

    def pull_event(self, action: str, pull: dict[str, Any], viewer: Viewer, **more: Any) -> None:
        events.pull_request(self, action, pull, viewer, **more)

    # --- answers

    def __call__(self, request: Request) -> Response:
        if found := smart_http.wanted(self, request.path):
            return smart_http.answer(self, request, found)
        if gone := smart_http.moved(self, request):
            return gone
        if request.method == "GET" and (page := pages.page(self, request.path)):
            return page
        if given := pages.reviewed(self, request) or apps.answered(self, request):
            return given
        try:
            viewer = front.viewer(self, request)
            front.check_limits(self, request)
            response = self._answer(request, viewer)
        except Refused as refusal:
            response = front.refused(refusal)
        except GitError as failure:
            response = front.refused(Refused(500, str(failure)))
        return front.finished(self, request, response)

    def _answer(self, request: Request, viewer: Viewer) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        by_id = f"/repositories/{self.repository_id}"  # where the redirect from an old name leads
        if request.path.startswith(by_id):
            request = replace(
                request, path=f"/repos/{self.full_name}{request.path.removeprefix(by_id)}"
            )
        graphql = request.path == "/graphql" and method == "POST"
        found = routes.matching(method, request.path)
        part = found[1] if found else {}
        named = f"{part.get('owner', self.owner)}/{part.get('repo', self.name)}"
        if found and named.lower() in (one.lower() for one in self.state["old_names"]):
            return self._moved(request, named)
        if not (found or graphql) or named.lower() != self.full_name.lower():
            raise Refused(404, "Not Found")
        if not viewer.login and request.path not in front.FREE:
            raise Refused(401, "Requires authentication") if graphql else Refused(404, "Not Found")
        if found and method != "GET":
            with self.change(viewer):
                response = found[0](self, routes.Ask(request, viewer, part))
        else:
            with self._lock:
                self._begin()
                ask = routes.Ask(request, viewer, part)
                response = found[0](self, ask) if found else graph.answer(self, request, viewer)
        with self._lock:
            self._reckoned |= self._asked
        return response

    def _moved(self, request: Request, named: str) -> Response:
        """Show a renamed repository: reads are sent on for good, writes are asked to be sent again
        as they are.
        """
        rest = request.path.removeprefix(f"/repos/{named}")
        url = f"{self.url}/repositories/{self.repository_id}{rest}"
        body = {
            "message": "Moved Permanently",
            "url": url,
            "documentation_url": "https://docs.github.com/rest",
        }
        return Response(301 if request.method in ("GET", "HEAD") else 307, body, {"Location": url})

    # --- stories: what people and machines other than the portal do

    def import_repository(self, path: Path, branches: dict[str, str]) -> None:
        """Copy revisions of the repository at `path` (branch name here: any revision there).

        Raise `GitError` in git's words when one is unknown there. The default branch is `main`
        where there is one, else the first named.
        """
        with self.change():
            self.git.take_over(Path(path), branches)
            self.state["default_branch"] = "main" if "main" in branches else next(iter(branches))
            self.git.text("symbolic-ref", "HEAD", f"refs/heads/{self.state['default_branch']}")

    def open_pull(
        self,
        head: str,
        base: str,
        title: str,
        body: str = "",
        author: str = "maria",
        draft: bool = False,
        number: int | None = None,
    ) -> int:
        """Open a pull request and give its number; raise `Refused` as the API would."""
        more = {"body": body, "draft": draft, "number": number}
        with self.change(Viewer(author)) as viewer:
            return pulls.opened(self, viewer, head=head, base=base, title=title, **more)["number"]

    def record_merged(
        self,
        number: int,
        *,
        head: str,
        base: str,
        title: str,
        merge_commit: str,
        author: str = "maria",
    ) -> None:
        """Write down a pull request that `merge_commit` merged before anyone watched."""
        found = self.git.commit(merge_commit)
        at = stamp(found.committer.at)
        times = dict.fromkeys(("created_at", "updated_at", "closed_at", "merged_at"), at)
        more: dict[str, Any] = {
            "base_sha": found.parents[0],
            "head_sha": found.parents[-1],
            "number": number,
        }
        more |= {"state": "closed", "merge_commit_sha": found.sha, "merged_by": author} | times
        with self.change():
            pulls.record(self, author, head=head, base=base, title=title, **more)

    def close_pull(self, number: int) -> None:
        with self.change() as viewer:
            pulls.close(self, pulls.get(self, number), viewer)

    def merge_pull(self, number: int, method: str = "merge", by: str = "") -> str:
        """Merge as an administrator (the owner, or `by`) would and give the new commit; raise
        `Refused` as the API would.
        """
        with self.change(Viewer(by or self.owner, admin=True)) as viewer:
            return merging.merge(self, pulls.get(self, number), viewer, method=method)

    def push_commit(
        self, branch: str, files: dict[str, str | None], message: str, author: str = "maria"
    ) -> str:
        """Commit files (text; None removes) straight onto a branch, past every rule; give the
        commit.
        """
        with self.change(Viewer(author)):
            before = self.git.ref(f"refs/heads/{branch}")
            parent = before or self.git.heads()[self.state["default_branch"]]
            tree, person = self.git.with_files(parent, files), self.person(author)
            made = self.git.commit_tree(tree, [parent], f"{message}\n", person, person)
            self.git.move(f"refs/heads/{branch}", made, before)
            return made

    def set_check(
        self, sha: str, name: str, status: str = "completed", conclusion: str | None = "success"
    ) -> None:
        """Report a check run as GitHub Actions does: a running one goes on, a finished one is
        run again.
        """
        if status != "completed":
            conclusion = None
        with self.change(Viewer(f"{ACTIONS_APP.slug}[bot]", ACTIONS_APP.id)) as viewer:
            known = [row for row in checks.latest_checks(self, sha) if row["name"] == name]
            if known and known[0]["status"] != "completed":
                checks.change_check(self, viewer, known[0], status=status, conclusion=conclusion)
            else:
                checks.add_check(self, viewer, sha, name, status=status, conclusion=conclusion)

    def set_status(
        self, sha: str, context: str, state: str, description: str | None = None
    ) -> None:
        with self.change() as viewer:
            checks.add_status(
                self, viewer, sha, context=context, state=state, description=description
            )

    def add_review(self, number: int, login: str, state: str = "APPROVED", body: str = "") -> None:
        """Review the pull request. `state`: APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED."""
        with self.change(Viewer(login)) as viewer:
            pull = pulls.get(self, number)
            row = {
                "id": self.new_id(),
                "number": number,
                "user": login,
                "state": state,
                "body": body,
            }
            row |= {"at": stamp(self.clock()), "sha": pull["head_sha"]}
            self.state["reviews"].append(row)
            pull["updated_at"] = row["at"]
            events.review(self, pull, row, viewer)

    def add_thread(self, number: int, *, resolved: bool = False) -> None:
        """Open a conversation that a reviewer began; `resolve_threads` ends all of a pull
        request.
        """
        with self.change():
            self.state["threads"].append({"number": number, "resolved": resolved})

    def resolve_threads(self, number: int) -> None:
        with self.change():
            for one in self.state["threads"]:
                one["resolved"] |= one["number"] == number

    def add_ruleset(
        self, *kinds: dict[str, Any], branch: str = "main", name: str = "strict", **more: Any
    ) -> None:
        """Add an active ruleset of `branch` with these rules (`type` and `parameters`, as in
        GitHub's POST).
        """
        at = stamp(self.clock())
        kept = {
            "target": "branch",
            "enforcement": "active",
            "bypass_actors": [],
            "created_at": at,
            "updated_at": at,
        }
        conditions = {"ref_name": {"include": [f"refs/heads/{branch}"], "exclude": []}}
        with self.change():
            ruleset = kept | {
                "id": self.new_id(),
                "name": name,
                "conditions": conditions,
                "rules": list(kinds),
            }
            self.state["rulesets"].append(ruleset | more)

    def set_settings(self, **settings: bool) -> None:
        """Set how the repository merges: `allow_merge_commit`, …, `delete_branch_on_merge`."""
        with self.change():
            self.state["settings"] |= settings

    def rename(self, name: str) -> None:
        """Call the repository `name` from now on; under the old name it redirects."""
        if name == self.name:
            return
        with self.change():
            old = [
                one
                for one in self.state["old_names"]
                if one.lower() != f"{self.owner}/{name}".lower()
            ]
            self.state["old_names"] = [*old, self.full_name]
            self.name = self.state["name"] = name

    def protect(
        self,
        branch: str,
        *,
        checks: tuple[str, ...] = (),
        pull_request: bool = False,
        approvals: int = 0,
        enforce_admins: bool = True,
        strict: bool = False,
        **switches: bool,
    ) -> None:
        """Protect a branch; `switches` as in GitHub's PUT, such as `allow_force_pushes=True`."""
        wanted = {"strict": strict, "checks": [{"context": context} for context in checks]}
        reviews = {"required_approving_review_count": approvals}
        body = {
            "required_status_checks": wanted if checks else None,
            "required_pull_request_reviews": reviews if pull_request or approvals else None,
            "enforce_admins": enforce_admins,
            "restrictions": None,
        }
        with self.change():
            self.state["protections"][branch] = rest_rules.normal(body | switches)

    def add_hook(self, url: str, secret: str, wanted: list[str]) -> int:
        """Add a webhook for the named events (`*` for all), which is pinged at once; return its
        id.
        """
        with self.change():
            return rest_hooks.new_hook(self, url, secret, wanted)["id"]
