"""The databases in a rollback assessment: where each is, and what can be downgraded next."""

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from environments.databases.address import NoDatabase, url_of
from environments.git_mirrors.clone import mirror_of
from environments.models import (
    Database,
    Environment,
    EnvironmentDatabase,
    MigrationPlan,
    MigrationRun,
    databases_of,
    place_of,
)
from environments.schema.downgrade import data_loss
from environments.schema.downgrade.compatibility import Half
from environments.schema.history import identity
from environments.schema.history import reader as history_reader
from environments.schema.plan.render import Step, steps_from_json
from environments.schema.plan.risk import Risk
from environments.schema.run import address
from environments.schema.run import database as schema_database
from portal.outbound.parsing import JsonObject
from releases.gates.databases import migrations_of
from releases.models.releases import Release
from releases.rollback.half_applied import Planned, halves_of, newest_run, runs_of


@dataclass(frozen=True)
class DatabaseState:
    """Where one of production's databases is with regard to the release.

    `revisions` None: not known. `in_effect`: the release's revisions that it has, in order; all of
    them where that is not known.
    """

    called: str  # its name, "" where there is one
    revisions: tuple[str, ...] | None
    in_effect: tuple[str, ...]
    downgrade: JsonObject | None = None
    problem: str = ""
    halves: tuple[Half, ...] = ()
    kept: str = ""  # the backup taken before its newest run, and how to restore it
    running: str = ""  # what brings it elsewhere in this moment

    def named(self, *texts: str) -> list[str]:
        """Return what was found of it, if anything, with its name before it."""
        return [f"{self.called}: {text}" if self.called else text for text in texts if text]


@dataclass(frozen=True)
class DatabaseStates:
    """The states of all databases, the next downgrade, and the plans of what is in effect."""

    found: tuple[DatabaseState, ...]
    downgrade: JsonObject | None
    steps: list[Step]
    risks: list[Risk]
    unplanned: list[str]

    @property
    def revisions(self) -> list[str] | None:
        """Return where they all are; None while one is not known."""
        if any(database.revisions is None for database in self.found):
            return None
        at = [
            (database, database.revisions or (("empty",) if database.called else ()))
            for database in self.found
        ]
        return [text for database, revisions_ in at for text in database.named(*revisions_)]

    @property
    def in_effect(self) -> list[str]:
        """Return the release's revisions that they have."""
        return [text for database in self.found for text in database.named(*database.in_effect)]

    @property
    def half(self) -> list[Half]:
        """Return the revisions of which a part stays in one of them."""
        return [half for database in self.found for half in database.halves]

    @property
    def kept(self) -> tuple[str, ...]:
        """Return the backups that were taken before they were migrated."""
        return tuple(text for database in self.found for text in database.named(database.kept))

    @property
    def running(self) -> tuple[str, ...]:
        """Return what moves one of them in this moment."""
        return tuple(text for database in self.found for text in database.named(database.running))

    @property
    def problem(self) -> str:
        """Return why something cannot be taken back."""
        return " ".join(
            text for database in self.found for text in database.named(database.problem)
        )


def _planned(
    release: Release, database: Database, databases: Sequence[Database], in_effect: Sequence[str]
) -> tuple[list[Step], list[Risk], list[str]]:
    """Return what the plan knows of the revisions in effect in one database; the rest by id.

    While it is made again, since the database is elsewhere, what it knew of the same files holds.
    """
    plan = MigrationPlan.objects.filter(
        database=database, commit=release.candidate, base=release.base
    ).first()
    files = {
        migration["id"]: migration["sha256"]
        for migration in migrations_of(release, database, databases)
    }
    steps = [
        step
        for step in steps_from_json(plan.steps if plan else [])
        if step.revision in in_effect and files.get(step.revision) == step.sha256
    ]
    known = {step.revision for step in steps}
    risks = [Risk(**risk) for risk in (plan.risks if plan else []) if risk["revision"] in known]
    return steps, risks, [revision for revision in in_effect if revision not in known]


def assess_databases(release: Release, production: Environment | None) -> DatabaseStates:
    """Return all of production's databases. They go back in the opposite order of migrating."""
    databases = databases_of(release.project)
    assessments = [_database(release, production, database, databases) for database in databases]
    planned = [
        _planned(release, database, databases, read.in_effect)
        for database, read in zip(databases, assessments, strict=True)
    ]
    return DatabaseStates(
        tuple(assessments),
        next((read.downgrade for read in reversed(assessments) if read.downgrade), None),
        [step for steps, _, _ in planned for step in steps],
        [risk for _, risks, _ in planned for risk in risks],
        [revision for _, _, unplanned in planned for revision in unplanned],
    )


