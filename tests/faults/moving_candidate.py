"""Moves the candidate between any two things people do, and looks at what was merged and migrated.

Run by `make faults`, or with a count: `python -m tests.faults.moving_candidate 500`. Each
interleaving mixes views, ticks, an approval, accepted risks, promotions, pushes to staging and
edits of the release's own revision file in a random order; every revision file brings a risk that
an approver has to accept. Ends with 1 when a commit was merged, or a revision file run in
production, that was not what people had signed, with another content than was accepted.
"""

import hashlib
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from portal.sandbox import sample
from tests.faults.scene import lift_allowances, world_of_its_own
from tests.scratch import scratch_database

MOVES = (
    "view",
    "view",
    "tick",
    "approve",
    "accept",
    "promote",
    "push",
    "edit",
    "sync",
    "migrate",
    "work",
)
A_WORLD = (
    25  # interleavings in one world: its branch, and with it each reading, grows with every one
)


@dataclass
class Play:
    """One world in which release after release is prepared while its candidate moves."""

    world: Any
    dice: random.Random
    number: int = 0
    down: str = "6f8b0d2e4a56"
    seen: dict[str, str] = field(default_factory=dict)
    signed: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[tuple[str, str]]] = field(
        default_factory=dict
    )  # as the page of each person named them
    accepted: set[tuple[str, str]] = field(
        default_factory=set
    )  # revision and hash, by what people sent
    did: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)
    merged: set[str] = field(default_factory=set)

    def interleave(self) -> None:
        """Lets everything happen in a random order, and then mostly what is missing for a
        promotion.
        """
        from releases.models.releases import Release

        if not Release.objects.filter(status__in=["open", "promoting"]).exists():
            self._cut()
        moves = list(MOVES)
        self.dice.shuffle(moves)
        for move in moves:
            if self.dice.random() < 0.6:
                self._do(move)
        look = self.dice.choice(
            ("read", "view")
        )  # half the time one of them still has the old page
        for move in (
            "fix",
            "sync",
            look,
            "tick",
            "approve",
            "accept",
            "migrate",
            "look",
            "promote",
            "work",
        ):
            if self.dice.random() < 0.95:
                self._do(move)
            if self.dice.random() < 0.02:
                self._do(self.dice.choice(("push", "edit")))
        self._end()

    def _cut(self) -> None:
        from releases.lifecycle import actions as lifecycle_actions

        self._put_back()
        self._write(f"fa{self.number:010d}")
        self._look()
        self.release = lifecycle_actions.cut(self.world.project, actor=self.world.person("alice"))
        self.seen, self.signed, self.files = {}, {}, {}
        self._sync()
        self._sync()  # the first opened the pull request, this one sees it

    def _put_back(self) -> None:
        """A file that was edited after it was shipped would keep every later release from going
        out.
        """
        git = self.world.github.git
        for path in git.text(
            "diff", "--name-only", "--diff-filter=M", "main...staging", "--", "*/versions/*"
        ).split():
            shipped = git.text("show", f"main:{path}")
            head = self.world.github.push_commit("staging", {path: shipped}, "Put it back")
            self.world.github.set_check(head, sample.CI)

    def _do(self, move: str) -> None:
        from portal.ui.actions import Refused

        try:
            getattr(self, f"_{move}")()
        except Refused as refusal:
            self.did[f"{move} refused"] += 1
            self.why[str(refusal).split(":")[0][:60]] += 1
        else:
            self.did[move] += 1

    # -- what people do, from the page they have before them

    def _view(self) -> None:
        self.release.refresh_from_db()
        opened = self.dice.choice(("alice", "bob"))
        for name in ("alice", "bob"):
            if name == opened or name not in self.seen:
                self._open(name)

    def _open(self, name: str) -> None:
        self.seen[name] = self.release.candidate
        self.files[name] = [
            (migration["id"], migration["sha256"]) for migration in self.release.migrations
        ]

    def _read(self) -> None:
        """Both open the page anew."""
        self.release.refresh_from_db()
        for name in ("alice", "bob"):
            self._open(name)

    def _tick(self) -> None:
        from releases.checklist import actions as checklist_actions

        for item in self.release.items.filter(phase="before", gate=""):
            checklist_actions.tick(
                item, actor=self.world.person("alice"), candidate=self._page_of("alice")
            )
        self.signed["tick"] = self.seen["alice"]

    def _approve(self) -> None:
        from releases.approvals import actions as approvals_actions

        approvals_actions.approve(
            self.release, actor=self.world.person("bob"), candidate=self._page_of("bob")
        )
        self.signed["approve"] = self.seen["bob"]

    def _accept(self) -> None:
        """Bob accepts the risks of each file as his page shows it, also where the file has
        changed since.
        """
        from portal.ui.actions import Refused
        from releases.approvals import actions as approvals_actions

        self._page_of("bob")
        for revision, sha256 in self.files["bob"]:
            message = {"revision": revision, "sha256": sha256, "reason": "looked at it"}
            try:
                approvals_actions.accept_risk(
                    self.release, actor=self.world.person("bob"), **message
                )
            except Refused as refusal:
                self.did["risk refused"] += 1
                self.why[str(refusal).split(":")[0][:60]] += 1
            else:
                self.accepted.add((revision, sha256))
                self.did["risk accepted"] += 1

    def _promote(self) -> None:
        from releases.promotion import actions as promotion_actions

        promotion_actions.promote(
            self.release, actor=self.world.person("alice"), candidate=self._page_of("alice")
        )
        self.signed["promote"] = self.seen["alice"]

    def _page_of(self, name: str) -> str:
        if name not in self.seen:
            self._view()
        return self.seen[name]

    def _migrate(self) -> None:
        from releases.lifecycle import actions as lifecycle_actions

        run = lifecycle_actions.migrate_staging(self.release, actor=self.world.person("alice"))
        self._run(run)

    # -- what happens around them

    def _push(self) -> None:
        head = self.world.github.push_commit(
            "staging", {"frontend/next.txt": str(self.dice.random())}, "Next"
        )
        self.world.github.set_check(head, sample.CI)

    def _edit(self) -> None:
        self._write(self.down, self.dice.random())

    def _fix(self) -> None:
        """Puts the file back as it was first: what staging ran once must not be edited."""
        self._write(self.down, 0)

    def _write(self, revision: str, content: float = 0) -> None:
        """Writes the release's revision file, new or with another content than before."""
        new = revision != self.down
        self._below = self.down if new else self._below
        body = f'op.execute("select {content}")'
        head = self.world.github.push_commit(
            "staging", sample.migration(revision, self._below, "step", body, "pass"), "Step"
        )
        self.world.github.set_check(head, sample.CI)
        self.down = revision
        self.number += new

    def _sync(self) -> None:
        """A reading of GitHub, and what the release needs after it."""
        from releases.models.pull_requests import GitHubSync
        from releases.models.reconciler import ReleaseReconciler
        from tests.factory import make_plan_row

        self._run(GitHubSync.objects.get(project=self.world.project))
        if hasattr(self, "release"):
            self._run(ReleaseReconciler.objects.get(release=self.release))
            self.release.refresh_from_db()
            # What the files do is not what this is about, but each of them has to be accepted.
            make_plan_row(
                self.release, risks=[_risk(migration) for migration in self.release.migrations]
            )

    def _look(self) -> None:
        """A reading of every source that a project has."""
        from portal.jobs import job_models

        for model in job_models():
            if model.retry_forever and hasattr(model, "project"):
                for job in model.objects.filter(project=self.world.project):
                    self._run(job)

    def _work(self) -> None:
        """Some looks of the promotion, as the worker makes them."""
        from portal.jobs import OPEN

        for promotion in self.release.promotions.filter(status__in=OPEN):
            for _ in range(self.dice.choice((1, 2, 6))):
                self._run(promotion)
                self._check()

    def _run(self, job: Any) -> None:
        """Wakes one job now; its lease and its waiting time are over."""
        from django.utils import timezone

        from portal.jobs import running

        type(job).objects.filter(pk=job.pk).update(wake_at=timezone.now(), lease_until=None)
        running.wake(job._meta.label, job.pk)

    # -- what must never be

    def _check(self) -> None:
        """The moment something was merged, it must be what each signature is under."""
        self.release.refresh_from_db()
        merged = self.world.sent("PUT", f"/pulls/{self.release.pull_number}/merge")
        pull = next(
            one
            for one in self.world.github.state["pulls"]
            if one["number"] == self.release.pull_number
        )
        if not merged or not pull.get("merge_commit_sha") or pull["state"] != "closed":
            return
        head = self.world.github.git.commit(pull["merge_commit_sha"]).parents[1]
        wanted = {"tick", "approve", "promote"}
        if self.signed.keys() < wanted or {self.signed[one] for one in wanted} != {head}:
            self.wrong.append(f"{self.release}: {head[:7]} was merged, signed were {self.signed}")
        if head not in self.merged:
            self.wrong += self._not_accepted(head)
        self.merged.add(head)
        self.did["merged"] = len(self.merged)

    def _not_accepted(self, head: str) -> list[str]:
        """The revision files that git has at `head`, and not at main before it, whose content
        nobody accepted.
        """
        git = self.world.github.git
        added = git.text("diff", "--name-only", f"{self.release.base}..{head}").split()
        found = []
        for path in (one for one in added if "/versions/" in one):
            content = subprocess.run(
                ["git", "-C", str(self.world.repository), "show", f"{head}:{path}"],
                capture_output=True,
                check=True,
            ).stdout
            if hashlib.sha256(content).hexdigest() not in {sha256 for _, sha256 in self.accepted}:
                found.append(
                    f"{self.release}: {path} was merged with a content whose risks nobody accepted"
                )
        return found

    def _end(self) -> None:
        """Sees a merged release into production's database; a promotion that did not merge is
        given up.
        """
        from portal.ui.actions import Refused
        from releases.models.promotion import Promotion
        from releases.models.releases import Release
        from releases.promotion import actions as promotion_actions

        self.release.refresh_from_db()
        if self.release.merge_commit:
            self._migrated()
            Promotion.objects.filter(release=self.release).update(status="cancelled")
            Release.objects.filter(pk=self.release.pk).update(status="abandoned")
            self.release.reconciler.delete()
        elif self.release.status == "promoting":
            Promotion.objects.filter(release=self.release, status="waiting").update(status="failed")
            try:
                promotion_actions.abandon_promotion(
                    self.release, actor=self.world.person("alice"), reason="it moved"
                )
            except Refused:
                self.did["promotion could not be given up"] += 1

    def _migrated(self) -> None:
        """Brings production to the merge commit: either its files are those that staging ran, or
        nothing runs.
        """
        from environments.databases.actions import start_migration
        from environments.models import Environment, MigrationRun
        from portal.jobs import OPEN

        production = Environment.objects.get(project=self.world.project, kind="production")
        run = MigrationRun.objects.filter(environment=production, status__in=OPEN).first()
        run = run or start_migration(
            production,
            database=production.project.databases.get(),
            actor=None,
            commit=self.release.merge_commit,
        )
        self._run(run)
        run.refresh_from_db()
        signed = {migration["id"]: migration["sha256"] for migration in self.release.migrations}
        foreign = [
            one["id"]
            for one in run.planned
            if signed.get(one["id"], one["sha256"]) != one["sha256"]
        ]
        if run.status == "succeeded" and foreign:
            self.wrong.append(
                f"{self.release}: production ran {foreign} with another content than signed"
            )
        done = {one[0] for one in run.applied}
        loose = [
            one["id"] for one in run.planned if (one["id"], one["sha256"]) not in self.accepted
        ]
        self.wrong += [
            f"{self.release}: production ran {one} unaccepted" for one in loose if one in done
        ]
        self.wrong += [f"{self.release}: {one}" for one in self._unproven(run)]
        self.did[f"production migration {run.status}"] += 1

    def _unproven(self, run: Any) -> list[str]:
        """Files that production ran and staging never did, by what staging's own runs executed."""
        from environments.models import MigrationRun

        staged = MigrationRun.objects.filter(environment__kind="staging", status="succeeded")
        ran = {(one["id"], one["sha256"]) for each in staged for one in each.planned}
        before = {"5e7a9c1d3f45", "6f8b0d2e4a56"}  # the sample's own
        done = {one[0] for one in run.applied}
        return [
            f"production ran {one['id']} as staging never did"
            for one in run.planned
            if one["id"] in done - before and (one["id"], one["sha256"]) not in ran
        ]


