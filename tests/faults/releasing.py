"""People at work while things break: they cut, tick, promote and repair release after release."""

import itertools
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from portal.sandbox import sample

ROWS = (
    "create table if not exists applied (revision text, at timestamptz default clock_timestamp())"
)


@dataclass
class People:
    """Alice ships one release after another; `repairs` counts how often a person was asked and
    tried again.
    """

    world: Any
    seconds: float = 240.0
    repairs: int = 0
    wrong: list[str] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    _number: Any = field(default_factory=lambda: itertools.count(1))
    _down: str = "6f8b0d2e4a56"

    @property
    def alice(self) -> Any:
        return self.world.person("alice")

    def ship(self) -> None:
        """One release with one more migration, from the push to done; a person repairs what
        stops.
        """
        from portal.ui.actions import Refused
        from releases.lifecycle import actions as lifecycle_actions

        self._push()
        self._wait(lambda: self._branches_differ(), "the push to be seen")
        cut: list[Any] = []

        def is_cut() -> bool:
            with suppress(Refused):  # the branches are still being compared
                cut.append(lifecycle_actions.cut(self.world.project, actor=self.alice))
            return bool(cut)

        self._wait(is_cut, "the release to be created")
        release = cut[0]
        self._migrated_staging(release)
        self._promoted(release)
        self._done(release)
        self._look_at_truth(release)
        self.released.append(release.pk)

    def _push(self) -> None:
        number = next(self._number)
        revision = f"fa{number:010d}"
        body = (
            f'op.execute("{ROWS}")\n    op.execute("select'
            f' pg_sleep({random.choice((0, 0.1, 0.3))})")\n'
        )
        body += f'    op.create_table("t{number}", sa.Column("id", sa.Integer))\n'
        body += f"    op.execute(\"insert into applied values ('{revision}')\")"
        files = sample.migration(revision, self._down, f"step {number}", body, "pass")
        self._down = revision
        head = self.world.github.push_commit("staging", files, f"Step {number}")
        self.world.github.set_check(head, sample.CI)

    def _branches_differ(self) -> bool:
        known = dict(self.world.project.branches.values_list("name", "head"))
        head = self.world.github.heads()
        return all(known.get(name) == head[name] for name in ("staging", "main"))

    def _migrated_staging(self, release: Any) -> None:
        from portal.ui.actions import Refused
        from releases.lifecycle import actions as lifecycle_actions

        while True:
            self._wait(lambda: self._collected(release), "the release to be collected")
            try:
                run = lifecycle_actions.migrate_staging(release, actor=self.alice)
            except Refused:
                time.sleep(0.2)
                continue
            self._wait(lambda run=run: not _fresh(run).is_open, "staging's migration to end")
            if run.status == "succeeded":
                return
            self.repairs += 1

    def _collected(self, release: Any) -> bool:
        _fresh(release)
        return release.collected == release.candidate and release.pull_number is not None

    def _promoted(self, release: Any) -> None:
        from portal.ui.actions import Refused
        from releases.checklist import actions as checklist_actions
        from releases.promotion import actions as promotion_actions

        for item in release.items.filter(phase="before", gate=""):
            checklist_actions.tick(item, actor=self.alice)

        def tried() -> bool:
            try:
                promotion_actions.promote(release, actor=self.alice)
            except Refused:
                time.sleep(0.1)
                return False
            return True

        self._wait(tried, "the gates to be green")
        self._wait(lambda: self._beyond(release), "the promotion to end")

    def _beyond(self, release: Any) -> bool:
        """Whether all steps are done; a step that stopped at a person is looked at and tried
        again.
        """
        from releases.promotion import actions as promotion_actions

        if _fresh(release).status == "verifying":
            return True
        if release.promotions.filter(status__in=["failed", "needs_person"]).exists():
            self.repairs += 1
            promotion_actions.retry_step(release, actor=self.alice)
        return False

    def _done(self, release: Any) -> None:
        from releases.checklist import actions as checklist_actions

        for item in release.items.filter(phase="after", gate=""):
            checklist_actions.tick(item, actor=self.alice)
        self._wait(
            lambda: _fresh(release).status == "done", "everything after the promotion to be green"
        )

    def _look_at_truth(self, release: Any) -> None:
        """A release that is shown done must be so: in git, in both databases, on every service."""
        heads = self.world.github.heads()
        if not heads["main"] == heads["staging"] == release.merge_commit:
            self.wrong.append(
                f"{release}: main is at {heads['main'][:7]}, shown {release.merge_commit[:7]}"
            )
        for kind in ("staging", "production"):
            if self.world.revisions(kind) != sorted(release.heads):
                self.wrong.append(f"{release}: {kind} is at {self.world.revisions(kind)}")
        for service in ("backend", "frontend"):
            row = self.world.railway.latest(service, "production")
            if row["status"] != "SUCCESS" or row["meta"]["commitHash"] != release.merge_commit:
                self.wrong.append(
                    f"{release}: {service} is {row['status']} at {row['meta']['commitHash'][:7]}"
                )

    def _wait(self, until: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self.seconds
        while not until():
            if time.monotonic() > deadline:
                raise AssertionError(f"Waited {self.seconds:.0f} s for {what}. {self.world.told()}")
            time.sleep(0.05)


def _fresh(row: Any) -> Any:
    row.refresh_from_db()
    return row
