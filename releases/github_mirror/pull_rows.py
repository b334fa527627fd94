"""Pull requests as our rows keep them."""

import re
from collections.abc import Iterable
from datetime import datetime

from environments.clients import github_of
from environments.git.reading import Commit
from environments.github import Check, MergedPull, Pull
from environments.models import Project
from portal.outbound.parsing import JsonObject
from releases.models.pull_requests import PullRequest

PULL_NUMBER = re.compile(r"^Merge pull request #(\d{1,9}) |\(#(\d{1,9})\)$")


def checks_as_json(checks: Iterable[Check]) -> list[dict[str, object]]:
    """Return checks as a row keeps them; `app` None: a status, or a run of which it is not told.

    `by`: who posted a status.
    """
    return [
        {
            "name": check.name,
            "state": check.state,
            "url": check.url or "",
            "app": check.app_id,
            "by": check.creator,
        }
        for check in checks
    ]


def _merging(pull: Pull) -> dict[str, object] | None:
    if pull.merging is None:
        return None
    by: dict[str, list[str]] = {"approved": [], "changes_requested": []}
    for review in pull.reviews:
        if review.state in by:
            by[review.state].append(review.author)
    counted = {"unresolved": pull.merging.unresolved, "unsigned": pull.merging.unsigned}
    return counted | {
        "commits": pull.merging.commits,
        "asking": by["changes_requested"],
        "approved": by["approved"],
    }


def open_row(project: Project, pull: Pull, now: datetime) -> PullRequest:
    checks = None if pull.checks is None else checks_as_json(pull.checks)
    return PullRequest(
        **_shared(project, pull, now),
        state=pull.state,
        draft=bool(pull.draft),
        fork=pull.fork,
        base=pull.base_ref[:250],
        head=pull.head_ref[:250],
        head_sha=pull.head_sha,
        mergeable=(pull.mergeable or "").lower()[:20],
        review_decision=(pull.review_decision or "").lower()[:30],
        merge_state=(pull.merge_state or "").lower()[:20],
        merging=_merging(pull),
        checks=checks,
        checks_at=None if checks is None else now,
    )


def merged_row(project: Project, pull: MergedPull, now: datetime) -> PullRequest:
    return PullRequest(
        **_shared(project, pull, now),
        state="merged",
        base=project.staging_branch,
        head=(pull.head_ref or "")[:250],
        head_sha=pull.head_sha or "",
    )


def _shared(project: Project, pull: Pull | MergedPull, now: datetime) -> JsonObject:
    """Return the columns of a pull request that open and merged ones have alike."""
    return {
        "project": project,
        "number": pull.number,
        "title": pull.title[:300],
        "author": (pull.author or "")[:100],
        "url": (pull.url or "")[:500],
        "updated_at": pull.updated_at,
        "seen_at": now,
    }


READ = (
    *("title", "author", "url", "state", "draft", "fork", "base", "head", "head_sha"),
    *("mergeable", "review_decision", "merge_state", "merging", "blocked_at"),
    *("checks", "checks_at", "updated_at", "seen_at"),
)


def upsert(rows: Iterable[PullRequest]) -> None:
    by_number = {
        row.number: row for row in rows
    }  # a repeated row within one reading: the later one
    PullRequest.objects.bulk_create(
        by_number.values(),
        update_conflicts=True,
        unique_fields=["project", "number"],
        update_fields=READ,
    )


def unknown_pulls(project: Project, commits: Iterable[Commit]) -> tuple[MergedPull, ...]:
    """Return merged pull requests that commit titles name and the mirror lacks."""
    named = {
        int(match[1] or match[2])
        for commit in commits
        if (match := PULL_NUMBER.search(commit.title))
    }
    known = PullRequest.objects.filter(project=project, number__in=named, state="merged")
    unknown = sorted(named - set(known.values_list("number", flat=True)))
    return github_of(project).merged_pulls(project.staging_branch, unknown) if unknown else ()
