"""Where every database is relative to the head of its branch, and which of that is a finding."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.conf import settings

from environments.databases.address import NoDatabase, read_revisions, url_of
from environments.finding_kinds.schema import SCHEMA
from environments.findings.problem import Problem
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.models import (
    LONG_LIVED,
    Branch,
    Database,
    DatabaseState,
    DatabaseStatus,
    DatabaseSync,
    Environment,
    EnvironmentDatabase,
    EnvironmentKind,
    MigrationRun,
    Preview,
    Project,
    Stamp,
    by_place,
    databases_of,
    newest_of_place,
    places_of,
)
from environments.railway import Railway
from environments.schema.history import reader as history_reader
from environments.schema.history import status as history_status
from environments.schema.history.graph import History
from environments.schema.run.address import DatabaseError, same_database
from environments.services.expected import expected_branches
from portal.outbound.http import ApiError

PREVIEW_SECONDS = 300


@dataclass(frozen=True)
class Place:
    """A database of an environment, and the head of the branch that this deploys from."""

    at: EnvironmentDatabase
    branch: str
    commit: str
    pull: int = 0

    @property
    def environment(self) -> Environment:
        return self.at.environment


def due_previews(project: Project, *, now: datetime) -> list[EnvironmentDatabase]:
    """Return the databases of previews that were not asked for their revision lately."""
    since = now - timedelta(seconds=max(PREVIEW_SECONDS, 2 * settings.SYNC_SECONDS))
    previews = (
        Environment.objects.present().previews().filter(project=project, instances__isnull=False)
    )
    places = places_of(previews.select_related("project").distinct(), databases_of(project))
    return [place for place in places if (place.revisions_at or since) <= since]


def read_previews(project: Project, *, now: datetime, railway: Railway | None = None) -> None:
    """Ask the previews' own databases for their revision, seldom."""
    due = due_previews(project, now=now)
    long_lived = Environment.objects.present().long_lived().filter(project=project)
    others = places_of(long_lived.select_related("project"), databases_of(project)) if due else []
    for preview in due:
        try:
            url = url_of(preview, railway)
            if any(same_database(url, url_of(other, railway)) for other in others):
                continue
        except (NoDatabase, DatabaseError, ApiError):
            continue  # it has none of its own, as far as can be told
        read_revisions(preview, now=now, railway=railway)


def read(project: Project, *, now: datetime) -> None:
    """Work out where each database stands. Raise `GitError`, `ApiError`.

    Costs one reading of each branch's revisions, which is remembered while their files stay as they
    are.
    """
    databases = databases_of(project)
    places = _places(project, databases)
    if not places:
        return
    mirror = mirror_of(project)
    if missing := [place for place in places if not mirror.has(place.commit)]:
        mirror.fetch(pulls=[place.pull for place in missing if place.pull])
    rows = DatabaseStatus.objects.filter(environment__project=project)
    known = by_place(rows)
    timeline = {}
    for database in databases:
        own_places = [place for place in places if place.at.database_id == database.pk]
        timeline[str(database.pk)] = _read_one(mirror, database, own_places, known, now)
    stood = {(place.environment.pk, place.at.database_id) for place in places}
    gone = [row.pk for key, row in known.items() if key not in stood]
    rows.filter(pk__in=gone).delete()
    DatabaseSync.objects.filter(project=project).update(timeline=timeline)


def _read_one(
    mirror: Mirror,
    database: Database,
    places: Sequence[Place],
    known: Mapping[tuple[int, int], DatabaseStatus],
    now: datetime,
) -> dict[str, object]:
    """Keep where one database stands in each environment; return its timeline."""
    there = [place for place in places if mirror.has(place.commit)]
    histories = {
        place.branch: history_reader.read(mirror, place.commit, database.alembic) for place in there
    }
    for place in places:
        if place.branch in histories:
            _keep(place, histories, known.get((place.environment.pk, database.pk)), now)
    marked = {id for place in places for id in place.at.revisions or ()}
    entries, left = history_status.timeline(histories, marked)
    return {"entries": [asdict(entry) for entry in entries], "left": left}


