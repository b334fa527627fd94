"""The fast-forward of staging to main. The promotion, the button and the command all call it."""

import re
from dataclasses import dataclass

from environments.clients import github_of, withhold
from environments.git.calls import GitError
from environments.git.reading import Commit
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.github import GitHub, PullState
from environments.models import Project
from portal.outbound.http import ApiError
from portal.outbound.parsing import text

EQUAL, MOVED, UNSURE, NOT_READY, DIVERGED = "equal", "moved", "unsure", "not_ready", "diverged"
NAMED = 5
_PULL_IN_TITLE = re.compile(r"\(#\d{1,9}\)$")


@dataclass(frozen=True)
class SyncResult:
    """How staging stood to main, and what was done about it.

    `state`: EQUAL; MOVED (just fast-forwarded: look again); UNSURE (look again in a while);
    NOT_READY (main is behind); DIVERGED, where `lacking` names commits of main that staging has
    not: label, what was said, link.
    `same_files` then holds the heads of staging and main when both hold exactly the same files:
    only such a staging can be reset.
    """

    state: str
    sentence: str
    lacking: tuple[dict[str, str], ...] = ()
    same_files: tuple[str, str] | None = None


def level(project: Project) -> SyncResult:
    """Look once at both branches and at most one fast-forward of staging, never by force.

    Raise `ApiError`.
    """
    github, staging, main = (github_of(project), project.staging_branch, project.production_branch)
    compared = github.compare(staging, main)
    ahead, behind = compared.ahead_by, compared.behind_by
    if compared.status == "identical":
        return SyncResult(
            EQUAL, f"{staging} equals {main} at {(github.branch_head(main) or '')[:7]}."
        )
    if ahead and behind:
        return _diverged(project, behind)
    if behind:
        message = f"{main} is {_commits(behind)} behind {staging}: not ready. Promote first."
        return SyncResult(NOT_READY, message)
    head = github.branch_head(main)
    if head is None or not ahead:
        return SyncResult(
            UNSURE, f"GitHub does not show how {main} compares with {staging}. Checking again…"
        )
    try:
        github.fast_forward(staging, head)
    except ApiError as error:
        if error.kind not in ("conflict", "unknown_outcome", "unavailable"):
            raise
        return SyncResult(UNSURE, f"{error.sentence} Checking whether {staging} moved…")
    return SyncResult(MOVED, f"{staging} moved to {head[:7]}; Railway redeploys staging.")


def find_back_merge(project: Project, github: GitHub) -> PullState | None:
    """Return the open pull request that merges main back into staging."""
    return github.find_pull(head=project.production_branch, base=project.staging_branch)


def open_back_merge(project: Project, github: GitHub) -> PullState:
    """Open that pull request, or find the one that somebody has just opened.

    Raise `ApiError`.
    """
    main, target = project.production_branch, project.staging_branch
    body = (
        f"Brings into {target} what reached {main} without passing through it. Merge it with a"
        " merge commit."
    )
    return github.open_pull(
        head=main, base=target, title=f"Merge {main} back into {target}", body=body
    )


def _diverged(project: Project, behind: int) -> SyncResult:
    staging, main = project.staging_branch, project.production_branch
    message = f"{staging} has {_commits(behind)} that {main} lacks, so it cannot be fast-forwarded."
    try:
        mirror = mirror_of(project)
        mirror.fetch()
        named, same = _lacking(project, mirror), _same_files(project, mirror)
    except (ApiError, GitError) as error:
        return SyncResult(
            DIVERGED, f"{message} The commits only on {main} could not be read: {error}"
        )
    listed = ", ".join(f"{commit['label']} “{commit['said']}”" for commit in named[:NAMED])
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    both = " Both contain the same files." if same else ""
    return SyncResult(
        DIVERGED,
        f"{message} Commits of {main} missing in {staging}: {listed}{more}.{both}",
        named,
        same,
    )


def _same_files(project: Project, mirror: Mirror) -> tuple[str, str] | None:
    """Return the heads of staging and main if their trees are identical."""
    staging, main = mirror.commit(project.staging_branch), mirror.commit(project.production_branch)
    return (staging, main) if mirror.same_tree(staging, main) else None


@dataclass(frozen=True)
class Reset:
    """What came of one look at a reset: `done` True, False (refused, nothing was done) or None
    (look again).
    """

    done: bool | None
    sentence: str


def look_at_reset(project: Project, staging_head: str, main_head: str) -> Reset | None:
    """Return how staging stands to a reset that two people signed for exactly these heads; None: it
    may be carried out now.

    The heads are read last, immediately before the caller writes. Raise `ApiError` and `GitError`.
    """
    github, staging, main = (github_of(project), project.staging_branch, project.production_branch)
    mirror = mirror_of(project)
    mirror.fetch()
    known = mirror.has(staging_head) and mirror.has(main_head)
    if not known or not mirror.same_tree(staging_head, main_head):
        return Reset(
            False, f"{staging} and {main} do not contain the same files, so {staging} is not reset."
        )
    now_main, now_staging = github.branch_head(main), github.branch_head(staging)
    if now_staging == main_head:
        message = f"{staging} is at {main_head[:7]}, as {main} was; Railway redeploys staging."
        return Reset(True, message)
    for name, was, is_ in ((staging, staging_head, now_staging), (main, main_head, now_main)):
        if is_ != was:
            gone = (
                f"{name} moved from {was[:7]} to {(is_ or 'nowhere')[:7]} since the reset was"
                " signed"
            )
            return Reset(False, f"{gone}. Nothing was done. Sync staging again to compare them.")
    return None


def reset(project: Project, staging_head: str, main_head: str) -> None:
    """Set staging to main by force, but only while it is still at `staging_head`.

    Raise `ApiError`, `GitError`.
    """
    staging = project.staging_branch
    moved = {"branch": staging, "from": staging_head, "to": main_head}
    withhold(project, "git", f"set {staging} to {main_head[:7]} by force", moved)
    mirror_of(project).push_with_lease(project.staging_branch, main_head, expected=staging_head)


def _lacking(project: Project, mirror: Mirror) -> tuple[dict[str, str], ...]:
    """Squash and hotfix commits of main that staging lacks; where there are none, the merge
    commits.
    """
    commits = mirror.commits(project.staging_branch, project.production_branch, limit=100)
    single = [commit for commit in commits if len(commit.parents) < 2]
    return tuple(
        {
            "label": f"{_kind(commit)} {commit.sha[:7]}",
            "said": text(commit.title, 120),
            "sha": commit.sha,
        }
        for commit in single or commits
    )


def _kind(commit: Commit) -> str:
    if len(commit.parents) > 1:
        return "merge"
    return "squash" if _PULL_IN_TITLE.search(commit.title) else "hotfix"


def _commits(count: int) -> str:
    return f"{count} commit{'s' if count != 1 else ''}"