def _database(
    release: Release,
    production: Environment | None,
    database: Database,
    databases: Sequence[Database],
) -> DatabaseState:
    """Return one of production's databases now: what it has of the release, what going back one
    revision would throw away.
    """
    called = database.called
    own = tuple(migration["id"] for migration in migrations_of(release, database, databases))
    place = place_of(production, database) if production else None
    # The newest run is seen before the database is read, so that its end is not missed.
    newest = newest_run(place) if place else None
    if newest is not None and newest.is_open:
        runs = f"A migration runs in production ({newest})"
        message = f"{runs}; what it leaves is known when it has ended."
        return DatabaseState(called, None, own, running=message)
    if not own:
        return DatabaseState(called, None if place is None else tuple(place.revisions or ()), ())
    if place is None:
        gone = "There is no production environment on Railway."
        return DatabaseState(called, None, own, problem=gone)
    planned = functools.partial(_planned, release, database, databases)
    try:
        return _read_database(release, database, place, own, newest, planned)
    except (NoDatabase, address.DatabaseError, history_reader.HistoryError) as error:
        return DatabaseState(called, None, own, problem=f"Production's database: {error}")


def _read_database(
    release: Release,
    database: Database,
    place: EnvironmentDatabase,
    own: tuple[str, ...],
    newest: MigrationRun | None,
    planned: Planned,
) -> DatabaseState:
    """Return the database as it says itself; raise what reading it or the history raises."""
    called = database.called
    mirror, commit = mirror_of(release.project), release.merge_commit or release.candidate
    if not mirror.has(commit):
        mirror.fetch()
    history = history_reader.read(mirror, commit, database.alembic)
    url = url_of(place)
    current = schema_database.current(url, table=database.version_table)
    strange = [revision for revision in current if revision not in history.revisions]
    if history.problems or strange:
        unknown = f"{', '.join(strange)} is in no file."
        message = history.problems[0].sentence if history.problems else unknown
        return DatabaseState(called, current, own, problem=message)
    behind = history.ancestors(current)
    in_effect = tuple(revision for revision in own if revision in behind)
    downgrade, problem = _downgrade(release, history, current, in_effect, url, planned)
    invalid = schema_database.invalid_indexes(url) if newest else ()
    halves = halves_of(runs_of(place, release), behind, invalid, planned) if newest else ()
    if downgrade is not None:
        revision = history.revisions[downgrade["file"]["id"]]
        (file,) = identity.bound(
            mirror, commit, history, [revision], command=database.runs_project_code
        )
        downgrade["file"]["sha256"] = file.sha256
        # Railway calls every database “railway”: of several, its name here is the one to type.
        name = called or address.normalise(url).database
        downgrade |= {"database_id": database.pk, "database": name}
    kept = _backup_of(newest, release) if newest else ""
    return DatabaseState(called, current, in_effect, downgrade, problem, halves, kept)


def _backup_of(run: MigrationRun, release: Release) -> str:
    """Return the backup taken before a run of this release, and how to restore it, if any."""
    if run.commit not in (release.candidate, release.merge_commit) or not run.backup.get("restore"):
        return ""
    return f"Rows that are missed: {run.backup['sentence']} {run.backup['restore']}"


def _downgrade(
    release: Release,
    history: history_reader.History,
    current: tuple[str, ...],
    in_effect: Sequence[str],
    url: str,
    planned: Planned,
) -> tuple[JsonObject | None, str]:
    """Return the one revision that can be taken back next, and what would be lost with it."""
    if not in_effect:
        return None, ""
    if len(current) != 1:
        several = "The database has several heads"
        return None, f"{several}, so there is no single revision to downgrade to."
    revision = history.revisions[current[0]]
    if len(revision.down) > 1 or revision.id not in in_effect:
        what = "is a merge" if len(revision.down) > 1 else "is not part of this release"
        return None, f"{revision.id} {what}, so it cannot be downgraded here."
    target = revision.down[0] if revision.down else "base"
    steps, _, _ = planned([revision.id])
    rendered = steps[0].downgrade if steps else None
    lost = data_loss.count(url, data_loss.dropped(rendered)) if rendered else ()
    unsure = "What it drops is not known." if rendered is None else rendered.problem
    return {
        "file": {"id": revision.id, "path": revision.path, "sha256": revision.sha256},
        "target": target,
        "start": list(current),
        "commit": release.merge_commit or release.candidate,
        "losses": [asdict(each) for each in lost],
        "unsure": unsure,
        "sql": rendered.text if rendered else "",
    }, ""
