"""The page Connections."""

from functools import partial

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from environments.connections import actions as connections_actions
from environments.connections.forms import HostKeysForm
from environments.models import ConnectionCheck, DeployKey
from portal.configuration.admin import tell
from portal.ui.site import page, run_action


@page
def connections(request: HttpRequest) -> HttpResponse:
    """Show what each credential is and can do here, as it was last found out. One query."""
    check = ConnectionCheck.objects.first()
    context = {
        "check": check,
        "waiting": bool(check and (check.checked_at is None or check.wake_at <= timezone.now())),
    }
    return render(request, "environments/connections/connections.html", context)


@page
@require_POST
def check_connections(request: HttpRequest) -> HttpResponse:
    """Have the credentials looked at again."""
    then = reverse("environments:connections")
    check = ConnectionCheck.objects.first() or ConnectionCheck(single=True)
    message = "Checking connections…"
    return run_action(request, then, partial(connections_actions.check_connections, check), message)


@page
@require_POST
def pin_host_keys(request: HttpRequest, slug: str) -> HttpResponse:
    """Pin the host keys that the person compared."""
    then = reverse("environments:connections")
    key = get_object_or_404(
        DeployKey.objects.select_related("project").defer("private_key"), project__slug=slug
    )

    def act(actor: User, fingerprint: list[str]) -> None:
        tell(
            request,
            connections_actions.pin_host_keys(key, actor=actor, fingerprints=fingerprint),
            "The host keys are pinned. Checking the connection again…",
        )

    return run_action(request, then, act, form=HostKeysForm(request.POST))
