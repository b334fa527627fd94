"""The rollback adviser: what it would take to get back from a release, worked out before anybody
needs it.

One `Advice` row for each release that goes to production. It reads Railway, git and production's
database, changes nothing but its row, and ends when a later release took its place or the release
was taken back.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F, Max, Q
from django.db.models.functions import Coalesce

from environments.clients import railway_of
from environments.clones.clone import mirror_of
from environments.databases.address import NoDatabase, url_of
from environments.git.calls import GitError
from environments.models import (
    SERVING,
    AtStart,
    Database,
    Environment,
    EnvironmentKind,
    MigrationPlan,
    MigrationRun,
    Project,
    ServiceInstance,
    databases_of,
    place_of,
)
from environments.railway import Deployment, Railway
from environments.schema.downgrade import data_loss
from environments.schema.downgrade.compatibility import PENDING, Half, Services, WayBack, advise
from environments.schema.history import identity
from environments.schema.history import reader as history_reader
from environments.schema.plan.render import Step, steps_from_json
from environments.schema.plan.risk import Risk
from environments.schema.run import address
from environments.schema.run import database as schema_database
from environments.services.roles import Role, belongs, role_of
from environments.services.rollback_candidates import (
    GONE,
    MOVING,
    READY,
    SAME,
    UNKNOWN,
    Restorable,
    newest_first,
    restorable,
)
from environments.variables.comparison import going_back
from portal.jobs import OPEN, Finished, JobStatus, Outcome, Requeue, wake_now
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject
from releases.gates.context import INSTANCES, Facts
from releases.gates.databases import migrations_of
from releases.models import Advice
from releases.models.promotion import Promotion, PromotionStep
from releases.models.releases import Release, ReleaseStatus
from releases.models.rollback import rollback_content
from releases.rollback.half_applied import half_of, newest_run

IN_PRODUCTION = (
    ReleaseStatus.PROMOTING,
    ReleaseStatus.VERIFYING,
    ReleaseStatus.DONE,
    ReleaseStatus.ABANDONED,
)
MOVING_SECONDS = 3  # between two looks while a migration runs or a deployment is under way
LISTED = 25  # so many of a service's deployments are read


def begin(facts: Facts, *, now: datetime) -> Advice:
    """The advice on a release whose promotion starts, with what production serves in this
    moment.
    """
    served = {
        live.instance.service.railway_id: _served(live.active)
        for live in facts.in_production
        if live.at_commits
    }
    advice, created = Advice.objects.get_or_create(
        release=facts.release, defaults={"created_at": now, "wake_at": now, "ran_before": served}
    )
    if not created:
        Advice.objects.filter(pk=advice.pk).update(
            status=JobStatus.QUEUED, finished_at=None, ran_before=served
        )
    wake_now(advice, now=now)
    return advice


def _served(active: Sequence[Any]) -> dict[str, str]:
    one = next((one for one in active if one.status in SERVING and one.commit), None)
    return {"deployment": one.railway_id, "commit": one.commit} if one else {}


def see_to(project: Project, *, now: datetime) -> None:
    """Sees that what is in production has its advice, also where it went there before there was
    any.
    """
    newest = _shipped(project).order_by("-went").first()
    if newest is None:
        return
    advice, _ = Advice.objects.get_or_create(
        release=newest, defaults={"created_at": now, "wake_at": now}
    )
    if not advice.is_open:  # a later release was rolled back
        Advice.objects.filter(pk=advice.pk).update(
            status=JobStatus.QUEUED, finished_at=None, wake_at=now
        )


def hurry(release: Release, *, now: datetime) -> None:
    """Has the advice worked out anew at once."""
    Advice.objects.filter(release=release).update(wake_at=now)


def look(job: Advice, *, now: datetime) -> Outcome:
    """One look at everything; trouble is kept on the row beside what was known before."""
    release = Release.objects.select_related("project").get(pk=job.release_id)
    if message := over(release):
        return Finished(JobStatus.SUCCEEDED, message)
    try:
        refresh(job, release, now=now)
    except (ApiError, GitError) as error:
        Advice.objects.filter(pk=job.pk).update(problem=str(error))
        return Requeue(max(30, getattr(error, "retry_after", None) or 0), str(error))
    if job.verdict == PENDING:
        return Requeue(MOVING_SECONDS, job.verdict)
    moving = release.status == ReleaseStatus.PROMOTING
    return Requeue(settings.ADVICE_SECONDS / (10 if moving else 1), job.verdict)


def outdated(row: Advice, release: Release, *, now: datetime) -> str:
    """Why the advice is no longer of now: what has moved since it was worked out; "" while it
    holds.
    """
    if row.computed_at is None:
        return "The rollback assessment is still running."
    if row.problem:
        return f"The assessment could not be updated: {row.problem}"
    production = Q(
        environment__project=release.project_id, environment__kind=EnvironmentKind.PRODUCTION
    )
    since = (
        Q(status__in=OPEN) | Q(created_at__gt=row.computed_at) | Q(finished_at__gt=row.computed_at)
    )
    if MigrationRun.objects.filter(production & since).exists():
        return "Production's database has been migrated since."
    if PromotionStep.objects.filter(
        promotion__release=release, finished_at__gt=row.computed_at
    ).exists():
        return "A step of the promotion has ended since."
    return "The assessment is outdated." if is_old(row, now) else ""


def is_old(row: Advice, now: datetime) -> bool:
    """Whether two looks have been missed."""
    return row.computed_at is None or now - row.computed_at > timedelta(
        seconds=2 * settings.ADVICE_SECONDS
    )


def over(release: Release) -> str:
    """Why there is nothing to advise about any more; "" while the release is in production, or
    on its way.
    """
    if release.status == ReleaseStatus.ROLLED_BACK:
        return "The release was rolled back."
    if release.status == ReleaseStatus.OPEN or (
        release.status == ReleaseStatus.ABANDONED and not release.merge_commit
    ):
        return "The release is not on its way to production."
    began = (
        Promotion.objects.filter(release=release).aggregate(last=Max("created_at"))["last"]
        or release.cut_at
    )
    newer = (
        _shipped(release.project)
        .exclude(pk=release.pk)
        .filter(went__gt=began)
        .order_by("-went")
        .first()
    )
    return (
        f"Release {newer.name} went to production after it; that one is to be rolled back first."
        if newer
        else ""
    )


def _shipped(project: Project) -> Any:
    """What was merged and not taken back, with the moment at which each `went`; a hotfix may
    overtake a release.
    """
    rows = Release.objects.filter(project=project, status__in=IN_PRODUCTION).exclude(
        merge_commit=""
    )
    return rows.annotate(went=Coalesce(Max("promotions__created_at"), F("cut_at")))


@dataclass(frozen=True)
class _Database:
    """Where one of production's databases is with regard to the release.

    `revisions` None: not known.
    """

    called: str  # its name, "" where there is one
    revisions: tuple[str, ...] | None
    in_effect: tuple[
        str, ...
    ]  # the release's revisions that it has, in order; all of them where it is not known
    downgrade: JsonObject | None = None
    problem: str = ""
    half: Half | None = None
    kept: str = ""  # the backup taken before its newest run, and how to restore it
    running: str = ""  # what brings it elsewhere in this moment

    def named(self, found: Sequence[str]) -> list[str]:
        """Return what was found of it with its name before it."""
        return [f"{self.called}: {one}" if self.called else one for one in found]


@dataclass(frozen=True)
class _Databases:
    """All of them, the next revision that can be taken back, and what is planned of what is in
    effect.
    """

    found: tuple[_Database, ...]
    downgrade: JsonObject | None
    steps: list[Step]
    risks: list[Risk]
    unplanned: list[str]

    @property
    def revisions(self) -> list[str] | None:
        """Return where they all are; None while one is not known."""
        if any(one.revisions is None for one in self.found):
            return None
        at = [(one, one.revisions or (("empty",) if one.called else ())) for one in self.found]
        return [text for one, revisions_ in at for text in one.named(revisions_)]

    @property
    def in_effect(self) -> list[str]:
        """Return the release's revisions that they have."""
        return [text for one in self.found for text in one.named(one.in_effect)]

    @property
    def half(self) -> list[Half]:
        """Return the revisions of which a part stays in one of them."""
        return [one.half for one in self.found if one.half]

    @property
    def kept(self) -> tuple[str, ...]:
        """Return the backups that were taken before they were migrated."""
        return tuple(
            text for one in self.found for text in one.named([one.kept] if one.kept else [])
        )

    @property
    def running(self) -> tuple[str, ...]:
        """Return what moves one of them in this moment."""
        return tuple(
            text for one in self.found for text in one.named([one.running] if one.running else [])
        )

    @property
    def problem(self) -> str:
        """Return why something cannot be taken back."""
        return " ".join(
            text for one in self.found for text in one.named([one.problem] if one.problem else [])
        )


