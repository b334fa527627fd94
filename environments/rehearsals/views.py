"""The page of a rehearsal: its phases, what it took and locked, what going back leaves."""

from dataclasses import dataclass
from functools import partial

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from environments.databases.schema_drift import SHOWN, sentence
from environments.models import Branch, Database, DatabaseStatus, Direction, Environment, Rehearsal
from environments.rehearsals import actions
from environments.schema.rehearsal.dump import Difference
from environments.schema.rehearsal.report import MODES, PHASES
from environments.services.expected import expected_branches
from portal.audit import Actor
from portal.outbound.parsing import JsonObject
from portal.ui.actions import Refused
from portal.ui.paging import with_neighbours
from portal.ui.site import page, run_action

RUNS = {
    Direction.UPGRADE: (("first", "Upgrade"), ("back", "Downgrade"), ("again", "Upgrade again")),
    Direction.DOWNGRADE: (
        ("first", "One revision down"),
        ("back", "Upgrade"),
        ("again", "Downgrade"),
    ),
}


@dataclass(frozen=True)
class LockRow:
    """A lock in words. `state` has a mark: what stands still while it is held."""

    table: str
    mode: str
    blocks: str
    held: str
    state: str


@page
def rehearsal(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one rehearsal. One query."""
    return render(request, "environments/rehearsals/rehearsal.html", _context(pk))


@page
def panels(request: HttpRequest, pk: int) -> HttpResponse:
    """Show its moving parts, for the poll."""
    return render(request, "environments/rehearsals/rehearsal_panels.html", _context(pk))


_ROWS = Rehearsal.objects.select_related("environment__project", "database")


@page
@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Have it stopped."""
    act = partial(actions.cancel_rehearsal, get_object_or_404(_ROWS, pk=pk))
    then = reverse("environments:rehearsal", args=[pk])
    return run_action(request, then, act, "Stopping the rehearsal… Nothing of it remains.")


@page
@require_POST
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the same rehearsed again; its page is found from the release's, and from this one."""
    row = get_object_or_404(_ROWS, pk=pk)
    act = partial(
        actions.start_rehearsal,
        row.environment,
        database=row.database,
        commit=row.commit,
        direction=row.direction,
    )
    then = reverse("environments:rehearsal", args=[pk])
    return run_action(request, then, act, "Rehearsing again. The newest rehearsal is linked here.")


def _context(pk: int) -> dict[str, object]:
    rows = _ROWS.select_related("requested_by")
    row = get_object_or_404(with_neighbours(rows, within="environment__project"), pk=pk)
    same = Rehearsal.objects.filter(
        environment=row.environment,
        database=row.database,
        commit=row.commit,
        direction=row.direction,
    )
    newest = same.order_by("-pk").values_list("pk", flat=True).first()
    drift, where = [_difference(difference) for difference in row.drift or ()], str(row.environment)
    return {
        "rehearsal": row,
        "environment": row.environment,
        "project": row.environment.project,
        "newest": newest if newest != pk else None,
        "phases": _phases(row),
        "runs": [(label, _statements(row, run)) for run, label in RUNS[Direction(row.direction)]],
        "changes": [_difference(change).sentence for change in row.changes],
        "left": None
        if row.left is None
        else [_difference(difference).sentence for difference in row.left],
        "drift": None
        if row.drift is None
        else [sentence(difference, where) for difference in drift[:SHOWN]],
        "drift_more": max(0, len(drift) - SHOWN),
        "pulse": 1 if row.is_open else 0,
    }


def _phases(row: Rehearsal) -> list[tuple[str, str, float | None]]:
    """Return each phase with its state and seconds."""
    took, phases = dict(row.phases), []
    for name, label in PHASES.items():
        if name != "compare" or row.direction == Direction.UPGRADE:
            state = "pass" if name in took else "active" if name == row.phase else "closed"
            phases.append((label, state, took.get(name)))
    return phases


def _statements(row: Rehearsal, run: str) -> list[dict[str, object]]:
    statements = [statement for statement in row.statements if statement["run"] == run]
    return [
        statement
        | {
            "took": _took(statement["seconds"]),
            "locks": [_lock(**lock) for lock in statement["locks"]],
            "rewritten": [name.removeprefix("public.") for name in statement["rewritten"]],
        }
        for statement in statements
    ]


def _lock(table: str, mode: str, seconds: float | None) -> LockRow:
    blocks = MODES.get(mode, "")
    state = "fail" if "reads" in blocks else "attest" if blocks else "closed"
    return LockRow(
        table.removeprefix("public."), mode.removesuffix("Lock"), blocks, _took(seconds), state
    )


def _took(seconds: float | None) -> str:
    """Return “8 ms”, “1.2 s”: most statements are over at once on empty tables."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _difference(values: JsonObject) -> Difference:
    return Difference(**values | {"lines": tuple(values["lines"])})


@page
@require_POST
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a database's real schema compared with the one that its branch makes."""
    statuses = DatabaseStatus.objects.select_related("environment__project", "database")
    status = get_object_or_404(statuses, pk=pk, environment__gone_at=None)
    environment, project = status.environment, status.environment.project
    then = f"{reverse('environments:migrations')}?project={project.slug}"
    message = "Comparing the schema… See the newest rehearsal below."
    act = partial(_start_comparison, environment, status.database)
    return run_action(request, then, act, message)


def _start_comparison(environment: Environment, database: Database, *, actor: Actor) -> Rehearsal:
    project = environment.project
    branch = expected_branches(project).get(environment.kind, "")
    head = Branch.heads(project).get(branch)
    if not head:
        raise Refused(
            f"The branch of {environment} has not been read yet, so no schema is expected of its"
            " database."
        )
    return actions.start_rehearsal(environment, database=database, actor=actor, commit=head)
