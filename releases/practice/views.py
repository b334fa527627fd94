"""The page *Practise*, which exists in the sandbox only."""

from functools import partial

from django import forms
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.models import Project
from portal.ui.actions import Refused
from portal.ui.site import page, run_action
from releases.practice import days, tour


class DayForm(forms.Form):
    """The day that a person begins."""

    name = forms.SlugField(max_length=50, error_messages={"required": "Choose a day."})


@page
def practice(request: HttpRequest) -> HttpResponse:
    """Show the tour's steps, and the days; 404 outside the sandbox."""
    if not settings.SANDBOX:
        raise Http404
    offered, problem = [], ""
    try:
        offered = days.offered()
    except Refused as refusal:
        problem = str(refusal)
    steps = tour.steps()
    context = {
        "steps": steps,
        "next": next((step for step in steps if not step.done), None),
        "days": offered,
        "problem": problem,
    }
    return render(request, "releases/practice/practice.html", context)


@page
@require_POST
def begin_day(request: HttpRequest) -> HttpResponse:
    """Begin the day of the form; back to the page with what happened."""
    project = Project.objects.order_by("pk").first() if settings.SANDBOX else None
    if project is None:
        raise Http404
    return run_action(
        request,
        reverse("releases:practice"),
        partial(days.begin, project),
        "The day has begun. The portal finds out by itself within a minute.",
        form=DayForm(request.POST),
    )
