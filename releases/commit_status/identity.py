"""The account that posts the portal's verdict. A verdict by anybody else under that name is a
finding, never a pass.
"""

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings

from environments.findings import out_of_band
from environments.github import CommitStatus, GitHub
from environments.models import Project
from releases.models.pull_requests import PullRequest
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release


def ours(project: Project) -> frozenset[str]:
    """Return every account that has posted a verdict of ours: tokens are replaced."""
    posted = ReleaseReconciler.objects.filter(release__project=project).exclude(verdict_by="")
    return frozenset(posted.values_list("verdict_by", flat=True).distinct())


def posted(github: GitHub, release: Release) -> list[CommitStatus]:
    """Return every verdict on the candidate, by whomever, the newest first."""
    return [
        status
        for status in github.status_history(release.candidate)
        if status.context == settings.STATUS_CONTEXT
    ]


def own(github: GitHub, release: Release) -> CommitStatus | None:
    """Return the candidate's newest verdict if it is ours; None if somebody else's."""
    newest = next(iter(posted(github, release)), None)
    return newest if newest and newest.creator in ours(release.project) else None


def note_strangers(
    release: Release, statuses: Iterable[CommitStatus], known: frozenset[str], *, now: datetime
) -> None:
    """Write down once what somebody else posted under the portal's name."""
    for status in statuses:
        if known and status.creator not in known:
            who, at = status.creator or "somebody unknown", status.updated_at or now
            subject = (
                f"status {settings.STATUS_CONTEXT} on {release.candidate} by {who} at"
                f" {at:%Y-%m-%d %H:%M:%S}"
            )
            message = (
                f"{who} posted {settings.STATUS_CONTEXT} as {status.state} on"
                f" {release.candidate[:7]}: not the portal's"
            )
            out_of_band.note(
                release.project,
                subject,
                f"{message} word. Require it from the portal's App alone.",
                now=now,
            )


def contradicted(job: ReleaseReconciler, release: Release, *, now: datetime) -> bool:
    """Return whether a reading newer than our verdict shows another one there."""
    row = PullRequest.objects.filter(
        project=release.project_id, number=release.pull_number or 0
    ).first()
    if (
        row is None
        or job.verdict_at is None
        or row.seen_at <= job.verdict_at
        or row.head_sha != job.verdict_sha
    ):
        return False
    shown = [
        str(check.get("state", "")).lower()
        for check in row.checks or ()
        if check.get("name") == settings.STATUS_CONTEXT
    ]
    if (
        len(shown) > 1
    ):  # GitHub shows one status of a name; what is beside it is a check run, and we make none
        message = (
            f"Beside the portal's status, a check run called {settings.STATUS_CONTEXT} was"
            " reported on"
        )
        message = (
            f"{message} {release.candidate[:7]}: not the portal's word. Require it from the"
            " portal's App alone."
        )
        out_of_band.note(
            release.project,
            f"check run {settings.STATUS_CONTEXT} on {release.candidate}",
            message,
            now=now,
        )
    return bool(shown) and job.verdict_state not in shown
