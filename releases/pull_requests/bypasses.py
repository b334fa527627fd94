"""Finds commits of main and staging that neither the portal nor a pull request brought."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from environments.clients import github_of
from environments.findings import out_of_band
from environments.git.calls import GitError
from environments.git.reading import Commit
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.github import GitHub, PullState
from environments.models import Branch, Project, Repair, RepairKind
from environments.quota.sharing import in_background
from portal.jobs import Outcome, Requeue, wake_now
from portal.models.webhooks import WebhookDelivery
from portal.outbound.http import ApiError
from portal.outbound.parsing import get_path, text
from releases.models.pull_requests import BranchScan, PullRequest
from releases.models.releases import Release, ReleaseStatus

AT_ONCE = 200  # at most this many commits of one branch are checked, the newest
LINE = 5000
PUSHES = 50  # deliveries looked through for the one that tells who pushed
SOON = 5.0


@dataclass(frozen=True)
class _Look:
    """What is needed to find out how a commit of `branch` arrived."""

    project: Project
    branch: Branch
    mirror: Mirror
    github: GitHub
    main_line: frozenset[str]
    now: datetime

    @property
    def is_main(self) -> bool:
        return self.branch.name == self.project.production_branch


def unread(project: Project, branches: Iterable[Branch]) -> list[Branch]:
    """Return the branches with commits that nobody looked at, main first."""
    rows = [row for row in branches if row.head and row.head != row.judged]
    return sorted(rows, key=lambda row: row.name != project.production_branch)


def wake(project: Project, branches: Iterable[Branch], *, now: datetime) -> None:
    """Have the branches looked at that moved."""
    if unread(project, branches):
        job, _ = BranchScan.objects.get_or_create(
            project=project, defaults={"created_at": now, "wake_at": now}
        )
        wake_now(job, now=now)


@in_background
def read(job: BranchScan, *, now: datetime) -> Outcome:
    """Look at the new commits of both branches.

    What a branch held when it is first read is taken as it is.
    """
    project, rest = job.project, 10 * settings.SYNC_SECONDS
    names = (project.production_branch, project.staging_branch)
    branches = unread(project, Branch.objects.filter(project=project, name__in=names))
    fresh = [row for row in branches if not row.judged]
    for row in fresh:
        Branch.objects.filter(pk=row.pk, judged="").update(judged=row.head)
    moved = [row for row in branches if row.judged]
    if not moved:
        return Requeue(rest, "Nothing reached the branches since.")
    mirror = mirror_of(project)
    try:
        mirror.fetch()
        main = mirror.head(project.production_branch)
        line = mirror.first_parents(main, limit=LINE) if main else frozenset()
        waits = [
            not _read_branch(_Look(project, row, mirror, github_of(project), line, now))
            for row in moved
        ]
    except (ApiError, GitError) as error:
        return Requeue(max(getattr(error, "retry_after", None) or 0, 30), str(error))
    if any(waits):
        return Requeue(
            min(SOON, settings.DEPLOY_GRACE_SECONDS),
            "GitHub may still be telling how a commit came about.",
        )
    return Requeue(rest, "Every new commit was looked at.")


def _read_branch(look: _Look) -> bool:
    """Look at the commits of one branch since the last look.

    False: some must be read again soon.
    """
    row, mirror = look.branch, look.mirror
    if not mirror.has(row.head):
        return False
    start = row.judged
    spans = [(start, row.head)]
    if not mirror.has(start) or not mirror.is_ancestor(start, row.head):
        spans = _after_reset(look)
        if not spans:
            who = _pusher(row.head) or out_of_band.NOT_KNOWN
            message = (
                f"{row.name} was moved by force from {start[:7]} to {row.head[:7]}, and lost what"
                f" it held ({who})."
            )
            out_of_band.note(
                look.project,
                f"forced push of {start}..{row.head} to {row.name}",
                message,
                now=look.now,
            )
    for base, head in spans:
        for commit in reversed(mirror.commits(base, head, limit=AT_ONCE, first_parent=True)):
            finding = _came(look, commit)
            if finding is None:
                return False
            if finding:
                out_of_band.note(look.project, *finding, now=look.now)
            if not _judged(row, commit.sha):
                return True  # somebody else looks at it too
    _judged(row, row.head)
    return True


def _judged(row: Branch, sha: str) -> bool:
    done = Branch.objects.filter(pk=row.pk, judged=row.judged).update(judged=sha)
    row.judged = sha
    return bool(done)


def _after_reset(look: _Look) -> list[tuple[str, str]]:
    """Return the spans to look at after the portal's own reset; [] when it was not."""
    rows = Repair.objects.filter(
        project=look.project, kind=RepairKind.RESET, wrote_at__isnull=False
    )
    mirror, start, head = look.mirror, look.branch.judged, look.branch.head
    for row in rows.order_by("-pk")[:5]:
        known = all(mirror.has(sha) for sha in (row.before, row.wanted, start))
        if known and mirror.is_ancestor(start, row.before) and mirror.is_ancestor(row.wanted, head):
            return [(start, row.before), (row.wanted, head)]
    return []


