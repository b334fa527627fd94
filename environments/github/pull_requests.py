"""Calls about pull requests."""

from collections.abc import Sequence

from environments.github import merged, reverting
from environments.github import pulls as answers_pulls
from environments.github.arguments import branch_part, commit_part, passing_reason, shaped
from environments.github.pulls import MergedPull, PullState
from environments.github.repository import Repository
from environments.github.transport import SERVICE
from portal.outbound.http import ApiError
from portal.outbound.parsing import Malformed, commit_field, field
from portal.visible import visible, visible_line


class PullRequests(Repository):
    """Reads, opens, merges and reverts pull requests."""

    def merged_pulls(self, base: str, numbers: Sequence[int]) -> tuple[MergedPull, ...]:
        """Return those of `numbers` that were merged into `base`; one call for every 100."""
        with shaped():
            return merged.read_by_number(self.transport, self.owner, self.name, base, numbers)

    def pull(self, number: int) -> PullState:
        """Return the pull request as it is now; `mergeable` None means: ask again shortly."""
        with shaped():
            item = self.transport.get(
                f"read pull request #{number}", f"{self.path}/pulls/{number:d}"
            )
            return answers_pulls.read_pull_state(item)

    def pulls_of(self, sha: str) -> tuple[PullState, ...]:
        """Return the pull requests that brought a commit in, or hold it; without `mergeable`."""
        with shaped():
            items = self.transport.pages(
                "read a commit's pull requests", f"{self.path}/commits/{commit_part(sha)}/pulls"
            )
            return tuple(answers_pulls.read_pull_state(item) for item in items)

    def find_pull(self, *, head: str, base: str, state: str = "open") -> PullState | None:
        """Return the newest pull request from our branch `head` into `base`, or None; without
        `mergeable`.
        """
        query = {"head": f"{self.owner}:{head}", "base": base, "state": state}
        query |= {"sort": "created", "direction": "desc", "per_page": "20"}
        with shaped():
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

    def open_pull(self, *, head: str, base: str, title: str, body: str) -> PullState:
        """Open a pull request, or return the one already open.

        Refused when `head` has nothing new.
        """
        branch_part(head), branch_part(base)
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
        with shaped(write=True):
            return answers_pulls.read_pull_state(item)

    def revert_pull(self, number: int, *, body: str) -> PullState:
        """Open GitHub's revert of a merged pull request, once; raise `ApiError`."""
        with shaped(write=True):
            made = reverting.revert(self.transport, self.path, number, visible(body))
        return self.pull(made)

    def merge(self, number: int, *, sha: str, title: str) -> str:
        """Merge, if the head is still `sha`, with a merge commit; return that commit.

        Raise `ApiError`: conflict (the head moved), unavailable (the base moved: look, then ask
        again), refused, unknown_outcome.
        """
        doing = f"merge pull request #{number}"
        body: dict[str, object] = {"sha": commit_part(sha), "commit_title": visible_line(title)}
        body["merge_method"] = "merge"
        try:
            item = self.transport.write(doing, "PUT", f"{self.path}/pulls/{number:d}/merge", body)
        except ApiError as error:
            if error.status == 405 and (why := passing_reason(error.detail)):
                sentence = f"GitHub could not {doing} because {why}: it is being retried."
                raise ApiError(
                    SERVICE, "unavailable", sentence, status=405, detail=error.detail
                ) from error
            raise
        with shaped(write=True):
            if not field(item, "merged", bool):
                raise Malformed("merged is false")
            return commit_field(item, "sha")

    def retarget(self, number: int, base: str) -> None:
        """Let a pull request go into another branch."""
        body: dict[str, object] = {"base": base}
        self.transport.write(f"retarget #{number}", "PATCH", f"{self.path}/pulls/{number:d}", body)

    def pulls_into(self, base: str) -> tuple[PullState, ...]:
        """Return the open pull requests into `base`; without `mergeable`."""
        with shaped():
            items = self.transport.pages(
                "list pull requests", f"{self.path}/pulls", base=base, state="open"
            )
            return tuple(answers_pulls.read_pull_state(item) for item in items)
