"""The pages of migration runs."""

from functools import partial
from typing import Any

from django.db.models.functions import Right
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.databases import actions as databases_actions
from environments.databases import status_views
from environments.databases.failure import failure_report_of
from environments.models import MigrationRun, Rehearsal, with_several_databases
from portal.outbound.parsing import JsonObject
from portal.ui.paging import paged, with_neighbours
from portal.ui.site import page, run_action

LOG_CHARS = 20_000
RUNS_SHOWN = 50
REHEARSALS_SHOWN = 20
_RELATED = ("environment__project", "database", "requested_by")


@page
def migrations(request: HttpRequest) -> HttpResponse:
    """Show where every database stands, every migration run, newest first, and rehearsals.

    Eleven queries.
    """
    runs = MigrationRun.objects.select_related(*_RELATED).defer("log")
    pager = paged(request, runs, RUNS_SHOWN)
    several = with_several_databases()
    context: dict[str, object] = {"runs": pager.rows, "pager": pager, "several": several}
    if pager.is_first:
        rehearsals = Rehearsal.objects.select_related(*_RELATED)
        rehearsals = rehearsals.defer("statements", "changes", "files")
        context["rehearsals"] = rehearsals[:REHEARSALS_SHOWN]
        context |= status_views.context(request)
    return render(request, "environments/databases/migrations.html", context)


@page
def migration(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one run: what it had to do, what it did, and its log while it is written."""
    return render(request, "environments/databases/migration.html", _run_context(pk))


@page
def migration_panels(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the run page's moving parts, for the poll."""
    return render(request, "environments/databases/migration_panels.html", _run_context(pk))


@page
def migration_log(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the end of the log alone; status 286 tells htmx that nothing more will come."""
    run = get_object_or_404(_with_tail().only("status", "log_bytes"), pk=pk)
    template = "environments/databases/migration_panels.html#log"
    return render(request, template, {"run": run}, status=200 if run.is_open else 286)


def _with_tail() -> Any:
    return MigrationRun.objects.annotate(tail=Right("log", LOG_CHARS))


def _run_context(pk: int) -> JsonObject:
    """Return the run with the end of its log, and its revisions as rows. One query."""
    runs = _with_tail().select_related(*_RELATED, "approved_by").defer("log")
    run = get_object_or_404(with_neighbours(runs, within="environment__project"), pk=pk)
    planned = {planned["id"]: planned for planned in run.planned}
    seconds = {pair[0]: pair[1] for pair in run.applied}
    states = {run.failed_revision: "fail"} | dict.fromkeys(seconds, "pass")
    rows = [
        (revision, states.get(revision, "closed"), seconds.get(revision), planned.get(revision, {}))
        for revision in dict.fromkeys([*planned, *seconds])
    ]
    return {
        "run": run,
        "environment": run.environment,
        "project": run.environment.project,
        "rows": rows,
        "failure_report": failure_report_of(run),
        "pulse": 1 if run.is_open else 0,
    }


@page
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the worker to stop the run."""
    act = partial(databases_actions.cancel_migration, _run(pk))
    message = "Stopping the run… The portal reads the database afterwards."
    return run_action(request, _page_of(pk), act, message)


@page
@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Start a new run of the same commit, which goes on from where the database is."""
    act = partial(databases_actions.retry_migration, _run(pk))
    return run_action(
        request, _page_of(pk), act, "A new run is queued.", landing=lambda fresh: _page_of(fresh.pk)
    )


def _run(pk: int) -> MigrationRun:
    return get_object_or_404(MigrationRun.objects.select_related(*_RELATED).defer("log"), pk=pk)


def _page_of(pk: int) -> str:
    return reverse("environments:migration", args=[pk])
