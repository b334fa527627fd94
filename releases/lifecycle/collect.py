"""What the candidate of a release brings, read from git."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from django.db import transaction

from environments.databases import pending
from environments.databases.project_environment import planning_command
from environments.git.reading import Commit
from environments.git.repository import Mirror
from environments.models import Database, Project, databases_of, stamped_from
from environments.schema.history import changes, identity
from environments.schema.history import reader as history_reader
from environments.schema.history.status import PROVE
from environments.schema.plan.edits import PRUNED, Edit, judge
from portal import audit
from portal.outbound.parsing import JsonObject
from releases.github_mirror.pull_rows import PULL_NUMBER, merged_row, unknown_pulls, upsert
from releases.github_mirror.sync import COMMITS_KEPT
from releases.models.checklist import Phase
from releases.models.pull_requests import PullRequest
from releases.models.releases import Release, ReleaseStatus


def collect(release: Release, mirror: Mirror, *, now: datetime) -> None:
    """Read from git what the candidate holds: commits, pull requests, new migrations.

    Raise `GitError`, `ApiError` when pull requests that git names must be read from GitHub and
    are not, and `NoDatabase` or `NotPrepared` when the SQL of an edited file needs the project's
    environment and that is not there.
    """
    project = release.project
    mirror.fetch()
    commits = mirror.commits(release.base, release.candidate)
    behind = len(mirror.commits(release.candidate, release.base))
    change = _migrations(mirror, release)
    unknown = unknown_pulls(project, commits)
    with transaction.atomic():
        upsert(merged_row(project, pull, now) for pull in unknown)
        fresh = Release.objects.select_for_update().get(pk=release.pk)
        if fresh.candidate != release.candidate:
            return  # it moved while we read; the next look collects the new one
        _keep_collected(fresh, commits, behind, change, now)
        pulls = _pulls_in(project, commits)
        fresh.pull_requests.set(pulls)
        data = {name: getattr(fresh, name) for name in ("candidate", "migrations")}
        data["problem"] = fresh.migrations_problem
        brings = f"{len(commits)} commits, {len(fresh.migrations)} migrations"
        message = f"{len(pulls)} pull requests, {brings}."
        audit.record_by_portal("release.collected", fresh, message, data=data, now=now)


def _keep_collected(
    release: Release, commits: Sequence[Commit], behind: int, change: JsonObject, now: datetime
) -> None:
    """Write on the row what was read of its candidate."""
    values = {
        "commits": [
            {
                "sha": commit.sha,
                "title": commit.title[:200],
                "author": commit.author[:100],
                "at": commit.authored_at.isoformat(),
            }
            for commit in commits[:COMMITS_KEPT]
        ],
        "commit_count": len(commits),
        "behind": behind,
        "heads": [head for heads in change["heads_of"].values() for head in heads],
        "collected": release.candidate,
        "collected_at": now,
    } | change
    for name, value in values.items():
        setattr(release, name, value)
    release.save(update_fields=list(values))


def _pulls_in(project: Project, commits: Sequence[Commit]) -> list[PullRequest]:
    """Return the pull requests into staging among the commits, by head or by a title's number."""
    shas = {commit.sha for commit in commits}
    named = filter(None, (PULL_NUMBER.search(commit.title) for commit in commits))
    numbers = {int(match[1] or match[2]) for match in named}
    merged = PullRequest.objects.filter(
        project=project, state="merged", base=project.staging_branch
    )
    return [row for row in merged if row.head_sha in shas or row.number in numbers]


def _migrations(mirror: Mirror, release: Release) -> JsonObject:
    """Return what is new from production's head to the candidate, as columns of the release; or one
    sentence why that cannot be said.
    """
    databases, since, until = databases_of(release.project), release.base, release.candidate
    folders = [database.alembic for database in databases]
    uncovered = list(history_reader.outside(mirror, since, until, *folders))
    collected: JsonObject = {"migrations": [], "heads_of": {}, "edits": [], "uncovered": uncovered}
    problems = []
    for row in databases:
        new, heads, edits, problem = _migrations_of(mirror, release, row)
        collected["migrations"] += [file | {"database": row.pk} for file in new]
        collected["heads_of"][str(row.pk)] = heads
        collected["edits"] += [asdict(edit) for edit in edits]
        if problem:
            problems.append(f"{row.called}: {problem}" if row.called else problem)
    return collected | {"migrations_problem": next(iter(problems), "")}


