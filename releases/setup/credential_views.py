"""The page of one project's own credentials."""

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from environments.models import Project
from portal.ui.project_picker import picked
from portal.ui.site import page
from releases.setup import credentials
from releases.setup.forms import OwnCredentialForm
from releases.setup.github_app import PERMISSION
from releases.setup.views import told_and_back


@page
def project_credentials(request: HttpRequest) -> HttpResponse:
    """Show which credential counts for a project; its own is pasted and removed here."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    projects = list(Project.objects.all())
    project = picked(request, projects)
    context: dict[str, object] = {"projects": projects, "project": project}
    if project is not None:
        context["scope"] = project.slug
        context["statuses"] = [
            credentials.status_of(service, project.slug) for service in credentials.LABELS
        ]
    return render(request, "releases/setup/credentials.html", context)


@page
@require_POST
def remove_own(request: HttpRequest) -> HttpResponse:
    """Remove a project's own credential; the portal's counts again."""
    return told_and_back(request, _remove, OwnCredentialForm(request.POST))


def _remove(*, actor: User, service: str, scope: str) -> str:
    return credentials.use_the_portals(service, actor=actor, scope=scope)