def _places(project: Project, databases: Sequence[Database]) -> list[Place]:
    """Staging, production and the previews with a database of their own that was read."""
    expected = expected_branches(project)
    heads = Branch.heads(project)
    previews = {
        row.environment_id: row
        for row in Preview.objects.filter(project=project).exclude(environment_id="")
    }
    environments = Environment.objects.present().filter(
        project=project, kind__in=[*LONG_LIVED, EnvironmentKind.PREVIEW]
    )
    places = []
    for at in places_of(environments.select_related("project"), databases):
        branch, preview = expected.get(at.environment.kind), previews.get(at.environment.railway_id)
        if branch and heads.get(branch):
            places.append(Place(at, branch, heads[branch]))
        elif preview and at.revisions is not None:
            places.append(Place(at, f"#{preview.number}", preview.head, preview.number))
    return sorted(
        places, key=lambda place: (place.pull, place.environment.kind != EnvironmentKind.STAGING)
    )


def _keep(
    place: Place, histories: dict[str, History], row: DatabaseStatus | None, now: datetime
) -> None:
    at, own = place.at, histories[place.branch]
    names = [name for name in histories if name != place.branch and not name.startswith("#")]
    others = {name: histories[name] for name in names}
    status = history_status.status_of(
        at.environment.name, at.revisions, place.branch, own, others, tables=at.tables
    )
    same = row is not None and (row.state, row.revisions) == (status.state, at.revisions)
    values = {
        "branch": place.branch,
        "commit": place.commit,
        "heads": list(own.heads),
        "revisions": at.revisions,
        "state": status.state,
        "sentence": status.sentence,
        "between": [
            {"id": revision.id, "path": revision.path, "message": revision.message[:200]}
            for revision in status.between
        ],
        "beyond": list(status.beyond),
        "since": row.since if row is not None and same else now,
        "read_at": now,
    }
    DatabaseStatus.objects.update_or_create(
        environment=at.environment, database=at.database, defaults=values
    )


def problems(
    project: Project, databases: Iterable[Database], *, now: datetime
) -> Iterator[Problem]:
    """Yield what of it bears on a release. At most three queries.

    A database that is ahead because a run of the portal brought it there, as *migrate, then deploy*
    does, is none; nor is production behind its branch while a release is given the time to be
    deployed.
    """
    names = {database.pk: database.called for database in databases}
    environments = Environment.objects.present().long_lived().filter(project=project)
    statuses = DatabaseStatus.objects.filter(database__in=names, environment__in=environments)
    rows = list(statuses.select_related("environment"))
    ahead = [row for row in rows if row.state == DatabaseState.AHEAD]
    brought = _brought(ahead) if ahead else set()
    patience = timedelta(minutes=project.deploy_minutes)
    for row in rows:
        name = names[row.database_id]
        subject = f"revision of {row.environment.name}'s database{f' {name}' if name else ''}"
        sentence = f"{name}: {row.sentence}" if name else row.sentence
        if row.state in (DatabaseState.UNKNOWN, DatabaseState.OVERLAP):
            yield Problem(SCHEMA, subject, sentence)
        elif row.state == DatabaseState.AHEAD and row.pk not in brought:
            yield Problem(SCHEMA, subject, f"{sentence} No portal run applied them.")
        elif _is_behind(row) and now - row.since > patience:
            message = f"{sentence} They run with the next release."
            yield Problem(SCHEMA, subject, message, attestable=True)


def _is_behind(row: DatabaseStatus) -> bool:
    """Staging waits for somebody to migrate it: that is no finding."""
    waits = row.state in (DatabaseState.BEHIND, DatabaseState.HEADS)
    return waits and row.environment.kind == EnvironmentKind.PRODUCTION


def _brought(rows: Sequence[DatabaseStatus]) -> set[int]:
    """Return the statuses of databases that are where the portal's newest run or a proven stamp
    left them, or that a run is moving now. Two queries.
    """
    environments = [row.environment_id for row in rows]
    runs = newest_of_place(MigrationRun.objects.filter(environment__in=environments))
    run_of = by_place(runs.only("environment_id", "database_id", "status", "after"))
    stamps = Stamp.objects.filter(environment__in=environments, status="succeeded")
    stamped = [
        (environment, database, sorted(target))
        for environment, database, target in stamps.values_list("environment", "database", "target")
    ]
    commits = set()
    for (environment, database), row in by_place(rows).items():
        at, run = sorted(row.revisions or ()), run_of.get((environment, database))
        by_run = run is not None and (run.is_open or sorted(run.after or ()) == at)
        if by_run or (environment, database, at) in stamped:
            commits.add(row.pk)
    return commits
