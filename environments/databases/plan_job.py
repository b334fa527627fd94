"""The job that plans what a commit will run in staging and in production."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime, timedelta

from environments.databases import pending
from environments.databases.address import NoDatabase, url_of
from environments.databases.project_environment import planning_command
from environments.git.calls import GitError
from environments.git_mirrors.clone import mirror_of
from environments.models import Environment, EnvironmentKind, MigrationPlan, place_of
from environments.schema.history import identity
from environments.schema.history import reader as history_reader
from environments.schema.history.revision import HistoryError
from environments.schema.plan import render as plan_render
from environments.schema.plan import risk, squawk, table_stats
from environments.schema.run import address
from environments.schema.run.virtualenvs import NotPrepared
from portal.jobs import Finished, JobStatus, Outcome, Requeue, holds
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject

MOMENT = timedelta(minutes=1)
UNPREPARED_SECONDS = 60.0


def plan_migrations(job: MigrationPlan, *, now: datetime) -> Outcome:
    """Work out what the commit will run in staging and in production, as SQL, and look for risks.

    Runs nothing.
    """
    of = job.database
    try:
        starts, new, made, renderer = _rendered(job, now)
        # Production has already run what only staging has left to run: it is no risk there.
        judged = new.union(starts.get(EnvironmentKind.PRODUCTION, {}).get("revisions", ()))
        steps = [step for step in made.steps if step.revision in judged]
        met = _production(job, risk.tables_in(steps), now)
        if isinstance(met, Requeue):
            return met
        read, problem = met
        risks = risk.assess(steps, order=of.schema_order, target=read)
    except _Broken as broken:
        return Finished(JobStatus.FAILED, str(broken))
    except (NoDatabase, NotPrepared) as error:  # until somebody fixes it, perhaps elsewhere
        return Requeue(UNPREPARED_SECONDS, f"The migrations cannot be planned yet: {error}")
    except (ApiError, GitError, HistoryError, plan_render.BrokenOff, squawk.RiskError) as error:
        return Requeue(10, f"The migrations cannot be planned yet: {error}")
    job.digest = plan_render.digest_of(steps)
    MigrationPlan.objects.filter(pk=job.pk, fence=job.fence).update(
        steps=plan_render.steps_as_json(steps),
        risks=[asdict(risk) for risk in risks],
        met=asdict(read) | {"problem": problem, "at": now.isoformat(), "order": of.schema_order},
        digest=job.digest,
        starts=pending.hashed(starts, made.steps, shown={step.revision for step in steps}),
        renderer=renderer,
    )
    to_accept = sum(risk.asks for risk in risks)
    return Finished(
        JobStatus.SUCCEEDED,
        f"{len(steps)} migrations planned; {to_accept} risks above information.",
    )


class _Broken(Exception):
    """The commit's history has a problem that no later look fixes; the message is one sentence."""


def _rendered(
    job: MigrationPlan, now: datetime
) -> tuple[dict[str, JsonObject], set[str], plan_render.Plan, str]:
    """Return where each environment starts, the ids of the new revisions, all that is still to run
    somewhere as SQL, and what rendered it.
    """
    of, mirror = job.database, mirror_of(job.project)
    if not (mirror.has(job.commit) and mirror.has(job.base)):
        mirror.fetch()
    history = history_reader.read(mirror, job.commit, of.alembic)
    if history.problems:
        raise _Broken(history.problems[0].sentence)
    starts = pending.read(of, history)
    change = history_reader.compare(mirror, job.base, job.commit, of.alembic)
    new = {revision.id for revision in change.new}
    wanted = new.union(*(start["revisions"] for start in starts.values()))
    revisions = (revision for revision in history.linear if revision.id in wanted)
    files = identity.bound(mirror, job.commit, history, revisions, command=of.runs_project_code)
    young = now - (job.started_at or now) < MOMENT
    command = planning_command(of, mirror, job.commit, alive=lambda: holds(job)) if files else None
    made = plan_render.make_plan(mirror, job.commit, history, files, patient=young, command=command)
    return starts, new, made, "the project's own environment" if command else plan_render.renderer()


def _production(
    job: MigrationPlan, tables: Collection[str], now: datetime
) -> tuple[table_stats.Target, str] | Requeue:
    """Return what production's database says of `tables`, and why it says nothing, if so: the plan
    is made without it.

    A connection that was lost in a bad moment is tried again for a minute: an approver need not
    sign for that.
    """
    present = Environment.objects.present()
    environment = present.of_kind(job.project, EnvironmentKind.PRODUCTION)
    if environment is None:
        return table_stats.Target(), "There is no production environment on Railway."
    try:
        return table_stats.read_target(url_of(place_of(environment, job.database)), tables), ""
    except NoDatabase as error:
        return table_stats.Target(), str(error)
    except (ApiError, address.DatabaseError) as error:
        if now - (job.started_at or now) < MOMENT:
            return Requeue(5, f"Waiting for production's database to plan the migrations: {error}")
        return table_stats.Target(), str(error)
