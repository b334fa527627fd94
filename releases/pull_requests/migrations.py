"""What a pull request into staging brings, and whether it was cut from staging."""

import time
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from django.conf import settings

from environments.databases import pending
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.models import (
    Branch,
    Database,
    Project,
    StagedRevision,
    databases_of,
    stamped_from,
)
from environments.schema.history import changes, graph
from environments.schema.history import reader as history_reader
from environments.schema.history.changes import Change
from environments.schema.history.revision import HistoryError
from environments.schema.plan import edits
from portal.jobs import Outcome, Requeue, holds, wake_now
from portal.outbound.parsing import JsonObject
from releases.models.pull_requests import PullReading, PullRequest
from releases.pull_requests import comment as pull_requests_comment

AT_ONCE = 20
SECONDS = 5.0  # after which a step ends, whatever is left to read
BREATH = 0.5  # seconds between two steps, in which the worker does what others wait for
HEADS = "heads"  # the kind of problem that only the merge brings


def unread(pulls: Iterable[PullRequest], base: str) -> list[PullRequest]:
    """Return those that moved, or whose base did, since git was asked; `base`: the head of
    staging, "" where it is not known.
    """
    known = [pull for pull in pulls if base and pull.head_sha]
    return [pull for pull in known if pull.read_for != _pair(base, pull.head_sha)]


def wake(project: Project, pulls: Iterable[PullRequest], base: str, *, now: datetime) -> None:
    """Have git asked about what has moved."""
    if unread(pulls, base):
        job, _ = PullReading.objects.get_or_create(
            project=project, defaults={"created_at": now, "wake_at": now}
        )
        wake_now(job, now=now)


def read(job: PullReading, *, now: datetime) -> Outcome:
    """Ask git about a handful of pull requests; one that git cannot tell of keeps the reason."""
    project = job.project
    pulls = PullRequest.objects.open_into_staging(project).defer("checks")
    base = Branch.heads(project).get(project.staging_branch, "")
    waiting = unread(pulls, base)
    if not waiting:
        return Requeue(10 * settings.SYNC_SECONDS, "Every open pull request was read.")
    some = waiting[:AT_ONCE]
    mirror = mirror_of(project)
    try:
        mirror.fetch(pulls=[pull.number for pull in some])
    except GitError as error:
        return Requeue(30, str(error))
    began, done = time.monotonic(), 0
    for open_pull in some:
        if not holds(job):
            return Requeue(0)
        if done and time.monotonic() - began > SECONDS:
            break
        result = _of(mirror, project, base, open_pull.head_sha)
        # Only while it is still the head that was read.
        rows = PullRequest.objects.filter(pk=open_pull.pk, head_sha=open_pull.head_sha)
        rows.update(read_for=_pair(base, open_pull.head_sha), **result)
        done += 1
    pull_requests_comment.wake(project, pulls.all(), now=now)
    left = len(waiting) - done
    message = f"{done} of {len(waiting)} pull requests that moved were read."
    return Requeue(BREATH if left else 10 * settings.SYNC_SECONDS, message)


def _pair(base: str, head: str) -> str:
    return f"{base}..{head}"


def _of(mirror: Mirror, project: Project, base: str, head: str) -> dict[str, object]:
    try:
        fork = mirror.merge_base(base, head)
        if fork is None:
            message = f"Its branch shares no commit with {project.staging_branch}."
            return {"migrations": [], "migrations_problem": "", "cut_wrong": message}
        migrations, problem = _migrations(mirror, project, base, fork, head)
        cut = _cut(mirror, project, base, head)
        return {"migrations": migrations, "migrations_problem": problem, "cut_wrong": cut}
    except (GitError, HistoryError) as error:
        problem = f"{pull_requests_comment.NOT_TOLD}: {error}"
        return {"migrations": [], "migrations_problem": problem, "cut_wrong": ""}


def _migrations(
    mirror: Mirror, project: Project, base: str, fork: str, head: str
) -> tuple[list[dict[str, object]], str]:
    """Return the revision files that it touches, and what its merge would break."""
    rows, problems = list[JsonObject](), list[str]()
    for database in databases_of(project):
        files, problem = _migrations_of(mirror, database, base, fork, head)
        rows += [
            file
            | {"database": database.pk}
            | ({"called": database.called} if database.called else {})
            for file in files
        ]
        if problem:
            problems.append(f"{database.called}: {problem}" if database.called else problem)
    return rows, " ".join(problems)


