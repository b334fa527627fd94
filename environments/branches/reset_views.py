"""Resetting staging to main: asked for by one person, signed by another, each for exactly the heads on their page."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from environments.branches import actions
from environments.models import Project, StagingReset
from portal.ui.site import page, perform


@page
def ask(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks for a reset."""
    project, reason = get_object_or_404(Project, slug=slug), _posted(request, "reason", 2000)
    said = "The reset is asked for; a second person has to sign it."
    return _answer(
        request,
        project,
        lambda: actions.request_reset(project, actor=request.user, reason=reason, **_heads(request)),
        said,
    )


@page
def sign(request: HttpRequest, pk: int) -> HttpResponse:
    """Signs a reset that somebody else asked for."""
    reset = _reset(pk)
    said = "The reset is signed; what comes of it stands below."
    return _answer(
        request, reset.project, lambda: actions.sign_reset(reset, actor=request.user, **_heads(request)), said
    )


@page
def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Gives a reset up."""
    reset = _reset(pk)
    return _answer(
        request, reset.project, lambda: actions.take_reset_back(reset, actor=request.user), "The reset is taken back."
    )


def _reset(pk: int) -> StagingReset:
    return get_object_or_404(StagingReset.objects.select_related("project"), pk=pk)


def _heads(request: HttpRequest) -> dict[str, str]:
    return {name: _posted(request, name, 64) for name in ("staging", "main")}


def _posted(request: HttpRequest, name: str, longest: int) -> str:
    return request.POST.get(name, "")[:longest].replace("\x00", "")


def _answer(request: HttpRequest, project: Project, act: Callable[[], Any], said: str) -> HttpResponse:
    then = f"{reverse('environments')}?project={project.slug}#repairs"
    return perform(request, then, act, said) if request.method == "POST" else HttpResponseRedirect(then)
