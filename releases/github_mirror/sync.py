"""Copies GitHub's state into our rows, and starts what a release collects from git."""

import re
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from environments.github import Overview, Pages, PullState
from environments.models import Branch, Project
from releases.github_mirror.kept_rules import contexts_of, kept_rules
from releases.github_mirror.pull_rows import merged_row, open_row, upsert
from releases.models.pull_requests import GOOD_STATES, GitHubSync, PullRequest
from releases.models.reconciler import ReleaseReconciler
from releases.models.releases import Release, ReleaseKind, ReleaseStatus

REPOSITORY = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}", re.ASCII)
COMMITS_KEPT = 500
ENDED = (ReleaseStatus.DONE, ReleaseStatus.ABANDONED, ReleaseStatus.ROLLED_BACK)


EVERY_PULL = timedelta(
    minutes=10
)  # how often all open pull requests are read, where they fill several pages
ONE_PAGE = 90
BLOCKED = timedelta(minutes=10)


def numbers(project: Project) -> list[int]:
    """Return the pull requests of releases that are still to be merged: they are read by number."""
    preparing = Release.objects.in_preparation().filter(project=project, pull_number__isnull=False)
    return [
        number for number in preparing.values_list("pull_number", flat=True) if number is not None
    ]


def pages(job: GitHubSync, *, now: datetime) -> Pages:
    """Return all pages where they are few or long unread; else one, and what changed."""
    base = job.project.staging_branch
    known = PullRequest.objects.filter(project=job.project, state="open", base=base).count()
    if known < ONE_PAGE or job.listed_at is None or now - job.listed_at > EVERY_PULL:
        return Pages()
    return Pages(cursor=job.cursor or None, most=1, recent=True)


@transaction.atomic
def apply(project: Project, overview: Overview, *, now: datetime) -> list[Branch]:
    """Write one reading of GitHub, in a fixed number of queries; return both branches as
    written.
    """
    GitHubSync.objects.select_for_update().get(project=project)
    branches = _branches(project, overview, now)
    pulls = (*overview.open_pulls, *overview.promotions, *overview.hotfixes, *overview.named)
    rows = [open_row(project, pull, now) for pull in pulls]
    rows += [merged_row(project, pull, now) for pull in overview.merged_pulls]
    _keep_known(project, rows, now)
    upsert(rows)
    _close(project, overview, [row.number for row in rows], now)
    kept: dict[str, object] = {"synced_at": now, "cursor": (overview.cursor or "")[:200]}
    if overview.listed:
        kept["listed_at"] = now
    _note_name(project, overview.full_name)
    GitHubSync.objects.filter(project=project).update(**kept)
    return branches


def _note_name(project: Project, name: str) -> None:
    """Keep what GitHub calls the repository, where the project does not; a name that it could
    not have is none.
    """
    usable = REPOSITORY.fullmatch(name) and name.lower() != project.repository.lower()
    renamed_to = name if usable else ""
    if renamed_to != project.renamed_to:
        # Of the name as it was when GitHub was asked: people may have set another one meanwhile.
        row = Project.objects.filter(pk=project.pk, repository=project.repository)
        row.update(renamed_to=renamed_to)


@transaction.atomic
def keep_merge_facts(project: Project, overview: Overview, *, now: datetime) -> None:
    """Write what `GitHub.merge_facts` read: both branches and the pull request."""
    GitHubSync.objects.select_for_update().get(project=project)
    _branches(project, overview, now)
    rows = [open_row(project, pull, now) for pull in overview.named]
    _keep_known(project, rows, now)
    upsert(rows)


def _close(project: Project, overview: Overview, seen: list[int], now: datetime) -> None:
    """Close what GitHub says was closed, and what whole lists no longer hold."""
    open_ = PullRequest.objects.filter(project=project, state="open").exclude(number__in=seen)
    open_.filter(number__in=overview.closed).update(state="closed", seen_at=now)
    whole = [project.staging_branch] if overview.listed else []
    whole += [project.production_branch] if overview.into_listed else []
    # Those of a release are read by themselves: they may have been merged.
    ours = Release.objects.filter(project=project, pull_number__isnull=False).exclude(
        status__in=ENDED
    )
    gone = open_.filter(base__in=whole)
    gone.filter(Q(base=project.staging_branch) | ~Q(number__in=ours.values("pull_number"))).update(
        state="closed", seen_at=now
    )


