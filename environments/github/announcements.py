"""GitHub calls that people see: comments and deployments."""

from environments.github.answers import Comment, read_comment
from environments.github.repository import Repository, id_of
from environments.github.request_values import commit_part, short_line
from portal.outbound.parsing import field, get_path, word


class Announcements(Repository):
    """Reads and writes comments and deployments."""

    def find_comment(self, number: int, marker: str) -> Comment | None:
        """Return the first comment on a pull request whose text holds `marker`, or None."""
        doing, path = f"read the comments of #{number}", f"/issues/{number:d}/comments"
        comments = self._read_all(doing, path, read_comment)
        return next((comment for comment in comments if marker in comment.body), None)

    def comment(self, number: int, body: str) -> int:
        """Comment on a pull request; return the comment's id."""
        doing, path = f"comment on #{number}", f"/issues/{number:d}/comments"
        return self._write(doing, "POST", path, {"body": body}, id_of)

    def read_comment(self, comment_id: int) -> Comment:
        """Return a comment by its id; raise `ApiError` (not_found) when it was deleted."""
        return self._read("read a comment", f"/issues/comments/{comment_id:d}", read_comment)

    def edit_comment(self, comment_id: int, body: str) -> None:
        """Replace the text of a comment."""
        path = f"/issues/comments/{comment_id:d}"
        self._write("edit a comment", "PATCH", path, {"body": body}, id_of)

    def find_deployment(self, sha: str, environment: str) -> int | None:
        """Return the id of the newest announced deployment of a commit to `environment`, or
        None.
        """
        doing = "read announced deployments"
        query = {"sha": commit_part(sha), "environment": environment}
        deployments = self._read_page(doing, "/deployments", _deployment, per_page=1, **query)
        # Looked at again: GitHub leaves the filter out when it does not understand it.
        return next((number for number, *of in deployments if of == [sha, environment]), None)

    def create_deployment(
        self,
        ref: str,
        *,
        environment: str,
        description: str,
        production: bool,
        transient: bool = False,
    ) -> int:
        """Announce a deployment of `ref`; return its id.

        GitHub merges nothing and waits for nothing.
        """
        body: dict[str, object] = {
            "ref": ref,
            "environment": environment,
            "description": short_line(description),
            "production_environment": production,
            "transient_environment": transient,
            "auto_merge": False,
            "required_contexts": [],
        }
        return self._write("announce a deployment", "POST", "/deployments", body, id_of)

    def deployment_state(self, deployment_id: int) -> str:
        """Return the newest state that was reported of an announced deployment, or ""."""
        doing, path = "read a deployment's states", f"/deployments/{deployment_id:d}/statuses"
        states = self._read_page(doing, path, lambda item: field(item, "state", str), per_page=1)
        return word(states[0]) if states else ""

    def deployment_status(
        self,
        deployment_id: int,
        *,
        state: str,
        description: str,
        environment_url: str = "",
        log_url: str = "",
    ) -> None:
        """Say how an announced deployment stands (error, failure, inactive, in_progress, queued,
        pending, success).
        """
        body: dict[str, object] = {"state": state, "description": short_line(description)}
        body |= {"environment_url": environment_url} if environment_url else {}
        body |= {"log_url": log_url} if log_url else {}
        path = f"/deployments/{deployment_id:d}/statuses"
        self._write("report on a deployment", "POST", path, body, id_of)


def _deployment(item: object) -> tuple[int, object, object]:
    return id_of(item), get_path(item, "sha"), get_path(item, "environment")
