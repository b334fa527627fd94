"""The promotion pull request of a release, and the back-merge of a hotfix."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from environments.branches import fast_forward
from environments.clients import github_of
from portal import audit
from portal.jobs import Outcome, Requeue
from portal.outbound.http import WatchOnly
from releases.github_mirror import sync as github_mirror_sync
from releases.models.pull_requests import GitHubSync, PullRequest
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release, ReleaseStatus


def head_of_pull(release: Release) -> str | None:
    """Return where a hotfix's pull request is now; None: nobody can tell, or it is another now."""
    pull = PullRequest.objects.filter(
        project=release.project,
        number=release.pull_number or 0,
        state="open",
        fork=False,
        base=release.project.production_branch,
    ).first()
    return pull.head_sha if pull else None


def open_pull(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Find the promotion pull request, or open it. Only one can be open for the two branches."""
    if release.status != ReleaseStatus.OPEN or release.pull_number is not None:
        return None
    project, github = release.project, github_of(release.project)
    head, base = project.staging_branch, project.production_branch
    pull, word = github.find_pull(head=head, base=base), "found"
    if pull is None:
        word, title = "opened", f"Release {release.name}"
        body = f"{release.notes}\n\n{title}: {settings.PORTAL_URL}/releases/{release.pk}/"
        try:
            pull = github.open_pull(head=head, base=base, title=title, body=body)
        except WatchOnly:
            return None  # until somebody opens it
    with transaction.atomic():
        github_mirror_sync.keep_pull(project, pull, now=now)
        Release.objects.filter(pk=release.pk, pull_number=None).update(pull_number=pull.number)
        GitHubSync.objects.filter(project=project).update(wake_at=now)
        message, data = f"Promotion pull request #{pull.number} {word}.", {"number": pull.number}
        audit.record_by_portal("release.pull_opened", release, message, data=data, now=now)
    return Requeue(0)


def watch_pull(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """Read the pull request by itself when the newest reading of open ones no longer held it."""
    if not release.is_in_preparation or release.pull_number is None:
        return None
    row = PullRequest.objects.filter(project=release.project, number=release.pull_number).first()
    synced_at = release.project.github_sync.synced_at
    if row is None or row.state != "open" or synced_at is None or row.seen_at >= synced_at:
        return None
    pull = github_of(release.project).pull(release.pull_number)
    github_mirror_sync.keep_pull(release.project, pull, now=now)
    # Still open, and yet in no list: the next full reading must show its checks.
    return None if (pull.state, pull.head_sha) == ("open", row.head_sha) else Requeue(0)


def watch_back_merge(job: ReleaseReconciler, release: Release, now: datetime) -> Outcome | None:
    """See whether staging holds the hotfix, until it does, and how its back-merge stands."""
    known = release.back_merge
    if not release.is_hotfix or release.status != ReleaseStatus.VERIFYING or known.get("contained"):
        return None
    project, github = release.project, github_of(release.project)
    lacking = github.compare(project.staging_branch, release.merge_commit).ahead_by
    seen = known | {"contained": not lacking}
    if lacking:
        pull = fast_forward.find_back_merge(project, github)
        seen |= {"number": pull.number, "state": "open"} if pull else {"state": "closed"}
    if seen == known:
        return None
    with transaction.atomic():
        Release.objects.filter(pk=release.pk).update(back_merge=seen)
        if not lacking:
            holds = f"{project.staging_branch} holds {release.merge_commit[:7]}."
            audit.record_by_portal("release.back_merged", release, holds, data=seen, now=now)
    return Requeue(0)
