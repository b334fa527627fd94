"""The job that reads GitHub."""

from datetime import datetime

from django.conf import settings

from environments.clients import github_of
from environments.findings import writer as environment_sync
from environments.github.merging import is_doubted
from environments.models import Branch
from environments.quota import sharing
from environments.quota.sharing import in_background
from environments.runbook import read as runbook
from environments.services import watching
from portal.jobs import Outcome, Requeue
from portal.outbound.http import ApiError
from releases.github_mirror import checks, relation
from releases.github_mirror import sync as github_mirror_sync
from releases.models.pull_requests import GitHubSync, PullRequest
from releases.previews import policy as preview_policy
from releases.pull_requests import bypasses
from releases.pull_requests import comment as pull_requests_comment
from releases.pull_requests import migrations as pull_requests_migrations
from releases.rollback import assessment as rollback_assessment

CONFIRMED_AFTER = 5.0  # seconds until a branch that demands less than before is read once more


@in_background
def sync_github(job: GitHubSync, *, now: datetime) -> Outcome:
    """Read once the repository; trouble is noted once and the next look comes as usual."""
    project = job.project
    try:
        github = github_of(project)
        overview = github.overview(
            staging=project.staging_branch,
            production=project.production_branch,
            numbers=github_mirror_sync.numbers(project),
            pages=github_mirror_sync.pages(job, now=now),
        )
        overview = checks.read_hidden(github, project, overview)
    except ApiError as error:
        environment_sync.note_problem(job, str(error), "GitHub", now=now)
        return Requeue(max(settings.SYNC_SECONDS, error.retry_after or 0), str(error))
    heads = {
        project.staging_branch: overview.staging_head,
        project.production_branch: overview.production_head,
    }
    missing = [name for name, head in heads.items() if not head]
    problem = (
        f"{project.repository} has no branch {' and no branch '.join(missing)}." if missing else ""
    )
    environment_sync.note_problem(job, problem, "GitHub", now=now)
    branches = github_mirror_sync.apply(project, overview, now=now)
    relation.settle(job, overview)
    _wake_others(job, branches, now)
    seconds = sharing.pause(project, now, base=settings.SYNC_SECONDS)
    if job.pace != seconds:
        GitHubSync.objects.filter(pk=job.pk).update(pace=seconds)
    if any(is_doubted(row.merge_rules) for row in branches):
        return Requeue(min(CONFIRMED_AFTER, seconds), "GitHub demands less: reading it once more.")
    return Requeue(seconds, "In step with GitHub.")


def _wake_others(job: GitHubSync, branches: list[Branch], now: datetime) -> None:
    """Have everything that rests on the reading look at it."""
    project, heads = job.project, {row.name: row.head for row in branches}
    pulls = list(PullRequest.objects.open_into_staging(project).defer("checks"))
    if job.synced_at:  # git's first fetch waits for the second reading: the first asks most
        runbook.settle(project, heads, now=now)
    if any(row.head_at == now for row in branches):  # else each reading of Railway asks git
        watching.settle(project)
    preview_policy.make(project, pulls, now=now)
    pull_requests_migrations.wake(project, pulls, heads[project.staging_branch], now=now)
    rollback_assessment.see_to(project, now=now)
    bypasses.wake(project, branches, now=now)
    pull_requests_comment.wake(project, pulls, now=now)
