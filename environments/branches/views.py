"""Staging brought level with main, and the page of protections."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from environments.branches import actions as branches_actions
from environments.branches import protection
from environments.findings.views import _ask
from environments.models import (
    Branch,
    BranchProtection,
    Project,
    Repair,
    RepairKind,
)
from portal.ui.site import page, perform

REPAIRS_SHOWN = 10


@page
def sync_staging(request: HttpRequest, slug: str) -> HttpResponse:
    """Has staging brought level with main."""
    project = get_object_or_404(Project, slug=slug)
    said = "Both branches are being looked at; what came of it stands below."
    return _ask(request, project, lambda: branches_actions.sync_staging(project, actor=request.user), said)


@page
def back_merge(request: HttpRequest, slug: str) -> HttpResponse:
    """Has a pull request opened that merges main back into staging."""
    project = get_object_or_404(Project, slug=slug)
    said = "The pull request is being opened."
    return _ask(request, project, lambda: branches_actions.open_back_merge(project, actor=request.user), said)


@page
def protections_(request: HttpRequest) -> HttpResponse:
    """What is to bind each long-lived branch beside what does. Five queries whatever the counts."""
    projects = list(Project.objects.select_related("protection_sync"))
    slug = request.GET.get("project", "")
    project = next((one for one in projects if one.slug == slug), projects[0] if projects else None)
    context: dict[str, Any] = {"projects": projects, "project": project}
    if project is not None:
        rows = {row.branch: row for row in BranchProtection.objects.filter(project=project)}
        repairs = Repair.objects.filter(project=project, kind=RepairKind.PROTECT).select_related("requested_by")
        latest: dict[str, Repair] = {}
        for repair in repairs[:REPAIRS_SHOWN]:
            latest.setdefault(repair.subject, repair)
        context["branches"] = [
            (
                branch,
                rows.get(branch),
                latest.get(branch),
                json.dumps(protection.body_for(project, branch), indent=2),
                protection.clicks(project, branch),
            )
            for branch in protection.branches(project)
        ]
        main = Branch.objects.filter(project=project, name=project.production_branch).only("merge_rules").first()
        context["deletes_heads"] = bool(main and (main.merge_rules or {}).get("deletes_heads"))
        context["sync"] = getattr(project, "protection_sync", None)
    return render(request, "environments/branches/protections.html", context)


@page
def protect(request: HttpRequest, slug: str) -> HttpResponse:
    """Has a branch protected as it should be."""
    project = get_object_or_404(Project, slug=slug)
    then = f"{reverse('protections')}?project={project.slug}"
    if request.method != "POST":
        return HttpResponseRedirect(then)
    branch = request.POST.get("value", "").replace("\x00", "")
    if request.POST.get("keep_heads"):
        said = "Automatically delete head branches is being switched off."
        return perform(request, then, lambda: branches_actions.keep_heads(project, actor=request.user), said)
    said = f"{branch} is being protected, and read again."
    return perform(
        request, then, lambda: branches_actions.protect_branch(project, actor=request.user, branch=branch), said
    )