def _migrations_of(
    mirror: Mirror, release: Release, database: Database
) -> tuple[list[dict[str, object]], list[str], tuple[Edit, ...], str]:
    """Return one database's new revision files, its heads at the candidate, edits of shipped files,
    what must be fixed.
    """
    alembic, since, until = database.alembic, release.base, release.candidate
    history = history_reader.read(mirror, until, alembic)
    change = history_reader.compare(mirror, since, until, alembic)
    new = {revision.id for revision in change.new}
    known = [] if history.problems else history.between(set(), history.heads)
    ordered = [revision for revision in known if revision.id in new]
    # What the version table holds when all has run.
    heads = list(history.effective_heads)
    bound = identity.bound(mirror, until, history, ordered, command=database.runs_project_code)
    edits: tuple[Edit, ...] = ()
    if (change.changed or change.deleted) and not change.problems:
        edits = judge(
            mirror,
            since,
            until,
            change,
            (history_reader.read(mirror, since, alembic), history),
            ran=pending.reported(database),
            stamped=stamped_from(database),
            command=lambda: planning_command(database, mirror, until),
        )
    pruned = {edit.revision for edit in edits if edit.kind == PRUNED}
    problem = _migrations_problem(release, change, pruned)
    return [history_reader.described(revision) for revision in bound], heads, edits, problem


def _migrations_problem(release: Release, change: changes.Change, pruned: Collection[str]) -> str:
    """Return what must be fixed before these revisions may run, and how; "": nothing."""
    if change.problems:
        return change.problems[0].sentence
    names = ", ".join(revision.path for revision in change.deleted if revision.id not in pruned)
    if not names:
        return ""
    main, staging = release.project.production_branch, release.project.staging_branch
    lacking = "the hotfix's branch" if release.is_hotfix else staging
    fix = f"Merge {main} into {lacking} first."
    squashed = f" {PROVE}" if any(not revision.down for revision in change.new) else ""
    return f"{main} has revisions that {lacking} lacks: {names}. {fix}{squashed}"


@transaction.atomic
def move_candidate(release: Release, head: str, base: str, *, now: datetime) -> bool:
    """Pin the new head of staging; what people signed for the old one lapses. False: not moved."""
    release = Release.objects.locked(release.pk)
    if release.status != ReleaseStatus.OPEN or (release.candidate, release.base) == (head, base):
        return False
    others = Release.objects.in_preparation().filter(project=release.project).exclude(pk=release.pk)
    if others.filter(candidate=head).exists():
        return False  # one commit has one verdict; the gates say that the pull request is elsewhere
    old, lapsed = release.candidate, list[str]()
    values: JsonObject = {"candidate": head, "base": base, "collected": ""}
    main = release.project.production_branch
    message = f"{main} moved to {base[:7]}; the release is compared with it again."
    if head != old:
        lapsing = release.items.filter(phase=Phase.BEFORE, ticked_at__isnull=False, lapsed_at=None)
        lapsed = list(lapsing.values_list("text", flat=True))
        lapsing.update(lapsed_at=now)
        moved = {"from": old, "to": head, "at": now.isoformat(), "lapsed": lapsed}
        values |= {"moved": moved, "candidate_at": now}
        message = f"The candidate moved from {old[:7]} to {head[:7]}; {len(lapsed)} ticks lapsed."
    Release.objects.filter(pk=release.pk).update(**values)
    data = {"from": old, "to": head, "base": base, "lapsed": lapsed}
    audit.record_by_portal("release.candidate_moved", release, message, data=data, now=now)
    return True