Found = tuple[str, str]


def _came(look: _Look, commit: Commit) -> Found | tuple[()] | None:
    """Subject and sentence of what was done around the portal, () when nothing was, None when to
    look again soon.
    """
    if look.is_main and _by_portal(look.project, commit):
        return ()
    if not look.is_main and (
        commit.sha in look.main_line or _is_merge_of_known(look.project, commit)
    ):
        return ()  # it was looked at on main's own line
    pulls = [
        pull
        for pull in look.github.pulls_of(commit.sha)
        if pull.merged and pull.base_ref == look.branch.name
    ]
    if pulls:
        return _merged_around(look, pulls[0].number) if look.is_main else ()
    young = look.branch.head_at and look.now - look.branch.head_at < timedelta(
        seconds=settings.DEPLOY_GRACE_SECONDS
    )
    return None if young else _pushed(look, commit)


def _by_portal(project: Project, commit: Commit) -> bool:
    """Return whether a promotion merged it, also one that has not read that yet."""
    releases = Release.objects.filter(project=project)
    if releases.filter(merge_commit=commit.sha).exists():
        return True
    under_way = releases.filter(status=ReleaseStatus.PROMOTING, candidate__in=commit.parents[1:])
    return bool(commit.parents[1:]) and under_way.exists()


def _is_merge_of_known(project: Project, commit: Commit) -> bool:
    """Return whether it merges a pull request into staging that our rows know."""
    pulls = PullRequest.objects.filter(project=project, state="merged", base=project.staging_branch)
    return len(commit.parents) > 1 and pulls.filter(head_sha__in=commit.parents[1:]).exists()


def _merged_around(look: _Look, number: int) -> Found:
    pull, main = look.github.pull(number), look.project.production_branch
    who = pull.merged_by or "somebody whom GitHub does not name"
    state = _verdict_then(look.github, pull)
    if state == "success":
        how = f"not by the portal, although {settings.STATUS_CONTEXT} was green"
    elif state:
        how = f"although {settings.STATUS_CONTEXT} said {state}"
    else:
        how = f"without the status {settings.STATUS_CONTEXT}"
    message = (
        f"Pull request #{number} “{text(pull.title, 120)}” was merged into {main} by {who}, {how}."
    )
    return f"merge of #{number} into {main}", message


def _verdict_then(github: GitHub, pull: PullState) -> str:
    """Return what our status said on the head when it was merged; "": nothing."""
    verdicts = [
        status
        for status in github.status_history(pull.head_sha)
        if status.context == settings.STATUS_CONTEXT
        and (
            pull.merged_at is None
            or status.updated_at is None
            or status.updated_at <= pull.merged_at
        )
    ]
    return verdicts[0].state if verdicts else ""


def _pushed(look: _Look, commit: Commit) -> Found:
    name = look.branch.name
    who = _pusher(commit.sha) or _pusher(look.branch.head)
    by = f" by {who}" if who else ""
    author = (
        ""
        if who
        else (
            f" It was written by {text(commit.author, 100) or 'nobody named'};"
            f" {out_of_band.NOT_KNOWN}."
        )
    )
    message = (
        f"{commit.sha[:7]} “{text(commit.title, 120)}” was pushed straight to {name}{by}, by no"
        f" pull request.{author}"
    )
    return f"push of {commit.sha} to {name}", message


def _pusher(sha: str) -> str:
    """Return who pushed `sha`, if GitHub's webhook told; its API does not."""
    rows = WebhookDelivery.objects.filter(source="github", event="push").order_by("-pk")
    for body in rows.values_list("body", flat=True)[:PUSHES]:
        payload = _parsed(body) if sha in body else None
        if get_path(payload, "after") == sha:
            return text(get_path(payload, "pusher", "name"), 100) or text(
                get_path(payload, "sender", "login"), 100
            )
    return ""


def _parsed(body: str) -> object:
    try:
        return json.loads(body)
    except ValueError:  # only its beginning was kept
        return None
