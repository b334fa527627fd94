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
    Rehearsal,
)
from portal.outbound.parsing import JsonObject
from releases.gates.plan import Planned
from releases.gates.rehearsal import rehearsals_of
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
    # By kind of environment.
    places: Mapping[str, EnvironmentDatabase] = field(default_factory=dict)
    runs: tuple[MigrationRun, ...] = ()  # of staging, newest first
    staged_sql: Mapping[tuple[str, str], Staged] = field(default_factory=dict)
    planned: Planned | None = None
    # The candidate's newest one in each environment, with what `rehearsal.rows` reads.
    rehearsals: tuple[Rehearsal, ...] = ()

    @property
    def order(self) -> str:
        """Return which of code and schema is new first in production."""
        return self.database.schema_order

    @property
    def brings(self) -> list[tuple[str, str]]:
        """Return id and hash of each revision file that the release brings."""
        return [(file["id"], file["sha256"]) for file in self.migrations]

    def is_at_heads(self, kind: str) -> bool:
        """Return whether it is at the release's heads in the environment of this kind."""
        place = self.places.get(kind)
        return place is not None and sorted(place.revisions or ()) == sorted(self.heads or ())

    def staged_at(self) -> datetime | None:
        """Return when staging had run every revision file of the release; None: one is missing."""
        ran = [self.staged_sql.get(file) for file in self.brings]
        return None if None in ran else max((staged.at for staged in ran if staged), default=None)

    @property
    def is_staged(self) -> bool:
        """Return whether staging has run every revision file that the release brings."""
        return not self.migrations or self.staged_at() is not None

    def edited_since_staged(self) -> list[str]:
        """Return the paths of files which staging ran with another content, and not with this."""
        ran = {revision for revision, _ in self.staged_sql}
        return [
            file["path"]
            for file in self.migrations
            if file["id"] in ran and (file["id"], file["sha256"]) not in self.staged_sql
        ]

    def ran_at(self, revision: str) -> str:
        """Return the commit at which staging ran the revision last; "" when it is not known."""
        commits = [staged.commit for (id, _), staged in self.staged_sql.items() if id == revision]
        return commits[-1] if commits else ""


def annotations(project: str) -> dict[str, object]:
    """Return the databases of a project and where each is, for a query of rows with this field."""
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


def databases_in(row: Any, release: Release) -> tuple[DatabaseFacts, ...]:
    """Return the release as each database sees it, from what `annotations` and `rehearsal.rows`
    brought along; what staging ran and what was planned is not in it.
    """
    databases = [Database(project=release.project, **values) for values in row.database_rows]
    for database in databases:
        database.called = database.name if len(databases) > 1 else ""
    kept = release.record
    rehearsals, names = kept.get("rehearsals", row.rehearsal_rows), kept.get("databases", {})
    return tuple(
        DatabaseFacts(
            database=database,
            called=names.get(str(database.pk), database.called),
            migrations=migrations_of(release, database, databases),
            heads=heads_of(release, database, databases),
            places={
                at["kind"]: _place(at) for at in row.place_rows if at["database"] == database.pk
            },
            rehearsals=rehearsals_of(
                each for each in rehearsals if each["database_id"] == database.pk
            ),
        )
        for database in databases
    )


def _place(row: JsonObject) -> EnvironmentDatabase:
    return EnvironmentDatabase(
        environment=Environment(name=row["name"], kind=row["kind"]),
        database_id=row["database"],
        revisions=row["revisions"],
        revisions_at=row["revisions_at"] and parse_datetime(row["revisions_at"]),
        revisions_problem=row["revisions_problem"],
    )


def migrations_of(
    release: Release, database: Database, databases: Sequence[Database]
) -> tuple[JsonObject, ...]:
    """Return the release's revisions of one database; those collected before there were several
    are the first's.
    """
    first = databases[0].pk if databases else None
    return tuple(file for file in release.migrations if file.get("database", first) == database.pk)


def heads_of(
    release: Release, database: Database, databases: Sequence[Database]
) -> tuple[str, ...] | None:
    """Return where the release brings one database; None while it was not read for it."""
    if release.heads_of:
        heads = release.heads_of.get(str(database.pk))
        return None if heads is None else tuple(heads)
    return tuple(release.heads) if databases and databases[0].pk == database.pk else None