def _keep_known(project: Project, rows: list[PullRequest], now: datetime) -> None:
    """Keep what was read of the same head before: checks that this reading did not show, and since
    when it is blocked although the portal's own status is green.
    """
    known = {
        row.number: row
        for row in PullRequest.objects.filter(
            project=project, number__in=[row.number for row in rows]
        ).only("number", "head_sha", "checks", "checks_at", "blocked_at")
    }
    for row in rows:
        was = known.get(row.number)
        if was is None or was.head_sha != row.head_sha:
            was = None
        elif row.checks is None:
            row.checks, row.checks_at = was.checks, was.checks_at
        row.blocked_at = _blocked_at(row, was.blocked_at if was else None, now)


def _blocked_at(row: PullRequest, since: datetime | None, now: datetime) -> datetime | None:
    """Our own status, when it is required, blocks too: only a green one tells that something else
    does. That is remembered for a while, lest the verdict turn green and back with every reading.
    """
    if row.merge_state in GOOD_STATES or row.merging is None:
        return None
    if row.merge_state != "blocked":
        return since
    own = [check["state"] for check in row.checks or () if check["name"] == settings.STATUS_CONTEXT]
    if own == ["success"]:
        return since or now
    return since if since and now - since < BLOCKED else None


def _branches(project: Project, overview: Overview, now: datetime) -> list[Branch]:
    heads = {
        project.staging_branch: overview.staging_head,
        project.production_branch: overview.production_head,
    }
    known = {row.name: row for row in Branch.objects.filter(project=project, name__in=heads)}
    if (
        project.staging_branch in known
        and known[project.staging_branch].head != overview.staging_head
    ):
        hotfixes = ReleaseReconciler.objects.filter(
            release__project=project, release__kind=ReleaseKind.HOTFIX
        )
        hotfixes.filter(release__status=ReleaseStatus.VERIFYING).update(
            wake_at=now
        )  # it may be the back-merge
    before = {name: row.merge_rules for name, row in known.items()}
    rules = {name: kept_rules(before.get(name), overview.rules.get(name)) for name in heads}
    rows = [
        Branch(
            project=project,
            name=name,
            head=head or "",
            head_at=known[name].head_at if name in known and known[name].head == head else now,
            judged=known[name].judged if name in known else "",
            required_contexts=contexts_of(rules[name]),
            merge_rules=rules[name],
            seen_at=now,
        )
        for name, head in heads.items()
    ]
    Branch.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["project", "name"],
        update_fields=["head", "head_at", "required_contexts", "merge_rules", "seen_at"],
    )
    return rows


# What is known of a head only once it is read.
UNREAD: dict[str, object] = {
    **{"checks": None, "checks_at": None, "mergeable": "", "merge_state": "", "merging": None},
    "blocked_at": None,
}


def keep_pull(project: Project, pull: PullState, *, now: datetime) -> None:
    """Write one pull request that was read by itself.

    Its checks are not read with it: they stay, as old as they are, while it is the open one that
    they belong to.
    """
    state = "merged" if pull.merged else pull.state
    changes: dict[str, object] = {
        "title": pull.title[:300],
        "url": pull.url[:500],
        "state": state,
        "base": pull.base_ref[:250],
        "head": pull.head_ref[:250],
        "head_sha": pull.head_sha,
        "seen_at": now,
    }
    rows = PullRequest.objects.filter(project=project, number=pull.number)
    row, created = rows.get_or_create(project=project, number=pull.number, defaults=changes)
    if created:
        return
    if (row.head_sha, row.state) != (pull.head_sha, state):
        changes |= UNREAD
    elif state == "open":
        del changes["seen_at"]
    PullRequest.objects.filter(pk=row.pk).update(**changes)
