"""Pages that reset staging to main: one person requests it, another signs it, each for exactly
the heads on their page.
"""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_POST

from environments.branches import actions
from environments.branches.forms import HeadsForm, ResetForm
from environments.findings.views import repairs_of
from environments.models import Project, StagingReset
from portal.ui.site import page, run_action


@page
@require_POST
def ask(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a reset."""
    project = get_object_or_404(Project, slug=slug)
    act, form = partial(actions.request_reset, project), ResetForm(request.POST)
    message = "The reset is requested; a second person must sign it."
    return run_action(request, repairs_of(project), act, message, form=form)


@page
@require_POST
def sign(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign a reset that somebody else asked for."""
    reset = _reset(pk)
    act, form = partial(actions.sign_reset, reset), HeadsForm(request.POST)
    message = "The reset is signed. See its progress below."
    return run_action(request, repairs_of(reset.project), act, message, form=form)


@page
@require_POST
def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a reset up."""
    reset = _reset(pk)
    act = partial(actions.take_reset_back, reset)
    return run_action(request, repairs_of(reset.project), act, "The reset is withdrawn.")


def _reset(pk: int) -> StagingReset:
    return get_object_or_404(StagingReset.objects.select_related("project"), pk=pk)
