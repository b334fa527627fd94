"""The page *Project settings*: one form for each concern of a project, then people, checklists
and smoke tests.
"""

from functools import partial

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.models import Project
from portal.configuration.admin import tell
from portal.models.configuration import ConfigurationChange
from portal.ui.project_picker import picked
from portal.ui.site import page, run_action
from releases.models import ChecklistTemplate
from releases.project_settings import actions, smoke_tests
from releases.project_settings.sections import SECTIONS, Section


@page
def settings(request: HttpRequest) -> HttpResponse:
    """Show the settings of the project that the address names, or of the first."""
    projects = list(Project.objects.all())
    return _rendered(request, picked(request, projects), projects)


@page
@require_POST
def save(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """Save one section; show the page again with what is wrong with it."""
    if key not in SECTIONS:
        raise Http404("Unknown section.")
    project = get_object_or_404(Project, slug=slug)
    form = _form(SECTIONS[key], get_object_or_404(Project, slug=slug), request, request.POST)
    if not form.is_valid():
        return _rendered(request, project, list(Project.objects.all()), {key: form})
    then = f"{reverse('releases:settings')}?project={slug}#{key}"
    act = partial(actions.change_settings, project)
    return run_action(request, then, act, form=form, landing=partial(_landing, request, then))


def _landing(request: HttpRequest, then: str, change: ConfigurationChange | None) -> str:
    """Tell the person whether the settings hold already; return `then`."""
    if change is None:
        messages.success(request, "The settings are saved.")
    tell(request, change)
    return then


def _form(
    section: Section, project: Project, request: HttpRequest, data: QueryDict | None = None
) -> forms.ModelForm:
    """Return the section's form; read-only for who may not change projects."""
    form = section.form(data, instance=project, auto_id=f"id_{section.key}_%s", label_suffix="")
    for field in form.fields.values():
        field.disabled = not request.user.has_perm(actions.CHANGE)
    return form


def _rendered(
    request: HttpRequest,
    project: Project | None,
    projects: list[Project],
    bound: dict[str, forms.ModelForm] | None = None,
) -> HttpResponse:
    context: dict[str, object] = {"projects": projects, "project": project}
    if project is not None:
        context |= {
            "sections": [
                (section, (bound or {}).get(section.key) or _form(section, project, request))
                for section in SECTIONS.values()
            ],
            "waiting": ConfigurationChange.objects.filter(
                scope=project.slug, state=ConfigurationChange.State.WAITING
            ).count(),
            "people": _people(),
            "checklists": ChecklistTemplate.objects.filter(project=project).prefetch_related(
                "items"
            ),
            "smoke_tests": project.smoke_tests.all(),
            "proposals": smoke_tests.proposed_for(project),
            "databases": project.databases.all(),
            "may": {
                "change": request.user.has_perm(actions.CHANGE),
                "smoke": request.user.has_perm(smoke_tests.ADD),
            },
        }
    return render(request, "releases/project_settings/settings.html", context)


def _people() -> list[tuple[User, list[str]]]:
    """Return who may use the portal, with their roles. Two queries."""
    people = User.objects.filter(is_active=True, is_staff=True).prefetch_related("groups")
    return [(user, [group.name for group in user.groups.all()]) for user in people]
