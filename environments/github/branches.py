"""Calls about branches, their rules and the repository's settings."""

from collections.abc import Mapping

from environments.github import answers, members, protection
from environments.github import pulls as answers_pulls
from environments.github.answers import Comparison
from environments.github.arguments import branch_part, commit_part, passing_reason, shaped
from environments.github.protection import Rules
from environments.github.repository import Repository
from environments.github.transport import SERVICE
from portal.outbound.http import ApiError
from portal.outbound.parsing import Malformed, commit_field, field, text


class Branches(Repository):
    """Reads, moves and protects branches."""

    def seen_members(self, enough: int) -> frozenset[str]:
        """Return people of the repository who opened or reviewed pull requests lately; no more are
        looked for once there are `enough`.
        """
        with shaped():
            return members.seen_members(self.transport, self.path, enough)

    def newest_heads(self, base: str, count: int) -> list[str]:
        """Return the heads of the `count` pull requests into `base` that changed last, in any
        state.
        """
        query = {"base": base, "state": "all", "sort": "updated", "direction": "desc"}
        with shaped():
            items = self.transport.get(
                f"list pull requests into {base}", f"{self.path}/pulls", per_page=count, **query
            )
            if not isinstance(items, list):
                raise Malformed("the list of pull requests is missing")
            found = [answers_pulls.read_pull_state(item) for item in items]
            return [pull.head_sha for pull in found if pull.base_ref == base][:count]

    def compare(self, base: str, head: str) -> Comparison:
        """Return how `head` stands to `base`; both are branches or commits."""
        path = f"{self.path}/compare/{branch_part(base)}...{branch_part(head)}"
        with shaped():
            item = self.transport.get(f"compare {base} with {head}", path, per_page=1)
            return answers.read_comparison(item)

    def branch_head(self, branch: str) -> str | None:
        """Return the commit `branch` points at, or None when there is no such branch."""
        doing = f"read the branch {branch}"
        try:
            with shaped():
                item = self.transport.get(doing, f"{self.path}/git/ref/heads/{branch_part(branch)}")
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
        """Move `branch` forward to `sha`.

        Raise `ApiError`: conflict when it is not a fast-forward, refused by rules (in GitHub's
        words), unknown_outcome.
        """
        doing = f"move branch {branch} forward"
        body: dict[str, object] = {"sha": commit_part(sha), "force": False}
        path = f"{self.path}/git/refs/heads/{branch_part(branch)}"
        try:
            item = self.transport.write(doing, "PATCH", path, body)
        except ApiError as error:
            if error.status == 422 and (why := passing_reason(error.detail)):
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
        with shaped(write=True):
            if commit_field(field(item, "object", dict), "sha") != sha.lower():
                raise Malformed("the branch is at another commit")

    def create_branch(self, branch: str, sha: str) -> None:
        """Make a branch that there is not. Raise `ApiError`: refused when it is there already."""
        branch_part(branch)
        body: dict[str, object] = {"ref": f"refs/heads/{branch}", "sha": commit_part(sha)}
        self.transport.write(f"make branch {branch}", "POST", f"{self.path}/git/refs", body)

    def default_branch(self) -> str:
        """Return the repository's default branch."""
        with shaped():
            item = self.transport.get("read the repository", self.path)
            return text(field(item, "default_branch", str), 200)

    def deletes_heads(self) -> bool:
        """Return whether *Automatically delete head branches* is switched on.

        Shown only to who may push.
        """
        with shaped():
            item = self.transport.get("read the repository's settings", self.path)
            return field(item, "delete_branch_on_merge", bool)

    def keep_heads(self) -> None:
        """Switch *Automatically delete head branches* off."""
        body: dict[str, object] = {"delete_branch_on_merge": False}
        self.transport.write("change the repository's settings", "PATCH", self.path, body)

    def rules(self, branch: str) -> Rules:
        """Return what binds a branch: classic protection and rulesets together; what the token may
        not see is None.
        """
        with shaped():
            return protection.read(self.transport, self.path, branch_part(branch))

    def protect(self, branch: str, body: Mapping[str, object]) -> None:
        """Replace the classic protection of a branch by exactly `body`."""
        path = f"{self.path}/branches/{branch_part(branch)}/protection"
        item = self.transport.write(f"protect branch {branch}", "PUT", path, dict(body))
        with shaped(write=True):
            field(field(item, "enforce_admins", dict), "enabled", bool)
