"""Whether a release or a hotfix can be created. Each refuses before anything is written."""

from environments.models import Project
from portal.ui.actions import Refused
from releases.github_mirror.relation import Relation
from releases.models.pull_requests import GitHubSync, PullRequest


def brings_something(project: Project, candidate: str, base: str) -> None:
    """Refuse a release without content, before anything is written."""
    sync = GitHubSync.objects.filter(project=project).only("relation").first()
    if sync is None or not sync.relation:
        return
    staging, main = project.staging_branch, project.production_branch
    known = Relation.of(sync.relation, candidate, base)
    if known is None:
        raise Refused(f"Comparing {staging} with {main}; try again in a moment.")
    if not known.brings:
        empty = f"A release would be empty: {known.words(staging, main)}"
        raise Refused(f"{empty}. Merge what you want to release into {staging} first.")


def head_of_hotfix(project: Project, row: PullRequest | None, number: str) -> str:
    """Return the commit that the pull request brings; refuse one of which no hotfix can be made."""
    main = project.production_branch
    if row is None:
        raise Refused(
            f"The portal does not know pull request #{number[:20]} yet. Try again in a minute."
        )
    named = f"Pull request #{row.number}"
    if row.base != main:
        raise Refused(f"{named} goes into {row.base}; a hotfix goes straight into {main}.")
    if row.fork:
        raise Refused(f"{named} comes from a fork; push its branch to {project.repository} first.")
    if row.head == project.staging_branch:
        raise Refused(f"{named} promotes {row.head}: that is a release, not a hotfix.")
    if row.state != "open":
        raise Refused(f"{named} is {row.state}. A hotfix needs an open pull request.")
    if not row.head_sha:
        head = f"The head of pull request #{row.number}"
        raise Refused(f"{head} has not been read yet. Try again in a moment.")
    return row.head_sha
