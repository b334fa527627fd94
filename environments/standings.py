"""Reads from git where every database stands beside the head of its branch, and says what of it is a finding."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.conf import settings

from environments.coherence import Problem, expected_branches
from environments.database import NoDatabase, read_revisions, url_of
from environments.git import Mirror
from environments.mirrors import mirror_of
from environments.models import (
    Branch,
    DatabaseSync,
    Environment,
    FindingKind,
    MigrationRun,
    Preview,
    Project,
    SchemaStanding,
    StandingState,
)
from environments.railway import Railway
from environments.schema import revisions, standing
from environments.schema.database import DatabaseError, same_database
from portal.http import ApiError

PREVIEW_SECONDS = 300
LONG_LIVED = ("staging", "production")


@dataclass(frozen=True)
class Place:
    """An environment and the head of the branch that it deploys from."""

    environment: Environment
    branch: str
    commit: str
    pull: int = 0


def due_previews(project: Project, *, now: datetime) -> list[Environment]:
    """The previews whose databases were not asked for their revision lately."""
    since = now - timedelta(seconds=max(PREVIEW_SECONDS, 2 * settings.SYNC_SECONDS))
    previews = Environment.objects.filter(project=project, kind="preview", gone_at=None, instances__isnull=False)
    return [one for one in previews.select_related("project").distinct() if (one.revisions_at or since) <= since]


def read_previews(project: Project, *, now: datetime, railway: Railway | None = None) -> None:
    """Asks the databases of previews for their revision, seldom; one that is another environment's is not theirs."""
    due = due_previews(project, now=now)
    long_lived = list(Environment.objects.filter(project=project, kind__in=LONG_LIVED, gone_at=None)) if due else []
    for preview in due:
        try:
            url = url_of(preview, railway)
            if any(same_database(url, url_of(one, railway)) for one in long_lived):
                continue
        except (NoDatabase, DatabaseError, ApiError):
            continue  # it has none of its own, as far as can be told
        read_revisions(preview, now=now, railway=railway)


def read(project: Project, *, now: datetime) -> None:
    """Works out where each database stands. Raises `GitError`, `ApiError`.

    Costs one reading of each branch's revisions, which is remembered while their files stay as they are.
    """
    places = _places(project)
    if not places:
        return
    mirror = mirror_of(project)
    missing = [one for one in places if not mirror.has(one.commit)]
    if missing:
        mirror.fetch(pulls=[one.pull for one in missing if one.pull])
    histories = {one.branch: _history(mirror, project, one) for one in places if mirror.has(one.commit)}
    known = {row.environment_id: row for row in SchemaStanding.objects.filter(environment__project=project)}
    for place in places:
        if place.branch in histories:
            _keep(place, histories, known.get(place.environment.pk), now)
    SchemaStanding.objects.filter(environment__project=project).exclude(
        environment__in=[one.environment.pk for one in places]
    ).delete()
    marked = {id for one in places for id in one.environment.revisions or ()}
    entries, left = standing.timeline(histories, marked)
    told = {"entries": [asdict(one) for one in entries], "left": left}
    DatabaseSync.objects.filter(project=project).update(timeline=told)


def _places(project: Project) -> list[Place]:
    """Staging, production and the previews with a database of their own that was read."""
    expected = expected_branches(project)
    heads = dict(Branch.objects.filter(project=project).values_list("name", "head"))
    previews = {row.environment_id: row for row in Preview.objects.filter(project=project).exclude(environment_id="")}
    found = []
    for one in Environment.objects.filter(project=project, gone_at=None, kind__in=[*LONG_LIVED, "preview"]):
        branch, preview = expected.get(one.kind), previews.get(one.railway_id)
        if branch and heads.get(branch):
            found.append(Place(one, branch, heads[branch]))
        elif preview and one.revisions is not None:
            found.append(Place(one, f"#{preview.number}", preview.head, preview.number))
    return sorted(found, key=lambda place: (place.pull, place.environment.kind != "staging"))


def _history(mirror: Mirror, project: Project, place: Place) -> revisions.History:
    return revisions.read(mirror, place.commit, project.alembic)


def _keep(place: Place, histories: dict[str, revisions.History], row: SchemaStanding | None, now: datetime) -> None:
    environment, own = place.environment, histories[place.branch]
    others = {name: its for name, its in histories.items() if name != place.branch and not name.startswith("#")}
    found = standing.stand(environment.name, environment.revisions, place.branch, own, others)
    same = row is not None and (row.state, row.revisions) == (found.state, environment.revisions)
    values = {
        "branch": place.branch,
        "commit": place.commit,
        "heads": list(own.heads),
        "revisions": environment.revisions,
        "state": found.state,
        "sentence": found.sentence,
        "between": [{"id": one.id, "path": one.path, "message": one.message[:200]} for one in found.between],
        "beyond": list(found.beyond),
        "since": row.since if row is not None and same else now,
        "read_at": now,
    }
    SchemaStanding.objects.update_or_create(environment=environment, defaults=values)


def problems(project: Project, *, now: datetime) -> Iterator[Problem]:
    """What of it bears on a release. Two queries.

    A database that is ahead because a run of the portal brought it there, as *migrate, then deploy* does, is none;
    nor is production behind its branch while a release is given the time to be deployed.
    """
    rows = list(
        SchemaStanding.objects.filter(environment__project=project, environment__kind__in=LONG_LIVED)
        .filter(environment__gone_at=None)
        .select_related("environment")
    )
    brought = _brought(rows)
    patience = timedelta(minutes=project.deploy_minutes)
    for row in rows:
        subject = f"revision of {row.environment.name}'s database"
        if row.state in (StandingState.UNKNOWN, StandingState.OVERLAP):
            yield Problem(FindingKind.SCHEMA, subject, row.sentence)
        elif row.state == StandingState.AHEAD and row.environment_id not in brought:
            said = f"{row.sentence} No run of the portal brought it there."
            yield Problem(FindingKind.SCHEMA, subject, said)
        elif _is_behind(row) and now - row.since > patience:
            said = f"{row.sentence} They run with the next release."
            yield Problem(FindingKind.SCHEMA, subject, said, attestable=True)


def _is_behind(row: SchemaStanding) -> bool:
    """Staging waits for somebody to migrate it: that is no finding."""
    return row.environment.kind == "production" and row.state in (StandingState.BEHIND, StandingState.HEADS)


def _brought(rows: Sequence[SchemaStanding]) -> set[int]:
    """The environments whose database is where the portal's newest run left it, or that one is moving now."""
    runs = MigrationRun.objects.filter(environment__in=[row.environment_id for row in rows])
    newest = runs.order_by("environment_id", "-pk").distinct("environment_id")
    runs_of = {run.environment_id: run for run in newest.only("environment_id", "status", "after")}
    found = set()
    for row in rows:
        run = runs_of.get(row.environment_id)
        if run and (run.is_open or sorted(run.after or ()) == sorted(row.revisions or ())):
            found.add(row.environment_id)
    return found
