"""Calls about branches, their rules and the repository's settings."""

from collections.abc import Mapping

from environments.github import protection
from environments.github.answers import Comparison, read_comparison
from environments.github.protection import Rules
from environments.github.repository import Repository
from environments.github.request_values import branch_part, commit_part, passing_reason
from environments.github.transport import SERVICE
from portal.outbound.http import ApiError, shaped, unknown_outcome
from portal.outbound.parsing import Malformed, commit_field, field, text


class Branches(Repository):
    """Reads, moves and protects branches."""

    def compare(self, base: str, head: str) -> Comparison:
        """Return how `head` stands to `base`; both are branches or commits."""
        path = f"/compare/{branch_part(base)}...{branch_part(head)}"
        return self._read(f"compare {base} with {head}", path, read_comparison, per_page=1)

    def branch_head(self, branch: str) -> str | None:
        """Return the commit `branch` points at, or None when there is no such branch."""

        def head(item: object) -> str:
            if field(item, "ref", str) != f"refs/heads/{branch}":
                raise Malformed("it is about another branch")
            return _commit(item)

        try:
            path = f"/git/ref/heads/{branch_part(branch)}"
            return self._read(f"read the branch {branch}", path, head)
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
        doing, path = f"move branch {branch} forward", f"/git/refs/heads/{branch_part(branch)}"
        body: dict[str, object] = {"sha": commit_part(sha), "force": False}
        try:
            moved_to = self._write(doing, "PATCH", path, body, _commit)
        except ApiError as error:
            if error.status == 422 and (why := passing_reason(error.detail)):
                sentence = f"GitHub lets {branch} move when its required checks are there: {why}."
                raise error.as_kind("unavailable", sentence) from error
            if error.status == 422 and "fast forward" in error.detail.lower().replace("-", " "):
                sentence = (
                    f"Branch {branch} holds commits that {sha[:8]} does not: merge them, then try"
                    " again."
                )
                raise error.as_kind("conflict", sentence) from error
            raise
        if moved_to != sha.lower():
            raise unknown_outcome(SERVICE, "the branch is at another commit")

    def create_branch(self, branch: str, sha: str) -> None:
        """Make a branch that there is not. Raise `ApiError`: refused when it is there already."""
        branch_part(branch)
        body: dict[str, object] = {"ref": f"refs/heads/{branch}", "sha": commit_part(sha)}
        self.transport.write(f"make branch {branch}", "POST", f"{self.path}/git/refs", body)

    def default_branch(self) -> str:
        """Return the repository's default branch."""
        name = self._read("read the repository", "", lambda it: field(it, "default_branch", str))
        return text(name, 200)

    def deletes_heads(self) -> bool:
        """Return whether *Automatically delete head branches* is switched on.

        Shown only to who may push.
        """
        doing = "read the repository's settings"
        return self._read(doing, "", lambda item: field(item, "delete_branch_on_merge", bool))

    def keep_heads(self) -> None:
        """Switch *Automatically delete head branches* off."""
        body: dict[str, object] = {"delete_branch_on_merge": False}
        self.transport.write("change the repository's settings", "PATCH", self.path, body)

    def rules(self, branch: str) -> Rules:
        """Return what binds a branch by protection and rulesets; None for what is not shown."""
        with shaped(SERVICE):
            return protection.read(self.transport, self.path, branch_part(branch))

    def protect(self, branch: str, body: Mapping[str, object]) -> None:
        """Replace the classic protection of a branch by exactly `body`."""

        def check(item: object) -> None:
            field(field(item, "enforce_admins", dict), "enabled", bool)

        path = f"/branches/{branch_part(branch)}/protection"
        self._write(f"protect branch {branch}", "PUT", path, dict(body), check)


def _commit(ref: object) -> str:
    return commit_field(field(ref, "object", dict), "sha")