def refresh(job: Advice, release: Release, *, now: datetime) -> Advice:
    """Works the advice out anew and writes it down; two that do so at once write the same.

    Raises `ApiError`, `GitError`: then the row keeps what was known before.
    """
    project = release.project
    production = (
        Environment.objects.present()
        .filter(project=project, kind=EnvironmentKind.PRODUCTION)
        .select_related("project")
        .first()
    )
    services = _services(job, release, production) if production else []
    read = _databases(release, production)
    verdict = judge(services, read)
    rows = [_with_variables(one, instance, production) for one, instance in services]
    job.verdict, job.reasons, job.steps = (
        verdict.verdict,
        list(verdict.reasons),
        list(verdict.steps),
    )
    job.services, job.in_effect, job.revisions = rows, read.in_effect, read.revisions
    job.downgrade, job.downgrade_problem = read.downgrade, read.problem
    job.content, job.problem, job.computed_at = rollback_content(job.verdict, job.targets), "", now
    names = (
        "verdict",
        "reasons",
        "steps",
        "services",
        "in_effect",
        "revisions",
        "downgrade",
        "downgrade_problem",
        "content",
        "problem",
        "computed_at",
    )
    Advice.objects.filter(pk=job.pk).update(**{name: getattr(job, name) for name in names})
    return job


