"""The page *Notifications*: one's own channels, the team's for who may manage them, and a form for a new one."""

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from portal.ui.site import page, perform
from releases.models import Channel
from releases.notifications import actions
from releases.notifications.forms import ChannelForm, KindsForm
from releases.notifications.kinds.registry import KINDS


@page
def notifications(request: HttpRequest) -> HttpResponse:
    """Show the channels; take a new one."""
    manages = request.user.has_perm(actions.MANAGE)
    form, secret = ChannelForm(request.POST or None, may_manage=manages), ""
    if request.method == "POST" and form.is_valid():
        answer, secret = _add(request, form.cleaned_data)
        if not secret:
            return answer
        form = ChannelForm(may_manage=manages)
    rows = Channel.objects.select_related("project", "person").defer("address", "secret").filter(_mine(request))
    channels = [(one, KindsForm(initial={"kinds": one.kinds}, auto_id=f"id_{one.pk}_%s"), _told(one)) for one in rows]
    return render(request, "releases/notifications.html", {"channels": channels, "form": form, "secret": secret})


@page
def channel_do(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Change, remove or test a channel; to look at the address does nothing and leads back."""
    then = reverse("notifications")
    if request.method != "POST":
        return HttpResponseRedirect(then)
    channel = get_object_or_404(Channel.objects.filter(_mine(request)).defer("address", "secret"), pk=pk)
    act, said = {
        "kinds": (lambda: actions.change_channel(channel, actor=request.user, kinds=request.POST.getlist("kinds")),
                  "Channel saved."),
        "remove": (lambda: actions.remove_channel(channel, actor=request.user), "Channel removed."),
        "test": (lambda: actions.test_channel(channel, actor=request.user), "A test is on its way."),
    }.get(verb, (lambda: None, ""))  # fmt: skip
    return perform(request, then, act, said)


def _add(request: HttpRequest, typed: dict[str, Any]) -> tuple[HttpResponse, str]:
    """The way back to the page, or the signing secret that this answer alone shows."""
    secrets = []

    def act() -> None:
        wanted = {name: typed[name] for name in ("name", "transport", "address", "kinds")}
        personal = not typed.get("team")
        _, secret = actions.add_channel(typed["project"], actor=request.user, personal=personal, **wanted)
        secrets.append(secret)

    answer = perform(request, reverse("notifications"), act, "Channel added. Send a test.")
    return answer, "".join(secrets)


def _mine(request: HttpRequest) -> Q:
    own = Q(person=request.user.pk)
    return own | Q(person=None) if request.user.has_perm(actions.MANAGE) else own


def _told(channel: Channel) -> list[str]:
    return [KINDS[name].label for name in channel.kinds if name in KINDS]
