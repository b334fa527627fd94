"""The state after a rollback: production serves one commit, its branch holds another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.db.models import F, QuerySet

from environments.models import Repair, RepairKind
from environments.services.liveness import Live
from portal.words import number_of
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release, ReleaseStatus


@dataclass(frozen=True)
class RolledBack:
    """A release that production no longer runs, though production's branch still holds it."""

    release: Release
    head: str  # of production's branch
    serves: tuple[tuple[str, str], ...]  # service and commit
    revert: PullRequest | None = None  # the open pull request that takes it back
    opening: Repair | None = None  # the newest request to open one

    @property
    def served(self) -> str:
        """What production serves, in words: “backend serves abc1234”."""
        by_commit: dict[str, list[str]] = {}
        for service, commit in self.serves:
            by_commit.setdefault(commit, []).append(service)
        return " and ".join(
            f"{', '.join(names)} serve{'s' if len(names) == 1 else ''} {commit[:7] or 'nothing'}"
            for commit, names in by_commit.items()
        )

    @property
    def ships_again(self) -> str:
        """What the next push to production's branch would bring: “4 commits and 2 migrations”."""
        commits = number_of(self.release.commit_count, "commit")
        files = len(self.release.migrations)
        return f"{commits} and {number_of(files, 'migration')}" if files else commits

    @property
    def sentence(self) -> str:
        """What serves, what the branch holds, and what the next push would ship."""
        branch = self.release.project.production_branch
        return (
            f"Production: {self.served}. {branch} is at {self.head[:7]} and still holds"
            f" {self.release.name}. The next push to {branch} ships it again: {self.ships_again}."
        )

    @property
    def keep_files(self) -> str:
        """What a revert must not take along, "" where the release brought no migrations."""
        names = ", ".join(file["id"] for file in self.release.migrations)
        if not names:
            return ""
        return (
            f"The revert must keep the revision files {names}: production's database has run them,"
            " unless it was downgraded."
        )


def rolled_back(newest: Release | None, lives: Iterable[Live], head: str) -> RolledBack | None:
    """Return what is so if `newest`, the last merged release, was rolled back, until something else
    is deployed from the branch; else None.

    `lives`: production's services; `head`: of production's branch.
    """
    if newest is None or newest.status != ReleaseStatus.ROLLED_BACK or not head:
        return None
    code = [live for live in lives if live.at_commits]
    back = [live for live in code if live.instance.rolled_back_from and live.serving != head]
    if not back:
        return None
    return RolledBack(newest, head, tuple((live.service, live.serving) for live in code))


def into_production() -> QuerySet[PullRequest]:
    """Return the open pull requests straight into production."""
    return PullRequest.objects.filter(state="open", base=F("project__production_branch"))


def with_reverts(
    rolled_back: Sequence[RolledBack], opened: Iterable[PullRequest]
) -> list[RolledBack]:
    """Return the same with the reverts that are `opened`, or asked for. At most one query."""
    if not rolled_back:
        return []
    projects = [rolled.release.project_id for rolled in rolled_back]
    repairs = list(Repair.objects.filter(project__in=projects, kind=RepairKind.REVERT))
    return [_with_revert(rolled, opened, repairs) for rolled in rolled_back]


def _with_revert(
    of: RolledBack, opened: Iterable[PullRequest], repairs: Iterable[Repair]
) -> RolledBack:
    number, project = of.release.pull_number, of.release.project_id
    pulls = (pull for pull in opened if pull.head.startswith(f"revert-{number}-"))
    wishes = (repair for repair in repairs if repair.subject == f"#{number}")
    return replace(
        of,
        revert=next((pull for pull in pulls if pull.project_id == project), None),
        opening=next((wish for wish in wishes if wish.project_id == project), None),
    )
