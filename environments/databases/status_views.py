"""The page Migrations: the status of every database, and its revisions."""

from dataclasses import dataclass
from functools import cached_property

from django.http import HttpRequest

from environments.databases import schema_drift
from environments.models import (
    LONG_LIVED,
    Database,
    DatabaseState,
    DatabaseStatus,
    DatabaseSync,
    Environment,
    EnvironmentDatabase,
    EnvironmentKind,
    Project,
    Rehearsal,
    Stamp,
    by_place,
    databases_of,
    in_order,
    newest_of_place,
)
from environments.schema.history.status import STRANGE
from portal.outbound.parsing import JsonObject
from portal.ui.project_picker import picked

STATES = {
    DatabaseState.LEVEL: "pass",
    DatabaseState.BEHIND: "wait",
    DatabaseState.HEADS: "attest",
    DatabaseState.AHEAD: "attest",
    DatabaseState.ADOPTED: "attest",
    DatabaseState.UNKNOWN: "fail",
    DatabaseState.OVERLAP: "fail",
    DatabaseState.BROKEN: "fail",
    DatabaseState.UNREAD: "wait",
}


@dataclass(frozen=True)
class Row:
    """One database of an environment: where it is, its branch, its schema."""

    environment: Environment
    database: Database
    place: EnvironmentDatabase | None
    status: DatabaseStatus | None
    compared: Rehearsal | None  # the newest
    provable: list[str]  # branches one of whose revisions its schema may be
    stamp: Stamp | None  # the newest

    @property
    def state(self) -> str:
        return STATES[DatabaseState(self.status.state)] if self.status else "wait"

    @cached_property
    def differences(self) -> list[str]:
        """How its schema differs from its migrations, in sentences."""
        changes = schema_drift.differences(self.compared) if self.compared else []
        return [schema_drift.sentence(difference, self.environment.name) for difference in changes]

    @property
    def moved(self) -> bool:
        """Whether the database is elsewhere than when the status was computed."""
        status, place = self.status, self.place
        return bool(status and place and status.revisions != place.revisions)

    @property
    def comparable(self) -> bool:
        """Whether a person may have the real schema compared with the migrations'."""
        return self.environment.kind in LONG_LIVED and self.status is not None


@dataclass(frozen=True)
class Mark:
    """Something that is at a revision: a database, or the head of a branch."""

    name: str
    state: str


def context(request: HttpRequest) -> JsonObject:
    """Return the state of one project's databases, for the page Migrations.

    Seven queries whatever the counts.
    """
    migrated = Database.objects.exclude(alembic="").values("project")
    projects = list(Project.objects.filter(pk__in=migrated).select_related("database_sync"))
    project = picked(request, projects)
    if project is None:
        return {"projects": projects, "project": None}
    databases = databases_of(project)
    sync: DatabaseSync | None = getattr(project, "database_sync", None)
    timeline = sync.timeline if sync else {}
    status_rows = _rows(project, databases, timeline)
    trails = [_trail(database, timeline, status_rows) for database in databases]
    shown = {"databases": databases, "states": status_rows, "trails": trails}
    return {"projects": projects, "project": project, **shown}


def _rows(project: Project, databases: list[Database], timeline: JsonObject) -> list[Row]:
    """Return every database of staging, production and the previews that have one. Five queries."""
    kinds = [*LONG_LIVED, EnvironmentKind.PREVIEW]
    environments = Environment.objects.present().filter(project=project, kind__in=kinds)
    place_of = by_place(EnvironmentDatabase.objects.filter(environment__in=environments))
    status_of = by_place(DatabaseStatus.objects.filter(environment__in=environments))
    compared = schema_drift.comparisons(project)
    compared_of = by_place(compared.only("environment_id", "database_id", "drift", "finished_at"))
    stamps = newest_of_place(Stamp.objects.filter(environment__project=project))
    few = ("environment_id", "database_id", "status", "sentence", "created_at")
    stamp_of = by_place(stamps.only(*few))
    rows_of_page = []
    for environment in in_order(environments):
        for database in databases:
            key = environment.pk, database.pk
            status, place = status_of.get(key), place_of.get(key)
            if environment.kind in LONG_LIVED or status is not None:
                provable = _provable(environment, status, place, timeline)
                rest = compared_of.get(key), provable, stamp_of.get(key)
                rows_of_page.append(Row(environment, database, place, status, *rest))
    return rows_of_page


def _provable(
    environment: Environment,
    status: DatabaseStatus | None,
    place: EnvironmentDatabase | None,
    timeline: JsonObject,
) -> list[str]:
    """Return the branches whose files do not say where a long-lived environment's database is, and
    one of whose revisions its schema may be.
    """
    at = place.revisions if place else None
    if environment.kind not in LONG_LIVED or status is None or at is None:
        return []
    entries = timeline.get(str(status.database_id), {}).get("entries", ())
    branches = {entry["id"]: entry["branches"] for entry in entries}
    known = dict.fromkeys(name for names in branches.values() for name in names)
    own = [status.branch] if status.state in STRANGE else []
    return own + [
        name
        for name in known
        if not name.startswith("#")
        and name != status.branch
        and any(name not in branches.get(id, [name]) for id in at)
    ]


def _trail(database: Database, timeline: JsonObject, rows: list[Row]) -> JsonObject:
    """Return the timeline of a database with who is where on it."""
    trail = timeline.get(str(database.pk), {})
    marks: dict[str, list[Mark]] = {}
    for row in rows:
        if row.database != database:
            continue
        if row.status is not None:
            for id in row.status.heads:
                marks.setdefault(id, []).append(Mark(f"head of {row.status.branch}", "closed"))
        for id in (row.place.revisions if row.place else None) or ():
            marks.setdefault(id, []).append(Mark(f"{row.environment.name}’s database", row.state))
    lines = [(entry, marks.get(entry["id"], [])) for entry in trail.get("entries", [])]
    return {"database": database, "lines": lines, "left": trail.get("left", 0)}
