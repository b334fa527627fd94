"""The button that takes over the new name of a repository."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.models import Project
from environments.renaming.actions import use_new_name
from environments.renaming.forms import RenameForm
from portal.ui.site import page, run_action

SAID = "The new name is taken over, or needs a second person's confirmation under Changes."


@page
@require_POST
def rename(request: HttpRequest, slug: str) -> HttpResponse:
    """Have the project use the name that GitHub calls its repository now."""
    project = get_object_or_404(Project, slug=slug)
    then = f"{reverse('environments:protections')}?project={project.slug}"
    return run_action(
        request, then, partial(use_new_name, project), SAID, form=RenameForm(request.POST)
    )