def judge(services: Sequence[tuple[Restorable, ServiceInstance]], read: "_Databases") -> WayBack:
    """The verdict on what was found: services with what Railway can restore, and what the
    databases have.
    """
    back = [(one, row) for one, row in services if one.state == READY]
    stay = [(one, row) for one, row in services if one.state == SAME]
    old = [row for _, row in (*back, *stay)]
    moving = [f"{one.service}: {one.sentence}" for one, _ in services if one.state == MOVING]
    found = Services(
        back=tuple(one.service for one, _ in back),
        stay=tuple((one.service, f"{one.service}: {one.sentence}") for one, _ in stay),
        missing=tuple(
            f"{one.service}: {one.sentence}" for one, _ in services if one.state in (GONE, UNKNOWN)
        ),
        starting=tuple(
            f"{row.service.name}: {row.runs_alembic.label}."
            for row in old
            if row.runs_alembic in _STARTING
        ),
        starting_known=all(row.runs_alembic != AtStart.UNKNOWN for row in old),
        moving=(*read.running, *moving),
    )
    verdict = advise(
        read.steps, read.risks, services=found, unplanned=read.unplanned, half=read.half
    )
    return (
        verdict
        if verdict.verdict == PENDING
        else replace(verdict, steps=(*verdict.steps, *read.kept))
    )


_STARTING = (AtStart.PRE_DEPLOY, AtStart.START)


