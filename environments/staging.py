"""Staging equal to main again: the one place that knows how, for the promotion, the button and the command."""

import re
from dataclasses import dataclass

from environments.git import Commit, GitError
from environments.github import GitHub
from environments.mirrors import mirror_of
from environments.models import Project
from portal.http import ApiError
from portal.outside import text

EQUAL, MOVED, UNSURE, NOT_READY, DIVERGED = "equal", "moved", "unsure", "not_ready", "diverged"
NAMED = 5
_PULL_IN_TITLE = re.compile(r"\(#\d{1,9}\)$")


@dataclass(frozen=True)
class Levelled:
    """How staging stood to main, and what was done about it.

    `state`: EQUAL; MOVED (just fast-forwarded: look again); UNSURE (look again in a while); NOT_READY (main is
    behind); DIVERGED, where `lacking` names commits of main that staging has not: label, what was said, link.
    """

    state: str
    sentence: str
    lacking: tuple[dict[str, str], ...] = ()


def level(project: Project) -> Levelled:
    """One look at both branches and at most one fast-forward of staging, never by force. Raises `ApiError`."""
    github, staging, main = GitHub(project.repository), project.staging_branch, project.production_branch
    compared = github.compare(staging, main)
    ahead, behind = compared.ahead_by, compared.behind_by
    if compared.status == "identical":
        return Levelled(EQUAL, f"{staging} equals {main} at {(github.branch_head(main) or '')[:7]}.")
    if ahead and behind:
        return _diverged(project, behind)
    if behind:
        said = f"{main} is {_commits(behind)} behind {staging}: not ready, promote first."
        return Levelled(NOT_READY, said)
    head = github.branch_head(main)
    if head is None or not ahead:
        return Levelled(UNSURE, f"GitHub does not say how {main} stands to {staging}: looking again.")
    try:
        github.fast_forward(staging, head)
    except ApiError as error:
        if error.kind not in ("conflict", "unknown_outcome", "unavailable"):
            raise
        return Levelled(UNSURE, f"{error.sentence} Looking whether {staging} moved.")
    return Levelled(MOVED, f"{staging} moved to {head[:7]}; Railway deploys staging anew, as it should.")


def _diverged(project: Project, behind: int) -> Levelled:
    staging, main = project.staging_branch, project.production_branch
    said = f"{staging} has {_commits(behind)} that {main} lacks, so it cannot be fast-forwarded."
    try:
        named = _lacking(project)
    except (ApiError, GitError) as error:
        return Levelled(DIVERGED, f"{said} What {main} has beyond it could not be read: {error}")
    listed = ", ".join(f"{one['label']} “{one['said']}”" for one in named[:NAMED])
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return Levelled(DIVERGED, f"{said} {main} has, and {staging} lacks: {listed}{more}.", named)


def _lacking(project: Project) -> tuple[dict[str, str], ...]:
    """Squash and hotfix commits of main that staging lacks; where there are none, the merge commits."""
    mirror = mirror_of(project)
    mirror.fetch()
    commits = mirror.commits(project.staging_branch, project.production_branch, limit=100)
    single = [one for one in commits if len(one.parents) < 2]
    return tuple(
        {"label": f"{_kind(one)} {one.sha[:7]}", "said": text(one.title, 120), "sha": one.sha}
        for one in single or commits
    )


def _kind(commit: Commit) -> str:
    if len(commit.parents) > 1:
        return "merge"
    return "squash" if _PULL_IN_TITLE.search(commit.title) else "hotfix"


def _commits(count: int) -> str:
    return f"{count} commit{'s' if count != 1 else ''}"
