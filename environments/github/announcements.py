"""GitHub calls that people see: comments and deployments."""

from environments.github import answers
from environments.github.answers import Comment
from environments.github.arguments import commit_part, shaped, short_line
from environments.github.repository import Repository
from portal.outbound.parsing import Malformed, field, get_path, word


class Announcements(Repository):
    """Reads and writes comments and deployments."""

    def find_comment(self, number: int, marker: str) -> Comment | None:
        """Return the first comment on a pull request whose text holds `marker`, or None."""
        path = f"{self.path}/issues/{number:d}/comments"
        with shaped():
            items = self.transport.pages(f"read the comments of #{number}", path)
            comments = [answers.read_comment(item) for item in items]
        return next((comment for comment in comments if marker in comment.body), None)

    def comment(self, number: int, body: str) -> int:
        """Comment on a pull request; return the comment's id."""
        path = f"{self.path}/issues/{number:d}/comments"
        return self._written(f"comment on #{number}", "POST", path, {"body": body})

    def read_comment(self, comment_id: int) -> Comment:
        """Return a comment by its id; raise `ApiError` of the kind `not_found` when it was
        deleted.
        """
        path = f"{self.path}/issues/comments/{comment_id:d}"
        with shaped():
            return answers.read_comment(self.transport.get("read a comment", path))

    def edit_comment(self, comment_id: int, body: str) -> None:
        """Replace the text of a comment."""
        path = f"{self.path}/issues/comments/{comment_id:d}"
        self._written("edit a comment", "PATCH", path, {"body": body})

    def find_deployment(self, sha: str, environment: str) -> int | None:
        """Return the id of the newest announced deployment of a commit to `environment`, or
        None.
        """
        doing, query = (
            "read announced deployments",
            {"sha": commit_part(sha), "environment": environment, "per_page": "1"},
        )
        with shaped():
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
        return self._written("announce a deployment", "POST", f"{self.path}/deployments", body)

    def deployment_state(self, deployment_id: int) -> str:
        """Return the newest state that was reported of an announced deployment, or ""."""
        path = f"{self.path}/deployments/{deployment_id:d}/statuses"
        with shaped():
            items = self.transport.get("read a deployment's states", path, per_page="1")
            if not isinstance(items, list):
                raise Malformed("the list of states is missing")
            return word(field(items[0], "state", str)) if items else ""

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
        path = f"{self.path}/deployments/{deployment_id:d}/statuses"
        self._written("report on a deployment", "POST", path, body)
