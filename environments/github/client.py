"""The GitHub client: reads are tried again, writes are sent once, answers are frozen values or
`ApiError`.

Sources: GitHub REST API 2022-11-28 and its GraphQL API.
"""

from collections.abc import Sequence

from environments.github import limits, overview
from environments.github.announcements import Announcements
from environments.github.answers import Hook, read_hook
from environments.github.branches import Branches
from environments.github.commit_checks import CommitChecks
from environments.github.overview import Overview
from environments.github.overview_questions import EVERYTHING, Pages
from environments.github.pull_requests import PullRequests
from environments.github.repository import id_of
from environments.github.request_values import branch_part, hook_body


class GitHub(PullRequests, Branches, CommitChecks, Announcements):
    """One repository (`owner/name`), by default with the settings' credential and address."""

    def overview(
        self,
        *,
        staging: str,
        production: str,
        numbers: Sequence[int] = (),
        pages: Pages = EVERYTHING,
    ) -> Overview:
        """Return branches, rules, pull requests and checks; one call per 100 open pull requests.

        Those of `numbers` are read with all that their merge takes, wherever they stand in the
        lists.
        """
        branch_part(staging), branch_part(production)
        return overview.read_overview(
            self.transport, self.owner, self.name, staging, production, numbers, pages
        )

    def merge_facts(self, number: int, *, staging: str, production: str) -> Overview:
        """Return what the merge of one pull request takes, in one call: both branches' rules, and
        it alone in `named`.
        """
        branch_part(staging), branch_part(production)
        return overview.read_merge(
            self.transport, self.owner, self.name, staging, production, number
        )

    def ask_whether_known(self) -> None:
        """Ask what is left of the quota, which costs nothing of it, and keep that.

        Raise `ApiError` for a credential that GitHub does not take.
        """
        doing = "say how many requests are left"
        limits.note_all(self.transport.get(doing, "/rate_limit"), self.transport.account)

    def hooks(self) -> tuple[Hook, ...]:
        """Return the repository's webhooks."""
        return self._read_all("list webhooks", "/hooks", read_hook)

    def add_hook(self, url: str, *, secret: str, events: Sequence[str]) -> int:
        """Add a webhook that posts signed JSON to `url`; return its id.

        GitHub pings it at once.
        """
        body = hook_body(url, secret, events) | {"name": "web"}
        return self._write("add a webhook", "POST", "/hooks", body, id_of)

    def change_hook(self, hook_id: int, url: str, *, secret: str, events: Sequence[str]) -> None:
        """Make a webhook what `add_hook` would have made, with this secret."""
        body = hook_body(url, secret, events)
        self._write("change a webhook", "PATCH", f"/hooks/{hook_id:d}", body, id_of)
