"""Calls about pull requests, and about who works on them."""

from collections.abc import Sequence

from environments.github import merged
from environments.github.pulls import MergedPull, PullState, read_pull_state
from environments.github.repository import Repository
from environments.github.request_values import branch_part, commit_part, passing_reason
from environments.github.transport import SERVICE
from portal.invisible_characters import visible, visible_line
from portal.outbound.http import ApiError, shaped
from portal.outbound.parsing import Malformed, commit_field, field, get_path, quoted, text

REVERT = """mutation Revert($input: RevertPullRequestInput!) {
  revertPullRequest(input: $input) {
    revertPullRequest { number }
  }
}
"""
MEMBERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
NEWEST_FIRST = {"sort": "updated", "direction": "desc", "state": "all"}
LOOKED_INTO = 5  # pull requests whose reviewers are asked for


class PullRequests(Repository):
    """Reads, opens, merges and reverts pull requests."""

    def merged_pulls(self, base: str, numbers: Sequence[int]) -> tuple[MergedPull, ...]:
        """Return those of `numbers` that were merged into `base`; one call for every 100."""
        with shaped(SERVICE):
            return merged.read_by_number(self.transport, self.owner, self.name, base, numbers)

    def pull(self, number: int) -> PullState:
        """Return the pull request as it is now; `mergeable` None means: ask again shortly."""
        return self._read(f"read pull request #{number}", f"/pulls/{number:d}", read_pull_state)

    def pulls_of(self, sha: str) -> tuple[PullState, ...]:
        """Return the pull requests that brought a commit in, or hold it; without `mergeable`."""
        path = f"/commits/{commit_part(sha)}/pulls"
        return self._read_all("read a commit's pull requests", path, read_pull_state)

    def pulls_into(self, base: str) -> tuple[PullState, ...]:
        """Return the open pull requests into `base`; without `mergeable`."""
        query = {"base": base, "state": "open"}
        return self._read_all("list pull requests", "/pulls", read_pull_state, **query)

    def find_pull(self, *, head: str, base: str, state: str = "open") -> PullState | None:
        """Return the newest pull request from our `head` into `base`; without `mergeable`."""
        query = {"head": f"{self.owner}:{head}", "base": base, "state": state}
        query |= {"sort": "created", "direction": "desc", "per_page": "20"}
        doing = f"list pull requests into {base}"
        pulls = self._read_page(doing, "/pulls", read_pull_state, **query)
        # Looked at again: GitHub leaves the filter out when it does not understand it.
        return next(
            (pull for pull in pulls if pull.head_ref == head and pull.base_ref == base), None
        )

    def newest_heads(self, base: str, count: int) -> list[str]:
        """Return the heads of the `count` pull requests into `base` that changed last."""
        doing, query = f"list pull requests into {base}", {"base": base, **NEWEST_FIRST}
        pulls = self._read_page(doing, "/pulls", read_pull_state, per_page=count, **query)
        return [pull.head_sha for pull in pulls if pull.base_ref == base][:count]

    def seen_members(self, enough: int) -> frozenset[str]:
        """Return people of the repository who opened or reviewed pull requests lately; no more are
        looked for once there are `enough`.
        """
        pulls = self._read_page(
            "list pull requests", "/pulls", _member_and_number, per_page=100, **NEWEST_FIRST
        )
        members = {member for member, _ in pulls}
        for _, number in pulls[:LOOKED_INTO]:
            if len(members - {""}) >= enough or not isinstance(number, int):
                break
            path = f"/pulls/{number}/reviews"
            members.update(self._read_page("list reviews", path, _member, per_page=100))
        return frozenset(members - {""})

    def open_pull(self, *, head: str, base: str, title: str, body: str) -> PullState:
        """Open a pull request, or return the one already open.

        Refused when `head` has nothing new.
        """
        branch_part(head), branch_part(base)
        doing = f"open a pull request from {head} into {base}"
        content: dict[str, object] = {"head": head, "base": base}
        content |= {"title": visible_line(title), "body": visible(body)}
        try:
            return self._write(doing, "POST", "/pulls", content, read_pull_state)
        except ApiError as error:
            existing = None
            if error.status == 422 and "already exists" in error.detail.lower():
                existing = self.find_pull(head=head, base=base)
            if existing is None:
                raise
            return existing

    def revert_pull(self, number: int, *, body: str) -> PullState:
        """Open GitHub's revert of a merged pull request, once.

        Raise `ApiError`, also where git cannot take the changes back by itself.
        """
        doing = f"revert pull request #{number:d}"
        with shaped(SERVICE, write=True):
            node = text(self._read(doing, f"/pulls/{number:d}", lambda it: get_path(it, "node_id")))
            if not node:
                raise Malformed("the pull request has no node id")
            variables = {"pullRequestId": node, "body": visible(body)}
            answer = self.transport.mutate(doing, REVERT, {"input": variables})
            if errors := answer.get("errors"):
                message = quoted(get_path(errors[0], "message"), 200)
                why = f"GitHub cannot {doing}: {message or 'it does not say why'}."
                instead = "Revert it by hand in a pull request of your own."
                raise ApiError(SERVICE, "refused", f"{why} {instead}", detail=message)
            made = get_path(answer, "data", "revertPullRequest", "revertPullRequest", "number")
            if not isinstance(made, int):
                raise Malformed("the revert pull request has no number")
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
            return self._write(doing, "PUT", f"/pulls/{number:d}/merge", body, _merge_commit)
        except ApiError as error:
            if error.status == 405 and (why := passing_reason(error.detail)):
                sentence = f"GitHub could not {doing} because {why}: it is being retried."
                raise error.as_kind("unavailable", sentence) from error
            raise

    def retarget(self, number: int, base: str) -> None:
        """Let a pull request go into another branch."""
        path = f"{self.path}/pulls/{number:d}"
        self.transport.write(f"retarget #{number}", "PATCH", path, {"base": base})


def branch_of_revert(number: int) -> str:
    """Return how the names of the branches begin that GitHub makes to revert this pull request."""
    return f"revert-{number:d}-"


def _merge_commit(item: object) -> str:
    if not field(item, "merged", bool):
        raise Malformed("merged is false")
    return commit_field(item, "sha")


def _member_and_number(item: object) -> tuple[str, object]:
    return _member(item), get_path(item, "number")


def _member(node: object) -> str:
    """Return the author's login; "" for a bot, and for who has no right in the repository."""
    if get_path(node, "user", "type") != "User":
        return ""
    member = get_path(node, "author_association") in MEMBERS
    return text(get_path(node, "user", "login"), 100).lower() if member else ""
