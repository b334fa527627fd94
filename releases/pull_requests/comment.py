"""The comment on a pull request's migrations, which the portal edits from then on.

Git is read of every pull request. To know the SQL a revision file has to be executed, isolated
(`portal.isolation`): that is done for branches of the repository that are ready for review, and for
forks only where the project says so.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256

from environments.clients import github_of
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.github import comments
from environments.models import Database, Project, databases_of
from environments.quota.sharing import in_background
from environments.schema.history import changes
from environments.schema.history import reader as history_reader
from environments.schema.plan import edits, risk, squawk
from environments.schema.plan import render as plan_render
from portal import isolation
from portal.jobs import OPEN, Finished, JobStatus, Outcome, Requeue, holds, wake_now
from portal.outbound.http import ApiError
from releases.models.pull_requests import PullRequest, PullRequestComment
from releases.pull_requests.comment_text import MARKER, says_something, text_of

NOT_TOLD = "Git cannot tell"  # how a sentence begins that says nothing of the files
DAY = 86_400.0
NOT_ISOLATED = (
    "The portal's machine cannot isolate code, so nothing was executed: only literal calls of `op`"
    " were read."
)
DRAFT = "Draft: the SQL is analyzed when it is ready for review."
FORK = "From a fork: the files were read but not executed, so their SQL is not known."
MEND_FIRST = "The SQL is analyzed when the files are fixed."


def wake(project: Project, pulls: Iterable[PullRequest], *, now: datetime) -> None:
    """Have a note looked at again for every one of the open pull requests of which git said
    something else, or which is seen otherwise.

    One query when there is nothing to do.
    """
    if not project.pull_comments:
        return
    known = {note.number: note for note in PullRequestComment.objects.filter(project=project)}
    for pull in pulls:
        if not pull.read_for or pull.migrations_problem.startswith(NOT_TOLD):
            continue
        note, about = known.get(pull.number), _about(project, pull)
        if note is None and not says_something(pull):
            continue
        if note is None:
            note, _ = PullRequestComment.objects.get_or_create(
                project=project, number=pull.number, defaults={"wake_at": now}
            )
        if note.about != about:
            PullRequestComment.objects.filter(pk=note.pk).update(about=about)
            ended = PullRequestComment.objects.filter(pk=note.pk).exclude(status__in=OPEN)
            ended.update(status=JobStatus.QUEUED, started_at=None, finished_at=None)
            wake_now(note, now=now)


@in_background
def step(job: PullRequestComment, *, now: datetime) -> Outcome:
    """Look at the files if they are other ones, then at the comment; write at most once."""
    project = job.project
    pull = PullRequest.objects.filter(project=project, number=job.number, state="open").first()
    if pull is None or pull.base != project.staging_branch or not project.pull_comments:
        job.keep(about="")  # looked at again when it is reopened
        return Finished(
            JobStatus.SUCCEEDED, "Nothing is told: it is not open, or the project says so."
        )
    try:
        content = _content(project, pull)
        if job.content != content:
            risks, unread = _look(project, pull)
            job.keep(content=content, risks=[asdict(risk) for risk in risks], unread=unread)
            return Requeue(0)
        return _tell(job, pull)
    except (ApiError, GitError, plan_render.BrokenOff, squawk.RiskError) as error:
        job.keep(told={**job.told, "problem": str(error)})
        return Requeue(max(60, getattr(error, "retry_after", None) or 0), str(error))


def _tell(job: PullRequestComment, pull: PullRequest) -> Outcome:
    """Bring the comment to what it should be now: written, edited, or left as it is."""
    speaks, message = says_something(pull), text_of(job, pull)
    digest = sha256(message.encode()).hexdigest()
    if job.told.get("digest") == digest or (not speaks and not job.told.get("asked")):
        return Requeue(
            DAY, "The pull request has been told." if speaks else "There is nothing to tell."
        )
    if speaks and not job.told.get("asked"):  # written down first: an answer may be lost
        job.keep(told={**job.told, "asked": True})
    github, known = github_of(job.project), job.told.get("comment")
    number = comments.put(
        github, job.number, MARKER, message, known, lambda: holds(job), new=speaks
    )
    if number is None:
        gone = {"comment"} if speaks else {"comment", "asked"}
        job.keep(told={name: told_of for name, told_of in job.told.items() if name not in gone})
    else:
        job.keep(told={"asked": True, "comment": number, "digest": digest})
    return Requeue(0)


def _digest(*parts: object) -> str:
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _content(project: Project, pull: PullRequest) -> str:
    """Return what the look at the SQL depends on.

    Where staging merely moved, nothing is executed again.
    """
    files = [
        (
            migration["what"],
            migration["id"],
            migration.get("sha256", ""),
            *([migration["edit"], migration["since"]] if "edit" in migration else []),
        )
        for migration in pull.migrations
    ]
    fix, isolated = bool(pull.migrations_problem), not isolation.why_not()
    unread = pull.fork and not project.pull_comment_forks
    return _digest(files, fix, isolated, pull.draft, unread, project.deploy_order)


def _about(project: Project, pull: PullRequest) -> str:
    return _digest(_content(project, pull), pull.migrations, pull.migrations_problem)


def _look(project: Project, pull: PullRequest) -> tuple[tuple[risk.Risk, ...], str]:
    """Return the risks of its new and edited revisions, or why their SQL was not looked at."""
    if not any(_is_looked_at(migration) for migration in pull.migrations):
        return (), ""
    if pull.fork and not project.pull_comment_forks:
        return (), FORK
    if pull.draft:
        return (), DRAFT
    mirror = mirror_of(project)
    if not mirror.has(pull.head_sha):
        mirror.fetch(pulls=[pull.number])
    databases, risks = databases_of(project), list[risk.Risk]()
    for database in databases:
        rows = [
            row
            for row in pull.migrations
            if _is_looked_at(row) and _is_of(row, database, databases)
        ]
        new_ids = {row["id"] for row in rows if row["what"] == "new"}
        history = history_reader.read(mirror, pull.head_sha, database.alembic) if rows else None
        if history is None:
            continue
        if any(problem.kind != "heads" for problem in history.problems):
            return (), MEND_FIRST
        files = [file for file in history.revisions.values() if file.id in new_ids]
        ordered = changes.in_order(files)
        made = plan_render.make_plan(
            mirror, pull.head_sha, history, ordered, patient=True, reviewed=False
        )
        risks += risk.assess(made.steps, order=project.deploy_order)
        risks += _edited(mirror, database, pull, history, [row for row in rows if "since" in row])
    return tuple(risks), NOT_ISOLATED if isolation.why_not() else ""


def _is_looked_at(row: Mapping[str, object]) -> bool:
    """Return whether only its SQL tells what it does: new, or edited in more than form."""
    return bool(row["what"] == "new" or row.get("edit") == edits.UNCLEAR)


def _edited(
    mirror: Mirror,
    database: Database,
    pull: PullRequest,
    history: history_reader.History,
    rows: Sequence[Mapping[str, str]],
) -> list[risk.Risk]:
    """Return each edit of a shipped file as a risk: danger, or information for equal SQL."""
    if not rows:
        return []
    since = rows[0]["since"]
    both = history_reader.read(mirror, since, database.alembic), history
    files = [history.revisions[row["id"]] for row in rows]
    edits_found = edits.by_sql(
        mirror, since, pull.head_sha, files, both, patient=True, reviewed=False
    )
    return [
        risk.Risk(
            "edited-shipped",
            risk.DANGER if edit.blocks else risk.INFO,
            edit.revision,
            edit.sha256,
            edit.sentence,
            f"Restore it with {changes.put_back(since, [edit.path])} and write a new revision."
            if edit.blocks
            else "",
        )
        for edit in edits_found
    ]


def _is_of(row: Mapping[str, object], database: Database, databases: Sequence[Database]) -> bool:
    """Return whether a file is the database's; without a mark it is the first's."""
    return bool(row.get("database", databases[0].pk) == database.pk)
