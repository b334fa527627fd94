"""Calls about checks and statuses of a commit."""

from environments.github.answers import Check, CommitStatus, read_check_run, read_job, read_status
from environments.github.repository import Repository, id_of
from environments.github.request_values import commit_part, short_line
from portal.outbound.http import ApiError
from portal.outbound.parsing import Malformed, get_path, text


class CommitChecks(Repository):
    """Reads checks, and reads and writes commit statuses."""

    def checks(self, sha: str) -> tuple[Check, ...] | None:
        """Return all check runs and statuses of a commit, or None when the token may not read them.

        A fine-grained token cannot read check runs: then the jobs of GitHub Actions stand in for
        them.
        """
        path = f"/commits/{commit_part(sha)}"
        try:
            return self._check_runs(path, sha) + tuple(map(_as_check, self._statuses(path)))
        except ApiError as error:
            if error.kind == "forbidden":
                return None
            raise

    def _check_runs(self, path: str, sha: str) -> tuple[Check, ...]:
        doing, latest = "read check runs", {"filter": "latest"}
        try:
            return self._read_all(
                doing, f"{path}/check-runs", read_check_run, "check_runs", **latest
            )
        except ApiError as error:
            if error.kind != "forbidden":
                raise
        doing, path = "read the runs of GitHub Actions", "/actions/runs"
        checks: list[Check] = []
        for run in self._read_all(doing, path, id_of, "workflow_runs", head_sha=sha):
            checks += self._read_all(doing, f"{path}/{run}/jobs", read_job, "jobs", **latest)
        return tuple(checks)

    def _statuses(self, path: str) -> tuple[CommitStatus, ...]:
        return self._read_all("read commit statuses", f"{path}/status", read_status, "statuses")

    def status(self, sha: str, context: str) -> CommitStatus | None:
        """Return the latest status of that context on a commit, or None."""
        statuses = self._statuses(f"/commits/{commit_part(sha)}")
        return next((status for status in statuses if status.context == context), None)

    def status_history(self, sha: str) -> tuple[CommitStatus, ...]:
        """Return every status that was ever posted on a commit, the newest first."""
        path = f"/commits/{commit_part(sha)}/statuses"
        return self._read_all("read commit statuses", path, read_status)

    def set_status(
        self, sha: str, *, context: str, state: str, description: str, target_url: str
    ) -> str:
        """Post a commit status, its description cut to 140 letters; return who posted it."""
        if state not in STATUS_STATES:
            raise ValueError(f"{state!r} is no state of a commit status")
        body: dict[str, object] = {
            "state": state,
            "context": context,
            "description": short_line(description),
        }
        if target_url:
            body["target_url"] = target_url

        def creator(item: object) -> str:
            if get_path(item, "state") != state or get_path(item, "context") != context:
                raise Malformed("another status came back")
            return text(get_path(item, "creator", "login"), 100)

        path = f"/statuses/{commit_part(sha)}"
        return self._write("post a commit status", "POST", path, body, creator)


STATUS_STATES = ("error", "failure", "pending", "success")


def _as_check(status: CommitStatus) -> Check:
    return Check(name=status.context, state=status.state, url=status.target_url)