def _migrations_of(
    mirror: Mirror, database: Database, base: str, fork: str, head: str
) -> tuple[list[JsonObject], str]:
    change = history_reader.compare(mirror, fork, head, database.alembic)
    touched = [("new", change.new), ("changed", change.changed), ("deleted", change.deleted)]
    rows = [
        history_reader.described(file) | {"what": what} for what, files in touched for file in files
    ]
    if change.problems:
        return rows, change.problems[0].sentence
    if change.changed or change.deleted:
        rows, problem = _touching_what_is_there(mirror, database, fork, head, change, rows)
        if problem:
            return rows, problem
    if not rows:
        return rows, ""
    return rows, _once_merged(
        mirror, database, base, head, {revision.id for revision in change.new}
    )


def _touching_what_is_there(
    mirror: Mirror, database: Database, fork: str, head: str, change: Change, rows: list[JsonObject]
) -> tuple[list[JsonObject], str]:
    """Return the rows with what each edit comes to, and what is wrong with them.

    What production has is judged by what it runs, as in the release. What only staging has cannot
    be edited any more once it ran there: production runs exactly the file that staging ran.
    """
    project = database.project
    shipped = _shipped(mirror, database)
    staged = [
        (deed, [file for file in files if file.id not in shipped])
        for files, deed in ((change.changed, "Edits"), (change.deleted, "Deletes"))
    ]
    for deed, files in staged:
        if files:
            return rows, _rewritten(database, project.staging_branch, deed, files, fork)
    before, after = (history_reader.read(mirror, at, database.alembic) for at in (fork, head))
    judged = edits.judge(
        mirror,
        fork,
        head,
        change,
        (before, after),
        ran=pending.reported(database),
        stamped=stamped_from(database),
        execute=False,
    )
    edit_of = {edit.revision: edit for edit in judged}
    for row in rows:
        if edit := edit_of.get(row["id"]):
            row |= {"edit": edit.kind, "told": edit.sentence, "since": fork}
    if gone := [file for file in change.deleted if file.id not in edit_of]:
        return rows, _rewritten(database, project.production_branch, "Deletes", gone, fork)
    moved = [edit for edit in judged if edit.blocks]
    back = changes.put_back(fork, [edit.path for edit in moved])
    return (
        rows,
        f"{' '.join(edit.sentence for edit in moved)} Restore it with `{back}`." if moved else "",
    )


def _shipped(mirror: Mirror, database: Database) -> Collection[str]:
    """Return the ids that production's branch has; none where that is not known."""
    head = Branch.heads(database.project).get(database.project.production_branch)
    return history_reader.read(mirror, head, database.alembic).revisions.keys() if head else ()


def _rewritten(
    database: Database, branch: str, deed: str, files: Sequence[history_reader.Revision], fork: str
) -> str:
    """Return what is wrong with editing or deleting what `branch` has, and how it is put back."""
    ran = StagedRevision.objects.filter(database=database, revision__in=[file.id for file in files])
    has = "has run" if ran.exists() else "has"
    paths = [file.path for file in files]
    names, back = ", ".join(paths), changes.put_back(fork, paths)
    return (
        f"{deed} what {branch} {has}: {names}. Restore it with `{back}` and write a new revision."
    )


def _once_merged(mirror: Mirror, database: Database, base: str, head: str, new: set[str]) -> str:
    """Return what Alembic would find wrong in staging with the pull request's revisions added."""
    own = history_reader.read(mirror, head, database.alembic)
    if own.problems:
        return own.problems[0].sentence
    theirs = history_reader.read(mirror, base, database.alembic)
    together = [
        *theirs.revisions.values(),
        *(revision for id, revision in own.revisions.items() if id in new),
    ]
    merged = graph.build(together, own.directories, (), recursive=own.recursive)
    return f"Once it is merged: {merged.problems[0].sentence}" if merged.problems else ""


def _cut(mirror: Mirror, project: Project, base: str, head: str) -> str:
    """Return why the branch was not cut from staging: it brings commits of main."""
    main = Branch.heads(project).get(project.production_branch)
    common = mirror.merge_base(main, head) if main else None
    if common is None or mirror.is_ancestor(common, base):
        return ""
    count = len(mirror.commits(base, common, limit=100))
    staging, production = project.staging_branch, project.production_branch
    many = f"{count} commit{'s' if count != 1 else ''}"
    return (
        f"Branched from {production}, not from {staging}: it adds {many} that {staging} lacks. "
        f"Run git rebase --onto origin/{staging} {common[:7]} on its branch."
    )