def _services(
    job: Advice, release: Release, production: Environment
) -> list[tuple[Restorable, ServiceInstance]]:
    """Every service of production that is built from a commit, with what Railway can restore on
    it.
    """
    project, railway = release.project, railway_of(release.project)
    noted: Mapping[str, Mapping[str, str]] | None = job.ran_before
    keep = timedelta(hours=project.retention_hours) if project.retention_hours else None
    instances = INSTANCES.filter(environment=production).order_by("service__name")
    # A database, an image, another repository: no commit of the project tells what it is.
    ours = [
        (instance, role)
        for instance in instances
        if (role := role_of(instance, None, project.repository)) in (Role.CODE, Role.EMPTY)
    ]
    places = [(production.railway_id, one.service.railway_id) for one, _ in ours]
    histories = railway.deployments_of(project.railway_project_id, places, LISTED)
    found = []
    for (instance, role), newest in zip(ours, histories, strict=True):
        key = instance.service.railway_id
        before = None if noted is None else noted.get(key, {})
        deployments = _with_noted(railway, newest, before)
        role = (
            Role.CODE if any(deployment.commit for deployment in deployments) else role
        )  # what has lost its source has one still
        if role is not Role.CODE or not belongs(instance.service.belongs, role):
            continue
        one = restorable(
            instance.service.name,
            key,
            deployments,
            before=before,
            released=release.merge_commit,
            keep=keep,
        )
        found.append((one, instance))
    return found


def _with_noted(
    railway: Railway, found: tuple[Deployment, ...], before: Mapping[str, str] | None
) -> tuple[Deployment, ...]:
    """The newest deployments of a service, and the one that was noted, however many came after
    it.
    """
    noted = before.get("deployment") if before else None
    if noted and all(one.id != noted for one in found):
        try:
            found = (*found, railway.deployment(noted))
        except ApiError as error:
            if error.kind not in ("not_found", "forbidden", "refused"):
                raise  # no answer is not “gone”
    return newest_first(found)


def _with_variables(
    one: Restorable, instance: ServiceInstance, environment: Environment | None
) -> JsonObject:
    """The row of a service: what would be restored, and what would go back with it."""
    row = asdict(one)
    row |= {
        "made_at": _text(one.made_at),
        "until": _text(one.until),
        "at_start": instance.runs_alembic.label,
    }
    row |= {
        "at_start_known": instance.runs_alembic != AtStart.UNKNOWN,
        "variables": [],
        "variables_unknown": [],
    }
    if environment is not None and one.state == READY:
        back = going_back(environment, instance.service, one.made_at)
        row |= {
            "variables": [list(change) for change in back.changed],
            "variables_unknown": list(back.unknown),
        }
    return row


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _planned(
    release: Release, database: Database, databases: Sequence[Database], in_effect: Sequence[str]
) -> tuple[list[Step], list[Risk], list[str]]:
    """What the plan knows of the revisions in effect in one database; the rest by id."""
    plan = MigrationPlan.objects.filter(
        database=database, commit=release.candidate, base=release.base, status=JobStatus.SUCCEEDED
    ).first()
    files = {one["id"]: one["sha256"] for one in migrations_of(release, database, databases)}
    steps = [
        step
        for step in steps_from_json(plan.steps if plan else [])
        if step.revision in in_effect and files.get(step.revision) == step.sha256
    ]
    known = {step.revision for step in steps}
    risks = [Risk(**risk) for risk in (plan.risks if plan else []) if risk["revision"] in known]
    return steps, risks, [one for one in in_effect if one not in known]


def _databases(release: Release, production: Environment | None) -> _Databases:
    """All of production's databases.

    They go back in the opposite order of that in which they were migrated.
    """
    databases = databases_of(release.project)
    found = [_database(release, production, database, databases) for database in databases]
    planned = [
        _planned(release, one, databases, read.in_effect)
        for one, read in zip(databases, found, strict=True)
    ]
    return _Databases(
        tuple(found),
        next((read.downgrade for read in reversed(found) if read.downgrade), None),
        [step for steps, _, _ in planned for step in steps],
        [risk for _, risks, _ in planned for risk in risks],
        [one for _, _, unplanned in planned for one in unplanned],
    )


