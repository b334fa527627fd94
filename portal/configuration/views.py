"""The page on which a second person confirms or declines what somebody proposed."""

from collections.abc import Callable
from functools import partial

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from portal.configuration import actions
from portal.configuration.kinds import CONFIRM
from portal.models.configuration import ConfigurationChange, said
from portal.ui.site import page, run_action

SHOWN = 30
VERBS: dict[str, tuple[Callable[..., object], str]] = {
    "confirm": (
        actions.confirm_change,
        "The change is applied. Approvals of open releases have lapsed.",
    ),
    "decline": (actions.decline_change, "The change is declined. Nothing was changed."),
}


@page
def changes(request: HttpRequest) -> HttpResponse:
    """Show what waits for a second person, and what was decided lately. Two queries."""
    rows = ConfigurationChange.objects.select_related("proposed_by", "decided_by").defer("secrets")
    waiting = rows.filter(state=ConfigurationChange.State.WAITING)
    decided = rows.exclude(state=ConfigurationChange.State.WAITING).order_by("-decided_at")[:SHOWN]
    context = {
        "waiting": [(change, _lines(change)) for change in waiting],
        "decided": [(change, _lines(change)) for change in decided],
        "may_confirm": request.user.has_perm(CONFIRM),
    }
    return render(request, "portal/configuration/changes.html", context)


def _lines(change: ConfigurationChange) -> list[tuple[str, str, str]]:
    return [
        (said(name), said(value["from"]), said(value["to"]))
        for name, value in change.values.items()
    ]


@page
@require_POST
def decide(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Confirm or decline one change."""
    change = get_object_or_404(ConfigurationChange.objects.defer("secrets"), pk=pk)
    if verb not in VERBS:
        raise Http404("Unknown action.")
    act, done = VERBS[verb]
    return run_action(request, reverse("portal:changes"), partial(act, change), done)
