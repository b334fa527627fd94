"""The page Connections."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone

from environments.connections import actions as connections_actions
from environments.models import (
    ConnectionCheck,
    DeployKey,
)
from portal.ui.site import page, perform


@page
def connections(request: HttpRequest) -> HttpResponse:
    """What each credential is and can do here, as it was last found out. One query."""
    check = ConnectionCheck.objects.first()
    context = {"check": check, "waiting": bool(check and (check.checked_at is None or check.wake_at <= timezone.now()))}
    return render(request, "environments/connections/connections.html", context)


@page
def check_connections(request: HttpRequest) -> HttpResponse:
    """Has the credentials looked at again."""
    then = reverse("connections")
    if request.method != "POST":
        return HttpResponseRedirect(then)
    check = ConnectionCheck.objects.first() or ConnectionCheck(single=True)
    said = "The connections are being checked."
    return perform(request, then, lambda: connections_actions.check_connections(check, actor=request.user), said)


@page
def pin_host_keys(request: HttpRequest, slug: str) -> HttpResponse:
    """Pins the host keys that the person compared."""
    then = reverse("connections")
    if request.method != "POST":
        return HttpResponseRedirect(then)
    key = get_object_or_404(DeployKey.objects.select_related("project").defer("private_key"), project__slug=slug)
    chosen = [one[:100].replace("\x00", "") for one in request.POST.getlist("fingerprint")[:20]]
    said = "The host keys are pinned; the connection is being tried again."
    return perform(
        request, then, lambda: connections_actions.pin_host_keys(key, actor=request.user, fingerprints=chosen), said
    )
