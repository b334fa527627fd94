"""A release as each database of its project sees it, read along with the release in the same
query.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef
from django.db.models.functions import JSONObject
from django.utils.dateparse import parse_datetime

from environments.models import (
    LONG_LIVED,
    Database,
    Environment,
    EnvironmentDatabase,
    MigrationRun,
    Project,
)
from portal.outbound.parsing import JsonObject
from releases.gates.plan import Planned
from releases.gates.rehearsal import Rehearsed
from releases.gates.sql_diff import Staged
from releases.models.releases import Release

DATABASE = ("id", "name", "position", "alembic", "version_table", "runner", "service", "variable")
READ = ("revisions", "revisions_at", "revisions_problem")


@dataclass(frozen=True)
class DatabaseFacts:
    """One database: what the release brings it, and where it is in staging and production.

    `heads` None: the release was read before this database was configured. `called` is its name
    where there are several, else "".
    """

    database: Database
    called: str = ""
    migrations: tuple[JsonObject, ...] = ()
    heads: tuple[str, ...] | None = ()
    places: Mapping[str, EnvironmentDatabase] = field(
        default_factory=dict
    )  # by kind of environment
    runs: tuple[MigrationRun, ...] = ()  # of staging, newest first
    staged_sql: Mapping[tuple[str, str], Staged] = field(default_factory=dict)
    planned: Planned | None = None
    rehearsals: tuple[Rehearsed, ...] = ()

    @property
    def order(self) -> str:
        """Return which of code and schema is new first in production."""
        return self.database.schema_order

    def staged_at(self) -> datetime | None:
        """Return when staging had run every revision file of the release; None while one is
        missing.
        """
        ran = [
            self.staged_sql.get((migration["id"], migration["sha256"]))
            for migration in self.migrations
        ]
        return None if None in ran else max((one.at for one in ran if one), default=None)

    @property
    def is_staged(self) -> bool:
        """Return whether staging has run every revision file that the release brings."""
        return not self.migrations or self.staged_at() is not None

    def edited_since_staged(self) -> list[str]:
        """Return revision files of the release which staging ran with another content, and not
        with this one.
        """
        ran = {revision for revision, _ in self.staged_sql}
        files = (
            (migration["path"], migration["id"], migration["sha256"])
            for migration in self.migrations
        )
        return [
            path for path, id, sha256 in files if id in ran and (id, sha256) not in self.staged_sql
        ]

    def ran_at(self, revision: str) -> str:
        """Return the commit at which staging ran the revision last; "" when it is not known."""
        return next(
            (
                one.commit
                for (id, _), one in reversed(list(self.staged_sql.items()))
                if id == revision
            ),
            "",
        )


def annotations(project: str) -> dict[str, object]:
    """Return the databases of a project, and where each is, for a query of rows in which this is
    the project.
    """
    databases = Database.objects.filter(project=OuterRef(project)).exclude(alembic="")
    places = EnvironmentDatabase.objects.filter(
        environment__project=OuterRef(project),
        environment__kind__in=LONG_LIVED,
        environment__gone_at=None,
    )
    read = JSONObject(
        database="database_id",
        kind=F("environment__kind"),
        name=F("environment__name"),
        **{name: name for name in READ},
    )
    row = JSONObject(**{name: name for name in DATABASE})
    return {
        "database_rows": ArraySubquery(databases.order_by("position", "pk").values(row=row)),
        "place_rows": ArraySubquery(places.order_by("pk").values(row=read)),
    }


def databases_in(row: Any, project: Project) -> list[Database]:
    """Return the databases that `annotations` brought along."""
    found = [Database(project=project, **one) for one in row.database_rows]
    for one in found:
        one.called = one.name if len(found) > 1 else ""
    return found


def places_in(row: Any, databases: Sequence[Database]) -> dict[int, dict[str, EnvironmentDatabase]]:
    """Return where each of them is: database → kind of environment → its row."""
    found: dict[int, dict[str, EnvironmentDatabase]] = {database.pk: {} for database in databases}
    for one in row.place_rows:
        if one["database"] in found:
            read_at = one["revisions_at"] and parse_datetime(one["revisions_at"])
            found[one["database"]][one["kind"]] = EnvironmentDatabase(
                environment=Environment(name=one["name"], kind=one["kind"]),
                database_id=one["database"],
                revisions=one["revisions"],
                revisions_at=read_at,
                revisions_problem=one["revisions_problem"],
            )
    return found


def migrations_of(
    release: Release, database: Database, databases: Sequence[Database]
) -> tuple[JsonObject, ...]:
    """Return the release's revisions of one database; those collected before there were several
    are the first's.
    """
    first = databases[0].pk if databases else None
    return tuple(
        migration
        for migration in release.migrations
        if migration.get("database", first) == database.pk
    )


def heads_of(
    release: Release, database: Database, databases: Sequence[Database]
) -> tuple[str, ...] | None:
    """Return where the release brings one database; None while it was not read for it."""
    if release.heads_of:
        heads = release.heads_of.get(str(database.pk))
        return None if heads is None else tuple(heads)
    return tuple(release.heads) if databases and databases[0].pk == database.pk else None
