"""The GitHub stand-in: one repository over real git, with REST, GraphQL, webhooks and git's own
protocol.
"""

from dataclasses import replace
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
)
from .git_objects import GitError
from .hub import Hub
from .state import ACTIONS_APP, Refused, Viewer, stamp

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


class GitHubStandIn(Hub):
    """Answers as GitHub would for the repository of its `Hub`, and does what a test arranges."""

    def __call__(self, request: Request) -> Response:
        if command := smart_http.wanted(self, request.path):
            return smart_http.answer(self, request, command)
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
        route = routes.matching(method, request.path)
        part = route[1] if route else {}
        named = f"{part.get('owner', self.owner)}/{part.get('repo', self.name)}"
        if route and named.lower() in (name.lower() for name in self.state["old_names"]):
            return self._moved(request, named)
        if not (route or graphql) or named.lower() != self.full_name.lower():
            raise Refused(404, "Not Found")
        if not viewer.login and request.path not in front.FREE:
            raise Refused(401, "Requires authentication") if graphql else Refused(404, "Not Found")
        if route and method != "GET":
            with self.change(viewer):
                response = route[0](self, routes.Ask(request, viewer, part))
        else:
            with self._lock:
                self._begin()
                ask = routes.Ask(request, viewer, part)
                response = route[0](self, ask) if route else graph.answer(self, request, viewer)
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
        commit = self.git.commit(merge_commit)
        at = stamp(commit.committer.at)
        times = dict.fromkeys(("created_at", "updated_at", "closed_at", "merged_at"), at)
        more: dict[str, Any] = {
            "base_sha": commit.parents[0],
            "head_sha": commit.parents[-1],
            "number": number,
        }
        more |= {"state": "closed", "merge_commit_sha": commit.sha, "merged_by": author} | times
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
            for thread in self.state["threads"]:
                thread["resolved"] |= thread["number"] == number

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
