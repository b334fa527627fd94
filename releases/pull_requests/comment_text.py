"""The text of the comment on a pull request's migrations."""

from collections.abc import Iterator, Mapping, Sequence

from django.conf import settings

from environments.github.comments import code, plain, prose
from environments.schema.plan import edits, risk
from releases.models.pull_requests import PullRequest, PullRequestComment

MARKER = "<!-- release-portal: migrations -->"
SHOWN = 20


def says_something(pull: PullRequest) -> bool:
    return bool(pull.migrations or pull.migrations_problem)


def text_of(job: PullRequestComment, pull: PullRequest) -> str:
    """Return the comment: what the pull request brings, what to fix, what can go wrong,
    and how to write it instead.

    Nothing in it changes by itself. Every word from outside is escaped, and its length bounded.
    """
    if not says_something(pull):
        return f"{MARKER}\n**Migrations**: this pull request has none anymore; nothing to fix."
    risks = [risk.Risk(**stored) for stored in job.risks]
    lines = [
        MARKER,
        f"**Migrations in this pull request**: {_counted(pull.migrations)}.",
        "\n".join(_files(pull)),
    ]
    if pull.migrations_problem:
        lines += ["**To fix before merging**", f"- {prose(pull.migrations_problem, 2000)}"]
    asking = sorted(
        (risk_of_file for risk_of_file in risks if risk_of_file.asks),
        key=lambda risk_of_file: -risk.RANK[risk_of_file.severity],
    )
    if asking:
        lines += ["**What can go wrong**", "\n".join(_risks(asking))]
    infos = [risk_of_file for risk_of_file in risks if not risk_of_file.asks]
    if infos:
        details = "\n".join(_risks(infos))
        lines.append(
            f"<details><summary>Also to know: {len(infos)}</summary>\n\n{details}\n\n</details>"
        )
    if job.unread:
        lines.append(plain(job.unread))
    elif not asking and not pull.migrations_problem:
        lines.append("No findings.")
    if asking:
        lines.append(
            "An approver can accept the remaining risks, with a reason, on the release page."
        )
    lines.append(
        "[This pull request in the"
        f" portal]({settings.PORTAL_URL}/pulls/?project={job.project.slug}#pull-{pull.number})"
    )
    return "\n\n".join(line for line in lines if line)


def _counted(rows: Sequence[Mapping[str, object]]) -> str:
    counts = [
        (sum(row["what"] == what for row in rows), what) for what in ("new", "changed", "deleted")
    ]
    return (
        ", ".join(f"{count} {what}" for count, what in counts if count) or "no revision of its own"
    )


def _files(pull: PullRequest) -> Iterator[str]:
    for migration in pull.migrations[:SHOWN]:
        joins = (
            f", joins {' and '.join(code(id, 60) for id in migration['joins'][:4])}"
            if migration.get("joins")
            else ""
        )
        needs = (
            f", depends on {', '.join(code(id, 60) for id in migration['depends_on'][:4])}"
            if migration.get("depends_on")
            else ""
        )
        message = f" {plain(migration['message'], 120)}" if migration.get("message") else ""
        whose = f" of {plain(migration['called'], 60)}" if migration.get("called") else ""
        # An edit that only SQL can judge is told of below.
        edit = "" if migration.get("edit") in (None, edits.UNCLEAR) else migration["told"]
        yield (
            f"- {migration['what']} {code(migration['id'], 60)}{whose}{message} in"
            f" {code(migration['path'])}{joins}{needs}{f': {prose(edit, 500)}' if edit else ''}"
        )
    if len(pull.migrations) > SHOWN:
        yield f"- and {len(pull.migrations) - SHOWN} more"


def _risks(risks: Sequence[risk.Risk]) -> Iterator[str]:
    for shown in risks[:SHOWN]:
        instead = f" *Instead:* {prose(shown.rewrite, 400)}" if shown.rewrite else ""
        yield (
            f"- **{shown.severity}** ({code(shown.code)}) {code(shown.revision, 60)}:"
            f" {prose(shown.sentence, 500)}{instead}"
        )
    if len(risks) > SHOWN:
        yield f"- and {len(risks) - SHOWN} more"
