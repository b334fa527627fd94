"""Putting one service right from a page."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from environments.findings.views import _ask
from environments.models import (
    ServiceInstance,
)
from environments.repairs import actions as repairs_actions
from portal.ui.site import page


@page
def repair_branch(request: HttpRequest, pk: int) -> HttpResponse:
    """Has a service follow the branch that the person confirmed."""
    wanted = request.POST.get("value", "")[:200].replace("\x00", "")
    return _put_right(request, pk, lambda one: repairs_actions.repair_branch(one, actor=request.user, wanted=wanted))


@page
def repair_push(request: HttpRequest, pk: int) -> HttpResponse:
    """Has a service deployed on push again."""
    return _put_right(request, pk, lambda one: repairs_actions.switch_push_on(one, actor=request.user))


@page
def deploy_head(request: HttpRequest, pk: int) -> HttpResponse:
    """Has the commit deployed that the person confirmed."""
    commit = request.POST.get("value", "")[:64].replace("\x00", "")
    return _put_right(request, pk, lambda one: repairs_actions.deploy_head(one, actor=request.user, commit=commit))


def _put_right(request: HttpRequest, pk: int, act: Callable[[ServiceInstance], Any]) -> HttpResponse:
    """Does it to the service in its environment, or says that Railway no longer has it."""
    instance = ServiceInstance.objects.select_related("service__project", "environment").filter(pk=pk).first()
    if instance is not None:
        return _ask(request, instance.service.project, lambda: act(instance), "Railway is being told.")
    messages.error(request, "This service was deleted on Railway, so nothing was done; look at the page again.")
    return HttpResponseRedirect(reverse("environments"))
