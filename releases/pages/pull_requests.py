"""The list of open pull requests: what an author must fix before theirs can be merged."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from environments.models import Branch, Preview, Project, databases_of
from environments.schema.plan.risk import Risk
from portal.ui.project_picker import picked
from portal.ui.site import by_htmx, page
from releases import gates
from releases.models.pull_requests import PullRequest, PullRequestComment
from releases.models.releases import Release
from releases.pages.migrations import RISK_STATE

REVIEWS = {
    "approved": ("pass", "approved"),
    "changes_requested": ("fail", "changes requested"),
    "review_required": ("wait", "review required"),
    "": ("skipped", "none required"),
}
CONFLICTS = {"mergeable": ("pass", "none"), "conflicting": ("fail", "conflicts with its base")}
SHOWN = 200


@dataclass(frozen=True)
class Row:
    """One pull request as the list shows it; each pair is a state (pass, wait, fail, skipped)
    and words.
    """

    pull: PullRequest
    checks: gates.Result
    reviews: tuple[str, str]
    conflicts: tuple[str, str]
    migrations: tuple[str, str]
    preview: Preview | None
    promotion: bool  # goes into production
    hotfix: bool  # and not out of staging
    release: Release | None = None  # that it promotes, while that is prepared or promoted
    risks: tuple[
        tuple[str, Risk], ...
    ] = ()  # of its migrations that somebody would have to accept, with their state
    unread: str = ""  # why their SQL was not looked at

    @property
    def warnings(self) -> list[str]:
        """What its author has to fix besides the checks."""
        return [
            message for message in (self.pull.cut_wrong, self.pull.migrations_problem) if message
        ]


@page
def index(request: HttpRequest) -> HttpResponse:
    """Open pull requests of one project, newest first. Seven queries whatever the counts."""
    projects = list(Project.objects.select_related("github_sync"))
    project = picked(request, projects)
    context: dict[str, object] = {"projects": projects, "project": project, "pulse": 5}
    if project is not None:
        rows = _rows(project)
        context |= {"rows": rows, "hotfix_open": any(row.hotfix and row.release for row in rows)}
        context |= {
            "may_cut": request.user.has_perm("releases.cut_release"),
            "sync": getattr(project, "github_sync", None),
        }
        context["commands"] = [
            line.strip() for line in project.pre_push.splitlines() if line.strip()
        ]
    return render(
        request,
        "releases/pages/pull_panels.html" if by_htmx(request) else "releases/pages/pulls.html",
        context,
    )


def _rows(project: Project) -> list[Row]:
    branches = {row.name: row for row in Branch.objects.filter(project=project)}
    previews = {
        row.number: row for row in Preview.objects.filter(project=project).exclude(state="gone")
    }
    notes = {row.number: row for row in PullRequestComment.objects.filter(project=project)}
    pulls = PullRequest.objects.filter(
        project=project, state="open", base__in=[project.staging_branch, project.production_branch]
    ).order_by("-number")[:SHOWN]
    preparing = Release.objects.in_preparation().filter(project=project).only("name", "pull_number")
    releases = {row.pull_number: row for row in preparing}
    migrated = bool(databases_of(project))
    return [
        Row(
            pull=pull,
            checks=_checks(project, pull, branches.get(pull.base)),
            reviews=REVIEWS.get(
                pull.review_decision, ("wait", pull.review_decision.replace("_", " "))
            ),
            conflicts=CONFLICTS.get(pull.mergeable, ("wait", "not known yet")),
            migrations=_migrations(project, pull, branches.get(project.staging_branch), migrated),
            preview=previews.get(pull.number),
            promotion=pull.base == project.production_branch,
            hotfix=pull.base == project.production_branch
            and (pull.fork or pull.head != project.staging_branch),
            release=releases.get(pull.number),
            risks=_risks(notes.get(pull.number), pull),
            unread=notes[pull.number].unread if pull.number in notes and pull.migrations else "",
        )
        for pull in pulls
    ]


def _risks(note: PullRequestComment | None, pull: PullRequest) -> tuple[tuple[str, Risk], ...]:
    """Return what can go wrong with the files that it brings now, as far as they were looked at."""
    files = {(migration["id"], migration.get("sha256", "")) for migration in pull.migrations}
    risks = (Risk(**risk) for risk in note.risks) if note else ()
    return tuple(
        (RISK_STATE[risk.severity], risk)
        for risk in risks
        if risk.asks and (risk.revision, risk.sha256) in files
    )


def _checks(project: Project, pull: PullRequest, branch: Branch | None) -> gates.Result:
    if pull.checks is None:
        message = "Reading checks… Connections shows what the token may read."
        return gates.Result(gates.PENDING, message)
    if branch is None or branch.required_contexts is None:
        return gates.Result(
            gates.PENDING,
            f"The rules of {pull.base} could not be read, so required checks are unknown.",
        )
    required = tuple(dict.fromkeys([*branch.required_contexts, *project.required_checks]))
    return gates.judge_checks(pull.checks, required, pull.checks_at or pull.seen_at)


def _migrations(
    project: Project, pull: PullRequest, staging: Branch | None, migrated: bool
) -> tuple[str, str]:
    if pull.base != project.staging_branch:
        return "skipped", "see release"
    if not migrated:
        return "skipped", "not used by this project"
    if staging is None or pull.read_for != f"{staging.head}..{pull.head_sha}":
        return "wait", "being read"
    if pull.migrations_problem:
        return "fail", _count(pull.migrations)
    return ("pass", _count(pull.migrations)) if pull.migrations else ("skipped", "none")


def _count(rows: Sequence[object]) -> str:
    return f"{len(rows)} revision{'s' if len(rows) != 1 else ''}"