def _database(
    release: Release,
    production: Environment | None,
    database: Database,
    databases: Sequence[Database],
) -> _Database:
    """One of production's databases now: what it has of the release, what one revision back
    would throw away.
    """
    called = database.called
    mine = tuple(one["id"] for one in migrations_of(release, database, databases))
    place = place_of(production, database) if production else None
    newest = (
        newest_run(place) if place else None
    )  # seen before the database is read: its end is not missed
    if newest is not None and newest.is_open:
        message = (
            f"A migration runs in production ({newest}); what it leaves is known when it has ended."
        )
        return _Database(called, None, mine, running=message)
    if not mine:
        return _Database(called, None if place is None else tuple(place.revisions or ()), ())
    if place is None:
        return _Database(
            called, None, mine, problem="There is no production environment on Railway."
        )
    mirror, commit = mirror_of(release.project), release.merge_commit or release.candidate
    if not mirror.has(commit):
        mirror.fetch()
    try:
        history = history_reader.read(mirror, commit, database.alembic)
        url = url_of(place)
        current = schema_database.current(url, table=database.version_table)
        strange = [one for one in current if one not in history.revisions]
        if history.problems or strange:
            message = (
                history.problems[0].sentence
                if history.problems
                else f"{', '.join(strange)} is in no file."
            )
            return _Database(called, current, mine, problem=message)
        behind = history.ancestors(current)
        in_effect = tuple(one for one in mine if one in behind)
        planned = functools.partial(_planned, release, database, databases)
        downgrade, problem = _downgrade(release, history, current, in_effect, url, planned)
        half = half_of(newest, release, behind, planned) if newest else None
        if downgrade is not None:
            (one,) = identity.bound(
                mirror,
                commit,
                history,
                [history.revisions[downgrade["file"]["id"]]],
                command=database.runs_project_code,
            )
            downgrade["file"]["sha256"] = one.sha256
            # Railway calls every database “railway”: of several, its name here is the one to type.
            name = called or address.normalise(url).database
            downgrade |= {"database_id": database.pk, "database": name}
        kept = _backup_of(newest, release) if newest else ""
        return _Database(called, current, in_effect, downgrade, problem, half, kept)
    except (NoDatabase, address.DatabaseError, history_reader.HistoryError) as error:
        return _Database(called, None, mine, problem=f"Production's database: {error}")


def _backup_of(run: MigrationRun, release: Release) -> str:
    """The backup that was taken before a run of this release, and how it is restored; "" without
    one.
    """
    if run.commit not in (release.candidate, release.merge_commit) or not run.backup.get("restore"):
        return ""
    return f"Rows that are missed: {run.backup['sentence']} {run.backup['restore']}"


def _downgrade(
    release: Release,
    history: history_reader.History,
    current: tuple[str, ...],
    in_effect: Sequence[str],
    url: str,
    planned: Callable[[Sequence[str]], tuple[list[Step], list[Risk], list[str]]],
) -> tuple[JsonObject | None, str]:
    """The one revision that can be taken back next, and what would be lost with it."""
    if not in_effect:
        return None, ""
    if len(current) != 1:
        return (
            None,
            "The database has several heads, so there is no single revision to downgrade to.",
        )
    one = history.revisions[current[0]]
    if len(one.down) > 1 or one.id not in in_effect:
        what = "is a merge" if len(one.down) > 1 else "is not part of this release"
        return None, f"{one.id} {what}, so it cannot be downgraded here."
    target = one.down[0] if one.down else "base"
    steps, _, _ = planned([one.id])
    rendered = steps[0].downgrade if steps else None
    lost = data_loss.count(url, data_loss.dropped(rendered)) if rendered else ()
    unsure = "What it drops is not known." if rendered is None else rendered.problem
    file = {"id": one.id, "path": one.path, "sha256": one.sha256}
    return {
        "file": file,
        "target": target,
        "start": list(current),
        "commit": release.merge_commit or release.candidate,
        "losses": [asdict(each) for each in lost],
        "unsure": unsure,
        "sql": rendered.text if rendered else "",
    }, ""
