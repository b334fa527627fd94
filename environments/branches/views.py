"""The button that syncs staging with main, and the page of branch protections."""

import json
from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.branches import actions as branches_actions
from environments.branches import apply_protection, protection, protection_rules
from environments.branches.forms import ProtectForm, RequiredForm
from environments.findings.views import repairs_of
from environments.models import Branch, BranchProtection, Project, Repair, RepairKind
from portal.audit import Actor
from portal.ui.project_picker import picked
from portal.ui.site import page, run_action

REPAIRS_SHOWN = 10


@page
@require_POST
def sync_staging(request: HttpRequest, slug: str) -> HttpResponse:
    """Have staging brought level with main."""
    project = get_object_or_404(Project, slug=slug)
    message = "Comparing both branches… See the result below."
    return run_action(
        request, repairs_of(project), partial(branches_actions.sync_staging, project), message
    )


@page
@require_POST
def back_merge(request: HttpRequest, slug: str) -> HttpResponse:
    """Have a pull request opened that merges main back into staging."""
    project = get_object_or_404(Project, slug=slug)
    message = "The pull request is being opened."
    return run_action(
        request, repairs_of(project), partial(branches_actions.open_back_merge, project), message
    )


@page
def protections_(request: HttpRequest) -> HttpResponse:
    """Show what is to bind each long-lived branch beside what does. Five queries whatever the
    counts.
    """
    projects = list(Project.objects.select_related("protection_sync"))
    project = picked(request, projects)
    context: dict[str, object] = {"projects": projects, "project": project}
    if project is not None:
        rows = {row.branch: row for row in BranchProtection.objects.filter(project=project)}
        repairs = Repair.objects.filter(project=project, kind=RepairKind.PROTECT).select_related(
            "requested_by"
        )
        latest: dict[str, Repair] = {}
        for repair in repairs[:REPAIRS_SHOWN]:
            latest.setdefault(repair.subject, repair)
        context["applying"] = any(repair.is_open for repair in latest.values())
        context["branches"] = [
            _shown(project, branch, rows.get(branch), latest.get(branch))
            for branch in protection.branches(project)
        ]
        context["checks"] = apply_protection.proposed(project, rows)
        main = (
            Branch.objects.filter(project=project, name=project.production_branch)
            .only("merge_rules")
            .first()
        )
        context["deletes_heads"] = bool(main and (main.merge_rules or {}).get("deletes_heads"))
        context["sync"] = getattr(project, "protection_sync", None)
    return render(request, "environments/branches/protections.html", context)


def _shown(
    project: Project, branch: str, row: BranchProtection | None, repair: Repair | None
) -> dict[str, object]:
    """Return what the page says of one branch."""
    return {
        "name": branch,
        "row": row,
        "repair": repair,
        "changes": apply_protection.changes(project, branch, row) if row else None,
        "seen": apply_protection.digest(project, branch, row) if row else "",
        "body": json.dumps(protection_rules.body_for(project, branch), indent=2),
        "clicks": protection.clicks(project, branch),
    }


@page
@require_POST
def require(request: HttpRequest, slug: str) -> HttpResponse:
    """Have checks, approvals and the portal's App required as a person picked them."""
    project = get_object_or_404(Project, slug=slug)
    message = "What is required is saved, or waits under Changes for a second person to confirm it."
    return run_action(
        request,
        _protections_of(project),
        partial(branches_actions.require_of_branches, project),
        message,
        form=RequiredForm(request.POST),
    )


@page
@require_POST
def protect(request: HttpRequest, slug: str) -> HttpResponse:
    """Have a branch protected as the policy asks."""
    project = get_object_or_404(Project, slug=slug)
    form = ProtectForm(request.POST)

    def act(actor: Actor, value: str, seen: str) -> Repair:
        return branches_actions.protect_branch(project, actor=actor, branch=value, seen=seen)

    message = f"{form['value'].value()} is being protected…"
    return run_action(request, _protections_of(project), act, message, form=form)


@page
@require_POST
def keep_heads(request: HttpRequest, slug: str) -> HttpResponse:
    """Have GitHub's automatic deletion of head branches switched off."""
    project = get_object_or_404(Project, slug=slug)
    message = "Automatically delete head branches is being switched off."
    return run_action(
        request, _protections_of(project), partial(branches_actions.keep_heads, project), message
    )


def _protections_of(project: Project) -> str:
    return f"{reverse('environments:protections')}?project={project.slug}"
