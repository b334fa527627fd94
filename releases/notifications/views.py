"""The page *Notifications*: one's own channels, the team's for who may manage them, a form."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from environments.models import Project
from portal.ui.site import page, run_action
from releases.models import Channel
from releases.notifications import actions
from releases.notifications.forms import ChannelForm, KindsForm
from releases.notifications.kinds.registry import KINDS

BUTTONS: dict[str, tuple[Callable[..., object], type[forms.Form], str]] = {
    "kinds": (
        actions.change_channel,
        KindsForm,
        "Noted. What a team's channel is told may wait for a second person.",
    ),
    "remove": (actions.remove_channel, forms.Form, "Channel removed."),
    "test": (actions.test_channel, forms.Form, "A test is on its way."),
}


@sensitive_post_parameters("address")  # of a webhook: whoever knows it may post
@page
def notifications(request: HttpRequest) -> HttpResponse:
    """Show the channels; take a new one."""
    manages = request.user.has_perm(actions.MANAGE)
    form, secret = ChannelForm(request.POST or None, may_manage=manages), ""
    if request.method == "POST" and form.is_valid():
        answer, secret = _add(request, form)
        if not secret:
            return answer
        form = ChannelForm(may_manage=manages)
    rows = Channel.objects.select_related("project", "person").defer("address", "secret")
    channels = [
        (row, KindsForm(initial={"kinds": row.kinds}, auto_id=f"id_{row.pk}_%s"), _told(row))
        for row in rows.filter(_mine(request))
    ]
    context = {"channels": channels, "form": form, "secret": secret}
    return render(request, "releases/notifications.html", context)


@page
@require_POST
def channel_do(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Change, remove or test a channel."""
    if verb not in BUTTONS:
        raise Http404("Unknown action.")
    act, form, message = BUTTONS[verb]
    channels = Channel.objects.filter(_mine(request)).defer("address", "secret")
    doing = partial(act, get_object_or_404(channels, pk=pk))
    page_ = reverse("releases:notifications")
    return run_action(request, page_, doing, message, form=form(request.POST))


def _add(request: HttpRequest, form: ChannelForm) -> tuple[HttpResponse, str]:
    """Return the way back to the page, and the signing secret if this answer is to show one."""
    secrets = []

    def act(project: Project | None, *, actor: User, team: bool = False, **typed: Any) -> None:
        _, secret = actions.add_channel(project, actor=actor, personal=not team, **typed)
        secrets.append(secret)

    page_ = reverse("releases:notifications")
    answer = run_action(request, page_, act, "Channel added.", form=form)
    return answer, "".join(secrets)


def _mine(request: HttpRequest) -> Q:
    own = Q(person=request.user.pk)
    return own | Q(person=None) if request.user.has_perm(actions.MANAGE) else own


def _told(channel: Channel) -> list[str]:
    return [KINDS[name].label for name in channel.kinds if name in KINDS]
