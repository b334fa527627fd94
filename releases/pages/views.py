"""The board and the release page: they read facts, and hand what people do to the actions."""

import functools
from collections.abc import Callable

from django import forms
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.backends.utils import csrf_input
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from environments.models import Project
from portal.ui.actions import Refused
from portal.ui.paging import paged
from portal.ui.site import by_htmx, page, person, run, run_action
from releases.checklist import actions as checklist_actions
from releases.checklist.forms import TickForm
from releases.models.checklist import ChecklistItem, ChecklistTemplate
from releases.models.releases import IllegalMove, Release, ReleaseKind, ReleaseStatus
from releases.pages import checklist_rows
from releases.pages.board import board_context
from releases.pages.buttons import PROJECT_BUTTONS, RELEASE_BUTTONS, Button
from releases.pages.release_context import release_context

RELEASES_SHOWN = 50


@page
def board(request: HttpRequest) -> HttpResponse:
    """Show each project: what is in staging, what in production, what is left before production."""
    return render(
        request, "releases/pages/board.html", board_context(person(request), now=timezone.now())
    )


@page
def board_panels(request: HttpRequest) -> HttpResponse:
    """Show the board's moving parts, for the poll."""
    return render(
        request,
        "releases/pages/board_panels.html",
        board_context(person(request), now=timezone.now()),
    )


@page
def releases(request: HttpRequest) -> HttpResponse:
    """Show every release, newest first."""
    rows = Release.objects.select_related("project", "cut_by").defer(
        "commits", "migrations", "notes", "moved", "record"
    )
    slug = request.GET.get("project", "").replace("\x00", "")
    state = request.GET.get("state", "")
    if slug:
        rows = rows.filter(project__slug=slug)
    if state in ReleaseStatus.values:
        rows = rows.filter(status=state)
    pager = paged(request, rows, RELEASES_SHOWN)
    context = {
        "releases": pager.rows,
        "pager": pager,
        "slug": slug,
        "state": state,
        "states": ReleaseStatus.choices,
        "project": Project.objects.filter(slug=slug).first() if slug else None,
    }
    return render(request, "releases/pages/releases.html", context)


@page
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the page on which a release is prepared, promoted and looked at."""
    return render(request, "releases/pages/release.html", release_context(request, pk))


@page
def panels_(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the release page's moving parts, for the poll."""
    return render(request, "releases/pages/release_panels.html", release_context(request, pk))


@page
@require_POST
def tick(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Tick or untick one item; with htmx only its row comes back, drawn from what is at hand."""
    if verb not in ("tick", "untick"):
        raise Http404("Unknown action.")
    item = get_object_or_404(ChecklistItem.objects.select_related("release__project"), pk=pk)
    form = TickForm(request.POST, prefix=str(pk)) if verb == "tick" else forms.Form(request.POST)
    act = functools.partial(
        checklist_actions.tick if verb == "tick" else checklist_actions.untick, item
    )
    if not by_htmx(request):
        then = f"{reverse('releases:release', args=[item.release_id])}#item-{pk}"
        return run_action(request, then, act, form=form, refused=IllegalMove)
    row = _ticked_row(item, verb, person(request), form, act)
    response = render(
        request,
        "releases/pages/release/_rows.html",
        {"rows": [row], "release": item.release, "csrf_input": csrf_input(request)},
    )
    if not row.problem:
        response.headers["HX-Trigger"] = "portal:changed"
    return response


def _ticked_row(
    item: ChecklistItem, verb: str, user: User, form: forms.Form, act: Callable[..., ChecklistItem]
) -> checklist_rows.Row:
    """Return the item's row after `act`, or as it was with what is wrong."""
    try:
        known = run(act, user, form)
    except Refused as refusal:
        stands = item.is_ticked and item.ticked_candidate == item.release.candidate
        at = item.ticked_at if stands else None
        return checklist_rows.ticked_row(
            item, who=item.ticked_by, note=item.note, at=at, problem=str(refusal)
        )
    if verb == "untick":
        return checklist_rows.ticked_row(item, who="", note="", at=None)
    who: User | None = user
    note, at = form.cleaned_data["note"], timezone.now()
    if known.is_ticked and known.ticked_candidate == known.release.candidate:
        who, note, at = known.ticked_by, known.note, known.ticked_at  # somebody was quicker
    return checklist_rows.ticked_row(item, who=who, note=note, at=at)


@page
@require_POST
def do(request: HttpRequest, pk: int, verb: str) -> HttpResponse:
    """Carry out one button of the release page; say how it went where the person was."""
    button = _button(RELEASE_BUTTONS, verb)
    subject = get_object_or_404(Release.objects.select_related("project"), pk=pk)
    then = reverse("releases:release", args=[pk]) + (f"#{button.anchor}" if button.anchor else "")
    act, form = functools.partial(button.act, subject), button.form(request.POST)
    return run_action(request, then, act, button.said, form=form, refused=IllegalMove)


@page
@require_POST
def do_project(request: HttpRequest, slug: str, verb: str) -> HttpResponse:
    """Carry out one button of the board; a fresh release is opened at once."""
    button = _button(PROJECT_BUTTONS, verb)
    project = get_object_or_404(Project, slug=slug)
    board_card = f"{reverse('releases:board')}#project-{slug}"

    def then(made: object) -> str:
        return (
            reverse("releases:release", args=[made.pk]) if isinstance(made, Release) else board_card
        )

    act, form = functools.partial(button.act, project), button.form(request.POST)
    return run_action(request, board_card, act, button.said, form=form, landing=then)


def _button(buttons: dict[str, Button], verb: str) -> Button:
    if verb not in buttons:
        raise Http404("Unknown action.")
    return buttons[verb]


@page
def checklist_of(request: HttpRequest, slug: str) -> HttpResponse:
    """Lead to the page where the checklist of the project's releases is edited."""
    template = get_object_or_404(ChecklistTemplate, project__slug=slug, kind=ReleaseKind.NORMAL)
    return HttpResponseRedirect(
        reverse("admin:releases_checklisttemplate_change", args=[template.pk])
    )
