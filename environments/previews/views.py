"""The page of preview environments, and what can be done about each."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from environments.models import Environment, Preview, PreviewState, PreviewVariable, Project, RailwaySync, Service
from environments.previews import actions
from environments.previews import steps as previews_steps
from portal.ui.site import by_htmx, page, perform

GONE_SHOWN = 10


@page
def index(request: HttpRequest) -> HttpResponse:
    """All previews of one project, what they wait for, and what looks like one. Seven queries whatever the counts."""
    projects = list(Project.objects.all())
    slug = request.GET.get("project", "")
    project = next((one for one in projects if one.slug == slug), projects[0] if projects else None)
    context: dict[str, Any] = {"projects": projects, "project": project} | (_shown(project) if project else {})
    template = (
        "environments/previews/preview_panels.html" if by_htmx(request) else "environments/previews/previews.html"
    )
    return render(request, template, context)


def _shown(project: Project) -> dict[str, Any]:
    rows = Preview.objects.filter(project=project)
    there = list(rows.exclude(state=PreviewState.GONE))
    asked = sorted({tuple(one.split(": ", 1)) for row in there for one in row.missing})
    return {
        "previews": there,
        "gone": list(rows.filter(state=PreviewState.GONE).order_by("-finished_at", "-pk")[:GONE_SHOWN]),
        "outsiders": previews_steps.outsiders(project),
        "railway_makes": previews_steps.RAILWAY_MAKES if _railway_makes(project) else "",
        "asked": asked,
        "variables": list(PreviewVariable.objects.filter(project=project)),
        "services": list(Service.objects.filter(project=project, gone_at=None).values_list("name", flat=True)),
        "pulse": 2 if any(row.state not in (PreviewState.LIVE, PreviewState.FAILED) for row in there) else 10,
    }


def _railway_makes(project: Project) -> bool:
    return RailwaySync.objects.filter(project=project, pr_environments=True).exists()


def _back(project: Project) -> str:
    return f"{reverse('previews')}?project={project.slug}"


@page
def rebuild(request: HttpRequest, pk: int) -> HttpResponse:
    """Has a preview built anew."""
    preview = get_object_or_404(Preview.objects.select_related("project"), pk=pk)
    if request.method != "POST":
        return HttpResponseRedirect(_back(preview.project))
    said = f"{preview} is being built anew."
    return perform(request, _back(preview.project), lambda: actions.rebuild_preview(preview, actor=request.user), said)


@page
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Has a preview deleted."""
    preview = get_object_or_404(Preview.objects.select_related("project"), pk=pk)
    if request.method != "POST":
        return HttpResponseRedirect(_back(preview.project))
    said = f"{preview} is being removed; the next push brings it back."
    return perform(request, _back(preview.project), lambda: actions.remove_preview(preview, actor=request.user), said)


@page
def set_variable(request: HttpRequest, slug: str) -> HttpResponse:
    """Keeps a value that every preview gets."""
    project = get_object_or_404(Project, slug=slug)
    if request.method != "POST":
        return HttpResponseRedirect(_back(project))
    given = {name: request.POST.get(name, "") for name in ("service", "name", "value")}
    said = f"Previews get this value of {given['name'][:80]}; it is not shown again."
    return perform(
        request, _back(project), lambda: actions.set_preview_variable(project, actor=request.user, **given), said
    )


@page
def remove_variable(request: HttpRequest, pk: int) -> HttpResponse:
    """Forgets a value that every preview got."""
    row = get_object_or_404(PreviewVariable.objects.select_related("project"), pk=pk)
    then = _back(row.project)
    if request.method != "POST":
        return HttpResponseRedirect(then)
    said = f"New previews no longer get a value of their own for {row.name}."
    return perform(request, then, lambda: actions.remove_preview_variable(row, actor=request.user), said)


@page
def adopt_outsider(request: HttpRequest, pk: int) -> HttpResponse:
    """Has the portal take over an environment that others made."""
    environment = get_object_or_404(Environment.objects.select_related("project"), pk=pk)
    then = _back(environment.project)
    if request.method != "POST":
        return HttpResponseRedirect(then)
    typed, said = request.POST.get("typed", ""), f"{environment} is the portal's from now on."
    return perform(request, then, lambda: actions.adopt_environment(environment, actor=request.user, typed=typed), said)


@page
def delete_outsider(request: HttpRequest, pk: int) -> HttpResponse:
    """Has an environment deleted that the portal did not make."""
    environment = get_object_or_404(Environment.objects.select_related("project"), pk=pk)
    then = _back(environment.project)
    if request.method != "POST":
        return HttpResponseRedirect(then)
    typed, said = request.POST.get("typed", ""), f"{environment} is being deleted."
    return perform(
        request, then, lambda: actions.delete_environment(environment, actor=request.user, typed=typed), said
    )
