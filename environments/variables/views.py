"""The page that compares the variables of two environments: names, never values."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from environments.models import Environment, Project, in_order
from environments.variables import rules as variables_rules
from environments.variables.comparison import difference
from portal.ui.project_picker import picked
from portal.ui.site import page

EXPECTED = ("different", "reference")


@page
def variables(request: HttpRequest) -> HttpResponse:
    """Show two environments side by side, staging and production unless others are asked for.

    A fixed number of queries.
    """
    projects = list(Project.objects.all())
    project = picked(request, projects)
    context: dict[str, object] = {"projects": projects, "project": project}
    if project is not None:
        environments = in_order(Environment.objects.present().filter(project=project))
        first = _chosen(request, "a", environments, 0)
        second = _chosen(request, "b", environments, 1)
        lines = difference(first, second) if first and second else []
        shown = [line for line in lines if request.GET.get("all") or line.state not in EXPECTED]
        context |= {
            "environments": environments,
            "first": first,
            "second": second,
            "lines": shown,
            "verdicts": variables_rules.verdicts(project),
            "hidden": len(lines) - len(shown),
        }
    return render(request, "environments/variables/variables.html", context)


def _chosen(
    request: HttpRequest, name: str, environments: list[Environment], place: int
) -> Environment | None:
    """Return the environment asked for under `name`, else the one that usually stands there."""
    chosen = [row for row in environments if str(row.pk) == request.GET.get(name)]
    usual = environments[place:] or environments[-1:]
    return next(iter(chosen + usual), None)
