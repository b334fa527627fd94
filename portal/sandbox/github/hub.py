"""The state of the one repository that the GitHub stand-in keeps, and how it is changed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import events, front, pulls, state
from .git import Git
from .git_objects import Person
from .hooks import Hooks
from .state import PORTAL_APP, Viewer, stamp


class Hub:
    """State of one repository `owner/name`, kept under `directory`.

    `token` speaks for the portal's GitHub App, which every protection binds; `admin_token` for an
    administrator, whom a protection without `enforce_admins` does not. `on_push` listeners are
    called with (branch, before, after) after any movement of a branch; before or after is empty
    when it was made or deleted.

    Switches: `lazy_mergeable`: as on GitHub, the first look at a pull request after a change
    answers
    `mergeable: null`. `checks_readable` False: check runs are refused, as they are to a
    fine-grained token.
    `rules_readable` False: classic protections are shown only to those who administer the
    repository.
    `most_statuses`: how many a commit takes of one context. `slow_statuses`: how many merges more
    are refused as if the newest status had not arrived yet.
    """

    def __init__(
        self,
        directory: Path,
        *,
        owner: str,
        name: str,
        token: str = "sandbox-github-token",  # noqa: S107  (opens nothing but this sandbox)
        admin_token: str = "sandbox-admin-token",  # noqa: S107
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        lazy_mergeable: bool = True,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.owner, self.name, self.clock = directory, owner, name, clock
        self.url = "http://127.0.0.1"
        self.git = Git(directory / "repository.git")
        self.state = state.load(directory / "github.json", clock())
        self.name = self.state["name"] or name
        self.hooks = Hooks(directory / "deliveries", clock)
        self.on_push: list[Callable[[str, str, str], None]] = []
        self.on_pull: list[
            Callable[[dict[str, Any]], None]
        ] = []  # each is told of a row that was opened or closed
        self.lazy_mergeable, self.checks_readable = lazy_mergeable, True
        self.rules_readable = True
        self.most_statuses = 1000
        self.slow_statuses = 0
        hour = timedelta(hours=1)
        self.rate = {kind: front.Rate(5000, 0, clock() + hour) for kind in ("core", "graphql")}
        self.expiries: dict[str, datetime] = {}  # of fine-grained tokens, in UTC
        self.tokens = {
            token: Viewer(f"{PORTAL_APP.slug}[bot]", PORTAL_APP.id),
            admin_token: Viewer(owner, admin=True),
        }
        self._lock = threading.RLock()
        self._moves: list[tuple[str, str, str]] = []
        self._asked: set[tuple[str, str]] = set()
        self._reckoned: set[tuple[str, str]] = set()
        self._begun = False
        self._open_pulls = {row["number"] for row in self.state["pulls"] if row["state"] == "open"}

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def api(self) -> str:
        return f"{self.url}/repos/{self.full_name}"

    @property
    def web(self) -> str:
        return f"{self.url}/{self.full_name}"

    @property
    def repository_id(self) -> int:
        return state.login_id(self.full_name)

    def new_id(self) -> int:
        self.state["next_id"] += 1
        return self.state["next_id"]

    def person(self, login: str) -> Person:
        return Person(login, f"{login}@users.noreply.github.com", self.clock())

    def login_of(self, email: str) -> str:
        return "web-flow" if email == "noreply@github.com" else email.split("@")[0] or "ghost"

    def has_expired(self, token: str) -> bool:
        return self.expiries.get(token, datetime.max.replace(tzinfo=UTC)) <= self.clock()

    def heads(self) -> dict[str, str]:
        """Return every branch and the commit it points at now."""
        return self.git.heads()

    def save(self) -> None:
        state.save(self.directory / "github.json", self.state)

    @contextmanager
    def change(self, viewer: Viewer | None = None) -> Iterator[Viewer]:
        """Run a change alone, then bring everything in step with where the branches are, and keep
        it.
        """
        with self._lock:
            self._begin()
            yield (by := viewer or Viewer(self.owner, admin=True))
            self._settle(by)
        self._tell()

    def _begin(self) -> None:
        """Once: catches up with what happened to the branches while nobody watched."""
        if not self._begun:
            self._begun = True
            self._settle(Viewer(self.owner))

    def _settle(self, viewer: Viewer) -> None:
        known, now = self.state["heads"], self.git.heads()
        moved = [b for b in sorted({*known, *now}) if known.get(b) != now.get(b)]
        self.state["heads"] = now
        for branch in moved:
            before, after = known.get(branch), now.get(branch)
            self.state["pushed_at"] = stamp(self.clock())
            events.pushed(self, branch, before, after, viewer)
            pulls.follow(self, branch, before, after, viewer)
            self._moves.append((branch, before or "", after or ""))
        self.save()

    def _tell(self) -> None:
        """Call the listeners, without the lock: they may call back."""
        with self._lock:
            moves, self._moves = self._moves, []
        for move in moves:
            for listener in self.on_push:
                listener(*move)
        self._tell_pulls()

    def _tell_pulls(self) -> None:
        """Call the listeners to pull requests for each that was opened or closed since the last
        change.
        """
        with self._lock:
            rows = {row["number"]: dict(row) for row in self.state["pulls"]}
            now = {number for number, row in rows.items() if row["state"] == "open"}
            before, self._open_pulls = self._open_pulls, now
        for number in sorted(now ^ before):
            for listener in self.on_pull:
                listener(rows[number])

    def reckoned(self, base: str, head: str, *, ask: bool = True) -> bool:
        """Return whether mergeability of this pair is known; if not, asking makes the next request
        know it.
        """
        if ask:
            self._asked.add((base, head))
        return not self.lazy_mergeable or (base, head) in self._reckoned

    def pull_event(self, action: str, pull: dict[str, Any], viewer: Viewer, **more: Any) -> None:
        events.pull_request(self, action, pull, viewer, **more)

    def set_settings(self, **settings: bool) -> None:
        """Set how the repository merges: `allow_merge_commit`, …, `delete_branch_on_merge`."""
        with self.change():
            self.state["settings"] |= settings

    def rename(self, name: str) -> None:
        """Call the repository `name` from now on; under the old name it redirects."""
        if name == self.name:
            return
        with self.change():
            old = [
                old
                for old in self.state["old_names"]
                if old.lower() != f"{self.owner}/{name}".lower()
            ]
            self.state["old_names"] = [*old, self.full_name]
            self.name = self.state["name"] = name
