"""The page that shows what a project that only watches would have sent."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from environments.models import Project
from environments.models.watch_only import WithheldWrite
from portal.ui.site import page

SHOWN = 200


@page
def watch_only_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what was held back, newest first, and the switch. Two queries."""
    project = get_object_or_404(Project, slug=slug)
    context = {
        "project": project,
        "withheld": WithheldWrite.objects.filter(project=project)[:SHOWN],
        "may_switch": request.user.has_perm("environments.change_project"),
    }
    return render(request, "releases/project_settings/watch_only.html", context)
