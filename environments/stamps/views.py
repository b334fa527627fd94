"""The page of a stamp: the proof, who proposed it, who approves it."""

from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.databases.permission import APPROVE
from environments.models import DatabaseStatus, Stamp
from environments.stamps import actions
from environments.stamps.forms import BranchForm, ProposalForm, TargetForm
from portal.ui.site import page, run_action


@page
@require_POST
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Have it proven where a database is."""
    statuses = DatabaseStatus.objects.select_related("environment__project", "database")
    act = partial(actions.request_stamp, get_object_or_404(statuses, pk=pk))
    then, form = reverse("environments:migrations"), BranchForm(request.POST)
    message = "Each revision's schema is made and compared; nothing is changed."
    return run_action(request, then, act, message, form=form, landing=lambda row: _page(row.pk))


@page
def stamp(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one stamp. One query."""
    return render(request, "environments/stamps/stamp.html", _context(request, pk))


@page
def panels(request: HttpRequest, pk: int) -> HttpResponse:
    """Show its moving parts, for the poll."""
    return render(request, "environments/stamps/stamp_panels.html", _context(request, pk))


@page
@require_POST
def propose(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose the revision to write."""
    act, form = partial(actions.propose_stamp, _row(pk)), ProposalForm(request.POST)
    return run_action(
        request, _page(pk), act, "The stamp is proposed; a second person approves it.", form=form
    )


@page
@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve what somebody else proposed."""
    act, form = partial(actions.approve_stamp, _row(pk)), TargetForm(request.POST)
    return run_action(request, _page(pk), act, "The stamp is being written.", form=form)


@page
@require_POST
def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Give it up."""
    act = partial(actions.take_stamp_back, _row(pk))
    return run_action(request, _page(pk), act, "The stamp is taken back; nothing was changed.")


def _page(pk: int) -> str:
    return reverse("environments:stamp", args=[pk])


def _row(pk: int) -> Stamp:
    rows = Stamp.objects.select_related(
        "environment__project", "database", "requested_by", "proposed_by", "approved_by"
    )
    return get_object_or_404(rows, pk=pk)


def _context(request: HttpRequest, pk: int) -> dict[str, object]:
    row = _row(pk)
    waits = row.is_open and bool(row.equal) and not (row.approved_by_id or row.cancel_requested_at)
    return {
        "stamp": row,
        "environment": row.environment,
        "project": row.environment.project,
        "equal": [", ".join(heads) for heads in row.equal],
        "target": ", ".join(row.target),
        "to_propose": waits and not row.target,
        "to_approve": waits and bool(row.target),
        "mine": row.proposed_by_id == getattr(request.user, "pk", None),
        "may_approve": request.user.has_perm(APPROVE),
        "pulse": (5 if waits else 1) if row.is_open else 0,
    }
