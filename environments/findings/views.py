"""Closing a finding from a page."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from environments.finding_kinds.registry import KINDS
from environments.findings import actions as findings_actions
from environments.models import (
    Finding,
    Project,
)
from portal.ui.site import page, perform


@page
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Closes a finding by a person's reason."""
    finding = get_object_or_404(Finding.objects.select_related("project"), pk=pk)
    then = f"{reverse('environments')}?project={finding.project.slug}#findings"
    if request.method != "POST":
        return HttpResponseRedirect(then)
    reason = request.POST.get("reason", "").replace("\x00", "")
    again = KINDS[finding.kind].closes_itself
    said = f"The finding is closed{'; it opens again if the next reading still sees it' if again else ''}."
    return perform(
        request, then, lambda: findings_actions.resolve_finding(finding, actor=request.user, reason=reason), said
    )


def _ask(request: HttpRequest, project: Project, act: Callable[[], Any], said: str) -> HttpResponse:
    """Does what was posted and goes back to the project's environments; a mere look does nothing."""
    then = f"{reverse('environments')}?project={project.slug}#repairs"
    return perform(request, then, act, said) if request.method == "POST" else HttpResponseRedirect(then)