def _risk(file: dict[str, str]) -> dict[str, Any]:
    from dataclasses import asdict

    from environments.schema.plan.risk import Risk

    return asdict(
        Risk("rename", "danger", file["id"], file["sha256"], "Renames something in events.")
    )


def play(world: Any, times: int, seed: int) -> Play:
    """`times` interleavings in one world."""
    world.project.required_approvals = 1
    world.project.save()
    stage = Play(world, random.Random(seed))
    for _ in range(times):
        stage.interleave()
    return stage


def main(times: int = 500, seed: int = 20261) -> int:
    """Prints what happened how often; 0 when nothing unsigned was merged or run."""
    started = time.monotonic()
    did, why, wrong = Counter[str](), Counter[str](), list[str]()
    for first in range(0, times, A_WORLD):
        with scratch_database(), world_of_its_own() as world:
            lift_allowances(world)
            stage = play(world, min(A_WORLD, times - first), seed + first)
        did, why, wrong = did + stage.did, why + stage.why, wrong + stage.wrong
        message = (
            f"  {min(first + A_WORLD, times)} of {times}, {did['merged']} merges, {len(wrong)}"
            " wrong"
        )
        print(f"{message}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(
        f"{times} interleavings of people, pushes and edits (seed {seed}),"
        f" {time.monotonic() - started:.0f} s"
    )
    for what, count in sorted(did.items()):
        print(f"  {count:5}  {what}")
    print(
        "  refused most: "
        + " · ".join(f"{count} × {message}" for message, count in why.most_common(6))
    )
    print(f"  {len(wrong):5}  merges or migrations of what nobody signed")
    for line in wrong[:10]:
        print(f"         {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
