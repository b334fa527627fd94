"""The state after a rollback: production serves one commit, its branch holds another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.db.models import F, QuerySet

from environments.models import Repair, RepairKind
from environments.services.liveness import Live
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
        commits, files = self.release.commit_count, len(self.release.migrations)
        said = f"{commits} commit{'' if commits == 1 else 's'}"
        return said + (f" and {files} migration{'' if files == 1 else 's'}" if files else "")

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
    """Return what is so if `newest`, the last release that was merged, was rolled back; else None.

    `lives`: production's services; `head`: of production's branch. Until something else is
    deployed from the branch.
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


def with_reverts(found: Sequence[RolledBack], opened: Iterable[PullRequest]) -> list[RolledBack]:
    """Return the same with the reverts that are among the `opened` pull requests, or being opened.
    One query, none for nothing.
    """
    if not found:
        return []
    projects = [one.release.project_id for one in found]
    asked = list(Repair.objects.filter(project__in=projects, kind=RepairKind.REVERT))
    return [replace(one, revert=_pull(one, opened), opening=_wish(one, asked)) for one in found]


def _pull(of: RolledBack, opened: Iterable[PullRequest]) -> PullRequest | None:
    begins, project = f"revert-{of.release.pull_number}-", of.release.project_id
    mine = (one for one in opened if one.project_id == project and one.head.startswith(begins))
    return next(mine, None)


def _wish(of: RolledBack, asked: Iterable[Repair]) -> Repair | None:
    subject, project = f"#{of.release.pull_number}", of.release.project_id
    mine = (one for one in asked if one.project_id == project and one.subject == subject)
    return next(mine, None)
