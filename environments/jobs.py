"""The background work of environments: keeping the mirror fresh and planning migrations."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from environments import (
    allowance,
    connections,
    pace,
    previews,
    railway_runs,
    redeploys,
    standings,
    starting_points,
    sync,
    variables,
)
from environments.database import NoDatabase, read_revisions, remember, url_of
from environments.git import GitError
from environments.live import watching
from environments.mirrors import mirror_of
from environments.models import (
    ConnectionCheck,
    DatabaseSync,
    Environment,
    MigrationPlan,
    Project,
    RailwaySync,
    VariableSync,
    databases_of,
    place_of,
    places_of,
)
from environments.railway import Railway
from environments.schema import database, identity, plan, revisions, risk, target
from environments.schema.history import HistoryError
from portal import audit
from portal.http import ApiError
from portal.jobs import Again, Ended, JobStatus, Outcome, holds

CONNECTIONS_SECONDS = 3600.0
MOMENT = timedelta(minutes=1)


def sync_railway(job: RailwaySync, *, now: datetime) -> Outcome:
    """One reading of the project on Railway; trouble is noted once and the next look comes as usual."""
    with allowance.counted(now) as wait:
        return Again(wait, allowance.sentence(wait)) if wait else _read_railway(job, now)


def _read_railway(job: RailwaySync, now: datetime) -> Outcome:
    try:
        tree = Railway().project(job.project.railway_project_id)
    except ApiError as error:
        said = _unseen(job.project) if error.kind in ("not_found", "forbidden") else str(error)
        sync.note_problem(job, said, "Railway", now=now)
        return Again(max(2 * settings.SYNC_SECONDS, error.retry_after or 0), said)
    sync.note_problem(job, "", "Railway", now=now)
    pace.listen(job, tree, now=now)
    sync.apply(job.project, tree, now=now)
    watching.settle(job.project)
    previews.notice(job.project, tree, now=now)
    railway_runs.put_back_all(list(Environment.objects.filter(project=job.project, gone_at=None)))
    variables.start(job.project)
    if variables.changed(job.project, now=now):
        VariableSync.objects.filter(project=job.project, wake_at__gt=now).update(wake_at=now)
    rest = pace.of_railway(job, now=now)
    try:
        redeploys.judge(job.project, Railway(), now=now)
    except ApiError as error:
        # What runs is known; how it came about is asked again at the next reading.
        return Again(max(rest, error.retry_after or 0), str(error))
    return Again(rest, "In step with Railway.")


def _unseen(project: Project) -> str:
    """Why a project is not shown to a token that Railway knows."""
    if not project.railway_project_id:
        return f"{project.name} has no Railway project id: set it under Projects."
    said = f"The token may not see Railway's project {project.railway_project_id}, or there is none"
    return f"{said}: check the id, and look under Connections what the token reaches."


def sync_variables(job: VariableSync, *, now: datetime) -> Outcome:
    """One reading of the variables that are due; trouble is noted once, and what was read before it is kept."""
    with allowance.counted(now) as wait:
        return Again(wait, allowance.sentence(wait)) if wait else _read_variables(job, now)


def _read_variables(job: VariableSync, now: datetime) -> Outcome:
    try:
        complete = variables.read(job.project, Railway(), now=now)
        redeploys.read_autodeploy(job.project, Railway(), now=now)
    except ApiError as error:
        sync.note_problem(job, str(error), "Railway's variables", now=now)
        return Again(max(2 * settings.SYNC_SECONDS, error.retry_after or 0), str(error))
    sync.note_problem(job, "", "Railway's variables", now=now)
    with transaction.atomic():
        # The lock of the other reading, so that one finding is not opened by both.
        RailwaySync.objects.select_for_update().get(project=job.project)
        sync.compare(job.project, now=now)
    return Again(settings.VARIABLES_SECONDS if complete else settings.SYNC_SECONDS, "Variables read.")


def sync_databases(job: DatabaseSync, *, now: datetime) -> Outcome:
    """Reads the revision that every database reports, and where it stands beside the head of its branch."""
    with allowance.counted(now) as wait:
        return Again(wait, allowance.sentence(wait)) if wait else _read_databases(job, now)


def _read_databases(job: DatabaseSync, now: datetime) -> Outcome:
    known = Environment.objects.filter(project=job.project, kind__in=["staging", "production"], gone_at=None)
    environments = list(known.select_related("project"))
    if not environments:
        return Again(2, "Railway has not been read yet.")
    rest = pace.of_databases(job.project, now=now)
    databases = databases_of(job.project)
    if not databases:
        return Again(rest, "The project has no migrations.")
    railway, places = Railway(), places_of(environments, databases)
    remember([*places, *standings.due_previews(job.project, now=now)], railway)
    for place in places:
        read_revisions(place, now=now, railway=railway)
    standings.read_previews(job.project, now=now, railway=railway)
    try:
        standings.read(job.project, now=now)
    except (ApiError, GitError) as error:
        return Again(rest, f"Databases read, but not the branches: {error}")
    return Again(rest, "Databases read.")


def check_connections(job: ConnectionCheck, *, now: datetime) -> Outcome:
    """One look at every credential; one event when what they can do has changed."""
    found = [asdict(one) for one in connections.diagnose()]
    with transaction.atomic():
        if not holds(job):
            return Again(0)
        ConnectionCheck.objects.filter(pk=job.pk).update(found=found, checked_at=timezone.now())
        states = {one["name"]: one["state"] for one in found}
        if states != {one["name"]: one["state"] for one in job.found}:
            bad = [f"{one['name']}: {one['sentence']}" for one in found if one["state"] == connections.FAIL]
            audit.record(
                "connections.checked",
                actor=None,
                subject=job,
                outcome="found" if bad else "done",
                sentence=" ".join(bad) or "Every credential can do what it must.",
                data={"states": states},
                now=now,
            )
    return Again(CONNECTIONS_SECONDS, "Connections checked.")


def plan_migrations(job: MigrationPlan, *, now: datetime) -> Outcome:
    """Works out what the commit will run in staging and in production, as SQL, and looks for risks. Runs nothing."""
    of = job.database
    try:
        mirror = mirror_of(job.project)
        if not (mirror.has(job.commit) and mirror.has(job.base)):
            mirror.fetch()
        history = revisions.read(mirror, job.commit, of.alembic)
        if history.problems:
            return Ended(JobStatus.FAILED, history.problems[0].sentence)
        starts = starting_points.read(of, history)
        new = {one.id for one in revisions.compare(mirror, job.base, job.commit, of.alembic).new}
        wanted = new.union(*(one["revisions"] for one in starts.values()))
        files = identity.bound(
            mirror,
            job.commit,
            history,
            (one for one in history.linear if one.id in wanted),
            command=of.runs_project_code,
        )
        made = plan.make_plan(mirror, job.commit, history, files, patient=now - (job.started_at or now) < MOMENT)
        # What only staging has still to run ran in production: it cannot hurt there any more.
        judged = new.union(starts.get("production", {}).get("revisions", ()))
        steps = [step for step in made.steps if step.revision in judged]
        met = _production(job, risk.tables_in(steps), now)
        if isinstance(met, Again):
            return met
        read, problem = met
        risks = risk.assess(steps, order=of.schema_order, target=read)
    except (ApiError, GitError, HistoryError, plan.BrokenOff, risk.RiskError) as error:
        return Again(10, f"The migrations cannot be planned yet: {error}")
    job.digest = plan.digest_of(steps)
    MigrationPlan.objects.filter(pk=job.pk, fence=job.fence).update(
        steps=plan.steps_as_json(steps),
        risks=[asdict(one) for one in risks],
        met=asdict(read) | {"problem": problem, "at": now.isoformat(), "order": of.schema_order},
        digest=job.digest,
        starts=starting_points.hashed(starts, made.steps, shown={step.revision for step in steps}),
        renderer=plan.renderer(),
    )
    asked = sum(one.asks for one in risks)
    return Ended(JobStatus.SUCCEEDED, f"{len(steps)} migrations planned; {asked} risks above information.")


def _production(job: MigrationPlan, tables: Collection[str], now: datetime) -> tuple[target.Target, str] | Again:
    """What production's database says of `tables`, and why it says nothing, if so: the plan is made without it.

    A connection that was lost in a bad moment is tried again for a minute: an approver need not sign for that.
    """
    environment = Environment.objects.filter(project=job.project, kind="production", gone_at=None).first()
    if environment is None:
        return target.Target(), "There is no production environment on Railway."
    try:
        return target.read_target(url_of(place_of(environment, job.database)), tables), ""
    except NoDatabase as error:
        return target.Target(), str(error)
    except (ApiError, database.DatabaseError) as error:
        if now - (job.started_at or now) < MOMENT:
            return Again(5, f"The migrations are planned as soon as production's database answers: {error}")
        return target.Target(), str(error)
