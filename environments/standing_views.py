"""State at a glance: where every database is beside its branch, on the page Migrations."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse

from environments import actions
from environments.coherence import expected_branches
from environments.models import (
    Branch,
    DatabaseSync,
    Direction,
    Environment,
    Project,
    Rehearsal,
    SchemaStanding,
    StandingState,
)
from environments.schema.dump import Difference
from environments.schema_drift import sentence
from portal.actions import Refused
from portal.site import page, perform

ORDER = {"staging": 0, "production": 1}
STATES = {
    StandingState.LEVEL: "pass",
    StandingState.BEHIND: "wait",
    StandingState.HEADS: "attest",
    StandingState.AHEAD: "attest",
    StandingState.UNKNOWN: "fail",
    StandingState.OVERLAP: "fail",
    StandingState.BROKEN: "fail",
    StandingState.UNREAD: "wait",
}
DIFFERENCES_SHOWN = 10


@dataclass(frozen=True)
class Row:
    """One environment: where its database is, how that stands to its branch, and how its schema is."""

    environment: Environment
    standing: SchemaStanding | None
    state: str
    compared: Rehearsal | None = None
    differences: tuple[str, ...] = ()
    more: int = 0

    @property
    def moved(self) -> bool:
        """Whether the database was read anew since the standing was worked out, and is elsewhere."""
        return self.standing is not None and self.standing.revisions != self.environment.revisions

    @property
    def comparable(self) -> bool:
        """Whether a person may have the real schema compared with the migrations'."""
        return self.environment.kind in ORDER and self.standing is not None


@dataclass(frozen=True)
class Mark:
    """Something that is at a revision: a database, or the head of a branch."""

    name: str
    state: str


def context(request: HttpRequest) -> dict[str, Any]:
    """The state of one project's databases, for the page Migrations. Four queries whatever the counts."""
    projects = list(Project.objects.exclude(alembic="").select_related("database_sync"))
    slug = request.GET.get("project", "")
    project = next((one for one in projects if one.slug == slug), projects[0] if projects else None)
    if project is None:
        return {"projects": projects, "project": None}
    found = rows(project)
    sync = getattr(project, "database_sync", None)
    return {"projects": projects, "project": project, "states": found} | _trail(sync, found)


def rows(project: Project) -> list[Row]:
    """Staging, production and the previews with a database. Two queries."""
    environments = Environment.objects.filter(project=project, gone_at=None, kind__in=[*ORDER, "preview"])
    newest = {row.environment_id: row for row in _compared(project)}
    found = []
    for one in environments.select_related("standing"):
        standing = getattr(one, "standing", None)
        if one.kind not in ORDER and standing is None:
            continue
        found.append(_row(one, standing, newest.get(one.pk)))
    return sorted(found, key=lambda row: (ORDER.get(row.environment.kind, 2), row.environment.name))


def _row(environment: Environment, standing: SchemaStanding | None, compared: Rehearsal | None) -> Row:
    state = STATES[StandingState(standing.state)] if standing else "wait"
    drift = [Difference(**one | {"lines": tuple(one["lines"])}) for one in (compared.drift or ())] if compared else []
    told = tuple(sentence(one, environment) for one in drift[:DIFFERENCES_SHOWN])
    return Row(environment, standing, state, compared, told, max(0, len(drift) - DIFFERENCES_SHOWN))


def _compared(project: Project) -> Any:
    """The newest comparison of each environment's schema with the one that its migrations make."""
    done = Rehearsal.objects.filter(environment__project=project, direction=Direction.UPGRADE, drift__isnull=False)
    newest = done.order_by("environment_id", "-pk").distinct("environment_id")
    return newest.only("environment_id", "drift", "finished_at")


def _trail(sync: DatabaseSync | None, found: list[Row]) -> dict[str, Any]:
    """The timeline with who is where on it."""
    told = sync.timeline if sync else {}
    marks: dict[str, list[Mark]] = {}
    for row in found:
        if row.standing is not None:
            for id in row.standing.heads:
                marks.setdefault(id, []).append(Mark(f"head of {row.standing.branch}", "closed"))
        for id in row.environment.revisions or ():
            marks.setdefault(id, []).append(Mark(f"{row.environment.name}’s database", row.state))
    entries = told.get("entries", [])
    return {"trail": [(one, marks.get(one["id"], [])) for one in entries], "trail_left": told.get("left", 0)}


@page
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    """Has a database's real schema compared with the one that its branch's migrations make, by a rehearsal."""
    environment = get_object_or_404(Environment.objects.select_related("project"), pk=pk, gone_at=None)
    project = environment.project
    then = f"{reverse('migrations')}?project={project.slug}"
    if request.method != "POST":
        return HttpResponseRedirect(then)
    said = "The schema is being compared; the rehearsal that does it is the newest below."
    return perform(request, then, lambda: _start(environment, request.user), said)


def _start(environment: Environment, actor: Any) -> Rehearsal:
    project = environment.project
    branch = expected_branches(project).get(environment.kind, "")
    head = Branch.objects.filter(project=project, name=branch).values_list("head", flat=True).first()
    if not head:
        raise Refused(f"The branch of {environment} has not been read yet, so no schema is expected of its database.")
    return actions.start_rehearsal(environment, actor=actor, commit=head)
