"""Buttons that repair one service."""

from collections.abc import Callable
from functools import partial

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.findings.views import repairs_of
from environments.models import Repair, ServiceInstance
from environments.repairs import actions
from portal.audit import Actor
from portal.ui.forms import ConfirmedForm
from portal.ui.site import page, run_action


@page
@require_POST
def repair_branch(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a service follow the branch that the person confirmed."""

    def act(instance: ServiceInstance, *, actor: Actor, value: str) -> Repair:
        return actions.repair_branch(instance, actor=actor, wanted=value)

    return _repaired(request, pk, act, ConfirmedForm(request.POST))


@page
@require_POST
def repair_push(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a service deployed on push again."""
    return _repaired(request, pk, actions.switch_push_on)


@page
@require_POST
def deploy_head(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the commit deployed that the person confirmed."""

    def act(instance: ServiceInstance, *, actor: Actor, value: str) -> Repair:
        return actions.deploy_head(instance, actor=actor, commit=value)

    return _repaired(request, pk, act, ConfirmedForm(request.POST))


def _repaired(
    request: HttpRequest, pk: int, act: Callable[..., Repair], form: forms.Form | None = None
) -> HttpResponse:
    """Do it to the service in its environment, or say that Railway no longer has it."""
    instance = (
        ServiceInstance.objects.select_related("service__project", "environment")
        .filter(pk=pk)
        .first()
    )
    if instance is not None:
        then, message = repairs_of(instance.service.project), "Sending the request to Railway…"
        return run_action(request, then, partial(act, instance), message, form=form)
    messages.error(
        request, "This service was deleted on Railway, so nothing was done. Reload the page."
    )
    return HttpResponseRedirect(reverse("environments:environments"))
