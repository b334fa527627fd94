"""Calls about checks and statuses of a commit."""

from environments.github import answers
from environments.github.answers import Check, CommitStatus
from environments.github.arguments import commit_part, shaped, short_line
from environments.github.repository import Repository
from environments.github.transport import SERVICE
from portal.outbound.http import ApiError, unknown_outcome
from portal.outbound.parsing import field, get_path, text


class CommitChecks(Repository):
    """Reads checks, and reads and writes commit statuses."""

    def checks(self, sha: str) -> tuple[Check, ...] | None:
        """Return all check runs and statuses of a commit, or None when the token may not read them.

        A fine-grained token cannot read check runs: then the jobs of GitHub Actions stand in for
        them.
        """
        path = f"{self.path}/commits/{commit_part(sha)}"
        try:
            with shaped():
                runs = self._check_runs(path, sha)
                return runs + tuple(_as_check(status) for status in self._statuses(path))
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
        """Return the latest status of that context on a commit, or None."""
        with shaped():
            statuses = self._statuses(f"{self.path}/commits/{commit_part(sha)}")
        return next((status for status in statuses if status.context == context), None)

    def status_history(self, sha: str) -> tuple[CommitStatus, ...]:
        """Return every status that was ever posted on a commit, the newest first."""
        with shaped():
            items = self.transport.pages(
                "read commit statuses", f"{self.path}/commits/{commit_part(sha)}/statuses"
            )
            return tuple(answers.read_status(item) for item in items)

    def set_status(
        self, sha: str, *, context: str, state: str, description: str, target_url: str
    ) -> str:
        """Post a commit status and return who posted it; a description beyond GitHub's 140 letters
        is cut.
        """
        if state not in STATUS_STATES:
            raise ValueError(f"{state!r} is no state of a commit status")
        body: dict[str, object] = {
            "state": state,
            "context": context,
            "description": short_line(description),
        }
        if target_url:
            body["target_url"] = target_url
        path = f"{self.path}/statuses/{commit_part(sha)}"
        item = self.transport.write("post a commit status", "POST", path, body)
        if get_path(item, "state") != state or get_path(item, "context") != context:
            raise unknown_outcome(SERVICE, "another status came back")
        return text(get_path(item, "creator", "login"), 100)


STATUS_STATES = ("error", "failure", "pending", "success")


def _as_check(status: CommitStatus) -> Check:
    return Check(
        name=status.context,
        kind="status",
        state=status.state,
        url=status.target_url,
        started_at=status.updated_at,
    )
