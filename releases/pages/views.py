"""The board and the release page: they read facts, and hand what people do to the actions."""

import functools
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.db.models import Exists, F, Func, JSONField, OuterRef, Subquery, Value
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.backends.utils import csrf_input
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from environments.github.pages import commit_page
from environments.models import DeploymentLog, EnvironmentKind, Project
from portal import audit
from portal.outbound.parsing import JsonObject
from portal.ui.actions import Refused
from portal.ui.paging import paged
from portal.ui.site import by_htmx, page, person, run, run_action
from releases import gates
from releases.checklist import actions as checklist_actions
from releases.checklist.forms import TickForm
from releases.gates import record as gates_record
from releases.gates.carried import again
from releases.gates.context import Facts, gather, release_queryset
from releases.github_mirror import watching as mirrors
from releases.models import Downgrade, Rollback
from releases.models.checklist import ChecklistItem, ChecklistTemplate, Phase
from releases.models.promotion import PromotionStep
from releases.models.releases import IllegalMove, Release, ReleaseKind, ReleaseStatus
from releases.pages import checklist_rows, confirm, live_table, next_act, rollback, stages
from releases.pages import migrations as pages_migrations
from releases.pages import record as pages_record
from releases.pages import release as pages_release
from releases.pages import trouble as pages_trouble
from releases.pages.board import board_context
from releases.pages.buttons import PROJECT_BUTTONS, RELEASE_BUTTONS, Button
from releases.task_logs import views as task_logs_views
from releases.variable_changes import compare

COMMITS_SHOWN, EVENTS_SHOWN, RELEASES_SHOWN = 50, 30, 50


@page
def board(request: HttpRequest) -> HttpResponse:
    """Each project: what is in staging, what in production, what stands between."""
    return render(
        request, "releases/pages/board.html", board_context(person(request), now=timezone.now())
    )


@page
def board_panels(request: HttpRequest) -> HttpResponse:
    """The board's moving parts, for the poll."""
    return render(
        request,
        "releases/pages/board_panels.html",
        board_context(person(request), now=timezone.now()),
    )


@page
def releases(request: HttpRequest) -> HttpResponse:
    """Every release, newest first."""
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
    """The page on which a release is prepared, promoted and looked at."""
    return render(request, "releases/pages/release.html", _release_context(request, pk))


@page
def panels_(request: HttpRequest, pk: int) -> HttpResponse:
    """The release page's moving parts, for the poll."""
    return render(request, "releases/pages/release_panels.html", _release_context(request, pk))


MAY = {
    "tick": "releases.tick_checklistitem",
    "promote": "releases.promote_release",
    "approve": "releases.approve_release",
    "abandon": "releases.abandon_release",
    "repair": "releases.repair_release",
    "roll_back": "releases.roll_back_release",
    "revert": "releases.roll_back_release",
    "write": "releases.cut_release",
    "log": "releases.write_tasklog",
    "migrate": "environments.migrate_environment",
    "audit": "portal.view_auditevent",
}


@functools.cache
def _page_queryset() -> Any:
    """Releases for their page: with the newest of their commits, cut off by the database, and
    the way back.
    """
    shown = Value(f"$[0 to {COMMITS_SHOWN - 1}]")
    newest = Func(F("commits"), shown, function="jsonb_path_query_array", output_field=JSONField())
    last = Release.objects.filter(project=OuterRef("project")).merged()
    same = Release.objects.filter(project=OuterRef("project"))
    beside = {
        "older_pk": Subquery(same.filter(pk__lt=OuterRef("pk")).order_by("-pk").values("pk")[:1]),
        "newer_pk": Subquery(same.filter(pk__gt=OuterRef("pk")).order_by("pk").values("pk")[:1]),
    }
    going_back = {
        "last_merged": Subquery(last.values("pk")[:1]),
        "has_rollback": Exists(Rollback.objects.filter(release=OuterRef("pk"))),
        "has_downgrade": Exists(Downgrade.objects.filter(release=OuterRef("pk"))),
    }
    rows = release_queryset().select_related("project", "cut_by", "task_log__saved_by", "advice")
    return rows.annotate(
        newest_commits=newest, variable_drift=F("reconciler__drift"), **going_back, **beside
    )


