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
    Service,
)
from environments.previews import actions, adoption, creating
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
    context: dict[str, object] = {"projects": projects, "project": project}
    name = "preview_panels" if by_htmx(request) else "previews"
    shown = context | (_shown(project) if project else {})
    return render(request, f"environments/previews/{name}.html", shown)


def _shown(project: Project) -> dict[str, object]:
    rows = Preview.objects.filter(project=project)
    there = list(rows.exclude(state=PreviewState.GONE))
    gone = rows.filter(state=PreviewState.GONE).order_by("-finished_at", "-pk")
    services = Service.objects.filter(project=project, gone_at=None)
    moving = any(row.state not in (PreviewState.LIVE, PreviewState.FAILED) for row in there)
    return {
        "previews": there,
        "gone": gone[:GONE_SHOWN],
        "outsiders": adoption.outsiders(project),
        "railway_makes": creating.RAILWAY_MAKES if adoption.railway_makes(project) else "",
        "asked": sorted(
            {tuple(variable.split(": ", 1)) for row in there for variable in row.missing}
        ),
        "variables": PreviewVariable.objects.filter(project=project),
        "services": services.values_list("name", flat=True),
        "pulse": 2 if moving else 10,
    }


def _back(project: Project) -> str:
    return f"{reverse('environments:previews')}?project={project.slug}"


@page
@require_POST
def rebuild(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a preview built again."""
    preview = get_object_or_404(Preview.objects.select_related("project"), pk=pk)
    act, message = partial(actions.rebuild_preview, preview), f"{preview} is being rebuilt."
    return run_action(request, _back(preview.project), act, message)


@page
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a preview deleted."""
    preview = get_object_or_404(Preview.objects.select_related("project"), pk=pk)
    act = partial(actions.remove_preview, preview)
    message = f"{preview} is being removed. The next push recreates it."
    return run_action(request, _back(preview.project), act, message)


@sensitive_post_parameters("value")
@page
@require_POST
def set_variable(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep a value that every preview gets."""
    project = get_object_or_404(Project, slug=slug)
    act, form = partial(actions.set_preview_variable, project), PreviewVariableForm(request.POST)
    message = f"The value of {form['name'].value()} is saved for previews. It is not shown again."
    return run_action(request, _back(project), act, message, form=form)


@page
@require_POST
def remove_variable(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a value that every preview got."""
    row = get_object_or_404(PreviewVariable.objects.select_related("project"), pk=pk)
    act = partial(actions.remove_preview_variable, row)
    message = f"New previews no longer get a separate value for {row.name}."
    return run_action(request, _back(row.project), act, message)


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
    message = f"{environment} is being deleted."
    return run_action(request, _back(environment.project), act, message, form=form)
