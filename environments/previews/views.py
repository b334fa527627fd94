"""The page of preview environments, and what can be done about each."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from environments.models import (
    Environment,
    Preview,
    PreviewState,
    PreviewVariable,
    Project,
    RailwaySync,
    Service,
)
from environments.previews import actions, creating, outsiders
from environments.previews.forms import PreviewVariableForm, TypedNameForm
from portal.ui.project_picker import picked
from portal.ui.site import by_htmx, page, run_action

GONE_SHOWN = 10


@page
def index(request: HttpRequest) -> HttpResponse:
    """Show all previews of one project, what they wait for, and what looks like one.

    Seven queries whatever the counts.
    """
    projects = list(Project.objects.all())
    project = picked(request, projects)
    context: dict[str, object] = {"projects": projects, "project": project} | (
        _shown(project) if project else {}
    )
    template = (
        "environments/previews/preview_panels.html"
        if by_htmx(request)
        else "environments/previews/previews.html"
    )
    return render(request, template, context)


def _shown(project: Project) -> dict[str, object]:
    rows = Preview.objects.filter(project=project)
    there = list(rows.exclude(state=PreviewState.GONE))
    asked = sorted({tuple(one.split(": ", 1)) for row in there for one in row.missing})
    return {
        "previews": there,
        "gone": list(
            rows.filter(state=PreviewState.GONE).order_by("-finished_at", "-pk")[:GONE_SHOWN]
        ),
        "outsiders": outsiders.outsiders(project),
        "railway_makes": creating.RAILWAY_MAKES if _railway_makes(project) else "",
        "asked": asked,
        "variables": list(PreviewVariable.objects.filter(project=project)),
        "services": list(
            Service.objects.filter(project=project, gone_at=None).values_list("name", flat=True)
        ),
        "pulse": (
            2
            if any(row.state not in (PreviewState.LIVE, PreviewState.FAILED) for row in there)
            else 10
        ),
    }


def _railway_makes(project: Project) -> bool:
    return RailwaySync.objects.filter(project=project, pr_environments=True).exists()


def _back(project: Project) -> str:
    return f"{reverse('environments:previews')}?project={project.slug}"


@page
@require_POST
def rebuild(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a preview built again."""
    preview = get_object_or_404(Preview.objects.select_related("project"), pk=pk)
    message = f"{preview} is being rebuilt."
    return run_action(
        request, _back(preview.project), partial(actions.rebuild_preview, preview), message
    )


@page
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a preview deleted."""
    preview = get_object_or_404(Preview.objects.select_related("project"), pk=pk)
    message = f"{preview} is being removed. The next push recreates it."
    return run_action(
        request, _back(preview.project), partial(actions.remove_preview, preview), message
    )


@sensitive_post_parameters("value")
@page
@require_POST
def set_variable(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep a value that every preview gets."""
    project = get_object_or_404(Project, slug=slug)
    form = PreviewVariableForm(request.POST)
    message = f"The value of {form['name'].value()} is saved for previews. It is not shown again."
    return run_action(
        request, _back(project), partial(actions.set_preview_variable, project), message, form=form
    )


@page
@require_POST
def remove_variable(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a value that every preview got."""
    row = get_object_or_404(PreviewVariable.objects.select_related("project"), pk=pk)
    message = f"New previews no longer get a separate value for {row.name}."
    return run_action(
        request, _back(row.project), partial(actions.remove_preview_variable, row), message
    )


@page
@require_POST
def adopt_outsider(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the portal take over an environment that others made."""
    environment = get_object_or_404(Environment.objects.select_related("project"), pk=pk)
    act, form = partial(actions.adopt_environment, environment), TypedNameForm(request.POST)
    message = f"{environment} is now managed by the portal."
    return run_action(request, _back(environment.project), act, message, form=form)


@page
@require_POST
def delete_outsider(request: HttpRequest, pk: int) -> HttpResponse:
    """Have an environment deleted that the portal did not make."""
    environment = get_object_or_404(Environment.objects.select_related("project"), pk=pk)
    act, form = partial(actions.delete_environment, environment), TypedNameForm(request.POST)
    return run_action(
        request, _back(environment.project), act, f"{environment} is being deleted.", form=form
    )
