"""The page *Runbook*."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from environments.models import Project
from portal.ui.project_picker import picked
from portal.ui.site import page
from releases.runbook.facts import facts_of
from releases.runbook.retiring import retirements
from releases.runbook.steps import steps


@page
def runbook(request: HttpRequest) -> HttpResponse:
    """Show each step of a manual workflow, where it is done here, and what the repository holds of
    the old way. Ten queries.
    """
    projects = list(Project.objects.all())
    project = picked(request, projects)
    context: dict[str, object] = {"projects": projects, "project": project}
    if project is not None:
        facts = facts_of(project)
        listed = steps(facts)
        context |= {
            "steps": listed,
            "ready": sum(not step.missing for step in listed),
            "reading": facts.reading,
            "retirements": retirements(facts),
        }
    return render(request, "releases/runbook/runbook.html", context)