def _release_context(request: HttpRequest, pk: int) -> JsonObject:
    """Everything the page shows: the ten queries of the facts, the timeline, and the way back."""
    try:
        shown = _page_queryset().get(pk=pk)
    except Release.DoesNotExist:
        raise Http404("There is no such release.") from None
    facts = gather(shown)
    if facts.railway_seen_at is None or facts.railway_seen_at < facts.fresh_since:
        mirrors.watch(facts.project, now=facts.now)  # the gates say that it is being read
    standing = gates.stand(facts)
    # Asked once for the page: a template that asks for each row pays for each row.
    may = {name: request.user.has_perm(permission) for name, permission in MAY.items()}
    before = checklist_rows.rows(facts, standing, Phase.BEFORE, may_tick=may["tick"])
    after = checklist_rows.rows(facts, standing, Phase.AFTER, may_tick=may["tick"])
    stopped, repairs = pages_release.repairs(facts)
    content, logged = gates.content_digest(shown), pages_release.log_run(facts)
    back = rollback.way_back(facts, now=facts.now)
    past = pages_record.past(facts)
    panels = pages_migrations.context(facts)
    if run := rollback.log_run(back):
        logged = EnvironmentKind.PRODUCTION, run
    events = audit.timeline(subject=shown, limit=EVENTS_SHOWN)
    return {
        "release": shown,
        "project": facts.project,
        "facts": facts,
        "standing": standing,
        "may": may,
        "past": past,
        "rolled": past.rolled,
        "carried": shown.carried | {"again": again(shown.carried)},
        "required_approvals": shown.record.get(
            "required_approvals", facts.project.required_approvals
        ),
        "now": (
            pages_record.now(facts, past)
            or rollback.now(facts, back)
            or pages_release.now(facts, standing)
        ),
        "stages": (*stages.stages(facts, before), *rollback.last_stage(facts, back)),
        "before": before,
        "after": after,
        "tick_before": checklist_rows.several(before),
        "tick_after": checklist_rows.several(after),
        "before_done": sum(row.state == "pass" for row in before),
        "after_done": sum(row.state == "pass" for row in after),
        "steps": facts.steps,
        "steps_done": sum(step.status in ("done", "skipped") for step in facts.steps),
        "stopped": stopped,
        "trouble": _trouble(facts, stopped, back),
        "confirm": confirm.confirmation(facts, panels["migration_panels"], content),
        "asks": confirm.asks(facts, stopped),
        "candidate_page": commit_page(facts.project.repository, shown.candidate),
        "github_links": pages_trouble.github_links(facts),
        "repairs": repairs,
        "is_read": shown.collected == shown.candidate or not shown.is_in_preparation,
        "unanswered": next_act.unanswered(facts)
        if shown.status not in checklist_rows.ENDED
        else None,
        "staging_moves": any(run.is_open for run in facts.runs),
        "tried": pages_release.earlier_attempts(events),
        "can_migrate": pages_release.can_migrate_staging(facts),
        "run": logged[1] if logged else None,
        "run_kind": logged[0] if logged else "",
        "run_called": pages_release.called(facts, logged[1]) if logged else "",
        "aftermath": pages_release.aftermath(facts, logged),
        "staged_at": facts.staged_at(),
        **panels,
        "way_back": pages_migrations.way_back(facts) if back.advice is None else None,
        "back": back,
        **live_table.context(facts),
        "pulls": gates_record.pulls(facts),
        "commits": shown.newest_commits,
        "commits_more": max(0, shown.commit_count - COMMITS_SHOWN),
        "approvals": pages_record.approvals(facts, content),
        "lapsed": [row.text for row in before if row.lapsed],
        "drift": compare.drift(shown.variable_drift),
        "task_log": task_logs_views.panel(shown),
        "events": events,
        "pulse": (
            2
            if back.is_busy or past.is_opening
            else pages_release.pulse_seconds(facts) or (10 if past.rolled else 0)
        ),
        "csrf_input": csrf_input(request),  # made once: sixty rows hold it
    }


def _trouble(
    facts: Facts, stopped: PromotionStep | None, back: rollback.WayBackPanel
) -> pages_trouble.Trouble | None:
    """What the page begins with in trouble; one query where a deployment failed, else none."""
    if back.is_going_on and back.stopped is None:
        return None
    found = pages_trouble.trouble(facts, stopped, back.stopped)
    broken = [service.broken.pk for service in found.services if service.broken] if found else []
    logs = DeploymentLog.objects.in_bulk(broken, field_name="deployment_id") if broken else {}
    return pages_trouble.with_logs(found, logs)


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
        "releases/pages/release/_row.html",
        {"row": row, "release": item.release, "csrf_input": csrf_input(request)},
    )
    if not row.problem:
        response.headers["HX-Trigger"] = "portal:changed"
    return response


def _ticked_row(
    item: ChecklistItem, verb: str, user: User, form: forms.Form, act: Callable[..., ChecklistItem]
) -> checklist_rows.Row:
    """The item's row after `act`, or as it was with what is wrong."""
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
    if (
        known.is_ticked and known.ticked_candidate == known.release.candidate
    ):  # somebody was quicker
        return checklist_rows.ticked_row(
            item, who=known.ticked_by, note=known.note, at=known.ticked_at
        )
    return checklist_rows.ticked_row(
        item, who=user, note=form.cleaned_data["note"], at=timezone.now()
    )


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
