"""Closing a finding from a page."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.finding_kinds.registry import KINDS
from environments.findings import actions as findings_actions
from environments.findings.forms import ResolveForm, ResolveSeveralForm
from environments.models import Finding, Project
from portal.ui.site import page, run_action


@page
@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Close a finding by a person's reason."""
    finding = get_object_or_404(Finding.objects.select_related("project"), pk=pk)
    again = KINDS[finding.kind].closes_itself
    reopens = "; it reopens if the next reading still sees it" if again else ""
    act, form = partial(findings_actions.resolve_finding, finding), ResolveForm(request.POST)
    message = f"The finding is resolved{reopens}."
    return run_action(request, _findings_of(finding.project), act, message, form=form)


@page
@require_POST
def resolve_several(request: HttpRequest, slug: str) -> HttpResponse:
    """Close the findings that a person selected, for one reason."""
    project = get_object_or_404(Project, slug=slug)
    known = Finding.objects.open().filter(project=project).values_list("pk", flat=True)
    form = ResolveSeveralForm(request.POST, known)
    act = partial(findings_actions.resolve_findings, project)
    message = "The findings are resolved; what the next reading still sees opens again."
    return run_action(request, _findings_of(project), act, message, form=form)


def _findings_of(project: Project) -> str:
    return f"{reverse('environments:environments')}?project={project.slug}#findings"


def repairs_of(project: Project) -> str:
    """Return the address of the project's repairs, where the person sees what came of one."""
    return f"{reverse('environments:environments')}?project={project.slug}#repairs"
