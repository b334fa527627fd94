"""How staging and main differ: as GitHub or git says, once per pair of heads."""

from dataclasses import asdict, dataclass
from typing import Self

from environments.git.calls import GitError
from environments.git_mirrors.clone import mirror_of
from environments.github import Overview
from portal.outbound.http import ApiError
from releases.models.pull_requests import GitHubSync

COUNTED = 1000


@dataclass(frozen=True)
class Relation:
    """Staging beside main: commits that only one has, and whether both hold the same files."""

    staging: str
    main: str
    ahead: int = 0
    behind: int = 0
    same_files: bool = False

    @property
    def diverged(self) -> bool:
        """Whether each has commits that the other lacks."""
        return self.ahead > 0 and self.behind > 0

    @property
    def brings(self) -> bool:
        """Whether a release of staging would bring any content to main."""
        return self.ahead > 0 and not self.same_files

    def words(self, staging: str, main: str) -> str:
        """Return how `staging` stands to `main`, in words."""
        if self.staging == self.main:
            return f"{staging} equals {main}"
        if self.same_files:
            return f"{staging} and {main} hold the same files"
        if self.diverged:
            ours, theirs = _commits(self.ahead), _commits(self.behind)
            return f"diverged from {main}: {ours} ahead, {theirs} behind"
        if self.ahead:
            return f"{_commits(self.ahead)} ahead of {main}"
        return f"{_commits(self.behind)} behind {main}"

    @classmethod
    def of(cls, kept: dict[str, object], staging: str, main: str) -> Self | None:
        """Return what was kept, if it is about these two heads; None: not read yet."""
        if staging and staging == main:
            return cls(staging, main, same_files=True)
        if (kept.get("staging"), kept.get("main")) != (staging, main) or not staging:
            return None
        counts = [kept.get(name) for name in ("ahead", "behind")]
        ahead, behind = (count if isinstance(count, int) else 0 for count in counts)
        return cls(staging, main, ahead, behind, kept.get("same_files") is True)


def settle(job: GitHubSync, overview: Overview) -> None:
    """Keep the relation of these heads where it is not known yet; git's trouble waits."""
    staging, main = overview.staging_head, overview.production_head
    if not staging or not main or Relation.of(job.relation, staging, main):
        return
    if comparison := overview.comparison:
        relation = Relation(
            staging, main, comparison.ahead, comparison.behind, comparison.same_files
        )
    else:
        try:
            relation = _by_git(job, staging, main)
        except (ApiError, GitError):
            return
    job.relation = asdict(relation)
    GitHubSync.objects.filter(pk=job.pk).update(relation=job.relation)


def _by_git(job: GitHubSync, staging: str, main: str) -> Relation:
    """Return the relation as git has it, up to a thousand commits. Raise `ApiError`, `GitError`."""
    mirror = mirror_of(job.project)
    mirror.fetch()
    return Relation(
        staging,
        main,
        ahead=len(mirror.commits(main, staging, limit=COUNTED)),
        behind=len(mirror.commits(staging, main, limit=COUNTED)),
        same_files=mirror.same_tree(staging, main),
    )


def _commits(count: int) -> str:
    return f"{count} commit{'' if count == 1 else 's'}"
