"""The page Migrations: the status of every database, and its revisions."""

from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest

from environments.databases.schema_drift import sentence
from environments.models import (
    LONG_LIVED,
    Database,
    DatabaseState,
    DatabaseStatus,
    DatabaseSync,
    Direction,
    Environment,
    EnvironmentDatabase,
    EnvironmentKind,
    Project,
    Rehearsal,
    Stamp,
    databases_of,
)
from environments.schema.history.status import STRANGE
from environments.schema.rehearsal.dump import Difference
from portal.outbound.parsing import JsonObject
from portal.ui.project_picker import picked

ORDER: dict[str, int] = {EnvironmentKind.STAGING: 0, EnvironmentKind.PRODUCTION: 1}
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
DIFFERENCES_SHOWN = 10


@dataclass(frozen=True)
class Row:
    """One database of an environment: where it is, how that stands to its branch, and how its
    schema is.
    """

    environment: Environment
    database: Database
    place: EnvironmentDatabase | None
    status: DatabaseStatus | None
    state: str
    compared: Rehearsal | None = None
    differences: tuple[str, ...] = ()
    more: int = 0
    # Branches whose files do not say where it is, and one of whose revisions its schema may be.
    provable: tuple[str, ...] = ()
    stamp: Stamp | None = None  # the newest

    @property
    def moved(self) -> bool:
        """Whether the database was read again since the status was computed, and is
        elsewhere.
        """
        return (
            self.status is not None
            and self.place is not None
            and self.status.revisions != self.place.revisions
        )

    @property
    def comparable(self) -> bool:
        """Whether a person may have the real schema compared with the migrations'."""
        return self.environment.kind in ORDER and self.status is not None


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
    sync = getattr(project, "database_sync", None)
    found = [_with_stamps(row, sync) for row in rows(project, databases)]
    trails = [
        _trail(database, sync, [row for row in found if row.database.pk == database.pk])
        for database in databases
    ]
    shown = {"databases": databases, "states": found, "trails": trails}
    return {"projects": projects, "project": project, **shown}


def rows(project: Project, databases: list[Database]) -> list[Row]:
    """Return every database of staging, production and the previews that have one. Five queries."""
    environments = Environment.objects.present().filter(
        project=project, kind__in=[*LONG_LIVED, EnvironmentKind.PREVIEW]
    )
    newest = {(row.environment_id, row.database_id): row for row in _compared(project)}
    statuses = DatabaseStatus.objects.filter(environment__in=environments)
    status_of = {(row.environment_id, row.database_id): row for row in statuses}
    places = EnvironmentDatabase.objects.filter(environment__in=environments)
    place_of = {(row.environment_id, row.database_id): row for row in places}
    stamps = _stamps(project)
    found = []
    for environment in environments:
        for database in databases:
            key = environment.pk, database.pk
            status = status_of.get(key)
            if environment.kind in ORDER or status is not None:
                row = _row(environment, database, place_of.get(key), status, newest.get(key))
                found.append(replace(row, stamp=stamps.get(key)))
    return sorted(found, key=lambda row: (ORDER.get(row.environment.kind, 2), row.environment.name))


def _row(
    environment: Environment,
    database: Database,
    place: EnvironmentDatabase | None,
    status: DatabaseStatus | None,
    compared: Rehearsal | None,
) -> Row:
    state = STATES[DatabaseState(status.state)] if status else "wait"
    drift = (
        [Difference(**one | {"lines": tuple(one["lines"])}) for one in compared.drift or ()]
        if compared
        else []
    )
    told = tuple(sentence(one, environment.name) for one in drift[:DIFFERENCES_SHOWN])
    more = max(0, len(drift) - DIFFERENCES_SHOWN)
    return Row(environment, database, place, status, state, compared, told, more)


def _compared(project: Project) -> Any:
    """Return the newest comparison of each environment's schema with its migrations."""
    done = Rehearsal.objects.filter(
        environment__project=project, direction=Direction.UPGRADE, drift__isnull=False
    )
    newest = done.order_by("environment_id", "database_id", "-pk").distinct(
        "environment_id", "database_id"
    )
    return newest.only("environment_id", "database_id", "drift", "finished_at")


def _with_stamps(row: Row, sync: DatabaseSync | None) -> Row:
    """Return the row with what can be proven of a long-lived environment's database."""
    status, at = row.status, row.place.revisions if row.place else None
    if not row.comparable or status is None or at is None:
        return row
    told = sync.timeline.get(str(row.database.pk), {}) if sync else {}
    branches = {one["id"]: one["branches"] for one in told.get("entries", ())}
    known = dict.fromkeys(name for names in branches.values() for name in names)
    mine = [name for name in known if not name.startswith("#") and name != status.branch]
    lacking = [
        name for name in mine if at and any(name not in branches.get(id, [name]) for id in at)
    ]
    own = [status.branch] if status.state in STRANGE else []
    return replace(row, provable=(*own, *lacking))


def _stamps(project: Project) -> dict[tuple[int, int], Stamp]:
    newest = Stamp.objects.filter(environment__project=project).order_by(
        "environment_id", "database_id", "-pk"
    )
    few = newest.distinct("environment_id", "database_id").only(
        "environment_id", "database_id", "status", "sentence", "created_at"
    )
    return {(one.environment_id, one.database_id): one for one in few}


def _trail(database: Database, sync: DatabaseSync | None, found: list[Row]) -> dict[str, object]:
    """Return the timeline of a database with who is where on it."""
    told = sync.timeline.get(str(database.pk), {}) if sync else {}
    marks: dict[str, list[Mark]] = {}
    for row in found:
        if row.status is not None:
            for id in row.status.heads:
                marks.setdefault(id, []).append(Mark(f"head of {row.status.branch}", "closed"))
        for id in (row.place.revisions if row.place else None) or ():
            marks.setdefault(id, []).append(Mark(f"{row.environment.name}’s database", row.state))
    entries = told.get("entries", [])
    lines = [(entry, marks.get(entry["id"], [])) for entry in entries]
    return {"database": database, "lines": lines, "left": told.get("left", 0)}
