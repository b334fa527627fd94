"""Which pull requests get a preview, by the project's settings."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from environments.models import Preview, Project
from environments.previews import wanted
from environments.previews.wanted import OpenPull
from releases.models.pull_requests import PullRequest


@transaction.atomic
def make(project: Project, opened: Iterable[PullRequest], *, now: datetime) -> None:
    """Hold the open pull requests into staging against the policy.

    One query when nothing changed.
    """
    rows_of = Preview.objects.select_for_update().filter(project=project)
    known = {row.number: row for row in rows_of}
    pulls: dict[int, OpenPull] = {}
    places = project.preview_limit
    # Those that are there keep their place; then the oldest pull requests come first.
    for pull in sorted(
        opened, key=lambda pull: (not _is_there(known.get(pull.number)), pull.number)
    ):
        why_not = _why_not(project, pull, known.get(pull.number), now)
        if not why_not and not places:
            why_not = f"{project.preview_limit} previews are the limit"
        places -= not why_not
        pulls[pull.number] = OpenPull(pull.title[:300], pull.head, pull.head_sha, why_not)
    wanted.follow(project, pulls, known, now=now)


def _is_there(row: Preview | None) -> bool:
    return row is not None and row.wanted


def _why_not(project: Project, pull: PullRequest, row: Preview | None, now: datetime) -> str:
    if not project.previews:
        return "previews are switched off"
    if pull.draft and not project.preview_drafts:
        return "the pull request is a draft"
    if pull.fork and not project.preview_forks:
        return "the pull request comes from a fork"
    old = (
        row is not None
        and row.head == pull.head_sha
        and now - row.head_at > timedelta(days=project.preview_days)
    )
    return wanted.TOO_OLD if old else ""
