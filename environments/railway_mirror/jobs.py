"""The jobs that read Railway and the databases, and compare what they find."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from environments.clients import railway_of
from environments.databases import pre_deploy_command
from environments.databases import status as databases_status
from environments.databases.address import read_revisions, remember
from environments.deployment_logs import reading
from environments.drift import detect, unexpected_deployments
from environments.findings import writer
from environments.git.calls import GitError
from environments.models import (
    DatabaseSync,
    Environment,
    Project,
    RailwaySync,
    VariableSync,
    databases_of,
    places_of,
)
from environments.previews import check_interval
from environments.quota import allowance, pace, sharing
from environments.railway_mirror import sync as mirror_sync
from environments.services import watching
from environments.variables import sync as variables_sync
from portal.jobs import Outcome, Requeue
from portal.outbound.http import ApiError


def sync_railway(job: RailwaySync, *, now: datetime) -> Outcome:
    """Read once the project on Railway; trouble is noted once and the next look comes as usual."""
    with allowance.counted(job.project, now, kept=sharing.kept(now)) as wait:
        return Requeue(wait, allowance.sentence(wait)) if wait else _read_railway(job, now)


def _read_railway(job: RailwaySync, now: datetime) -> Outcome:
    try:
        railway = railway_of(job.project)
        tree = railway.project(job.project.railway_project_id)
    except ApiError as error:
        message = _unseen(job.project) if error.kind in ("not_found", "forbidden") else str(error)
        writer.note_problem(job, message, "Railway", now=now)
        return Requeue(max(2 * settings.SYNC_SECONDS, error.retry_after or 0), message)
    writer.note_problem(job, "", "Railway", now=now)
    pace.listen(job, tree, now=now)
    rows = mirror_sync.apply(job.project, tree, now=now)
    watching.settle_lives(
        job.project, rows.lives, {row.name: row.head for row in rows.branches.values()}
    )
    check_interval.notice(job.project, tree, now=now)
    pre_deploy_command.put_back_all(job.project)
    variables_sync.start(job.project)
    variables_sync.hurry(job.project, now=now)
    newest = [live.latest for live in rows.lives if live.latest]
    reading.read_logs(job.project, railway, newest, now=now)
    rest = pace.of_railway(job, newest, now=now)
    try:
        unexpected_deployments.judge(job.project, railway, rows.lives, now=now)
    except ApiError as error:
        # What runs is known; how it came about is asked again at the next reading.
        return Requeue(max(rest, error.retry_after or 0), str(error))
    return Requeue(rest, "In step with Railway.")


def _unseen(project: Project) -> str:
    """Return why a project is not shown to a token that Railway knows."""
    if not project.railway_project_id:
        return f"{project.name} has no Railway project id: set it under Projects."
    message = (
        f"The token may not see Railway's project {project.railway_project_id}, or there is none"
    )
    return f"{message}: check the id, and look under Connections what the token reaches."


def sync_variables(job: VariableSync, *, now: datetime) -> Outcome:
    """Read once the variables that are due; trouble is noted once, and what was read before it is
    kept.
    """
    with allowance.counted(job.project, now, kept=sharing.kept(now)) as wait:
        return Requeue(wait, allowance.sentence(wait)) if wait else _read_variables(job, now)


def _read_variables(job: VariableSync, now: datetime) -> Outcome:
    try:
        complete = variables_sync.read(job.project, railway_of(job.project), now=now)
        unexpected_deployments.read_autodeploy(job.project, railway_of(job.project), now=now)
    except ApiError as error:
        writer.note_problem(job, str(error), "Railway's variables", now=now)
        return Requeue(max(2 * settings.SYNC_SECONDS, error.retry_after or 0), str(error))
    writer.note_problem(job, "", "Railway's variables", now=now)
    with transaction.atomic():
        # The lock of the other reading, so that one finding is not opened by both.
        RailwaySync.objects.select_for_update().get(project=job.project)
        detect.compare(job.project, now=now)
    base = settings.VARIABLES_SECONDS if complete else settings.SYNC_SECONDS
    seconds = allowance.pause(job.project, now, watched=False, base=base)
    return Requeue(seconds, "Variables read.")


def sync_databases(job: DatabaseSync, *, now: datetime) -> Outcome:
    """Read the revision that every database reports, and where it stands beside the head of its
    branch.
    """
    with allowance.counted(job.project, now, kept=sharing.kept(now)) as wait:
        return Requeue(wait, allowance.sentence(wait)) if wait else _read_databases(job, now)


def _read_databases(job: DatabaseSync, now: datetime) -> Outcome:
    known = Environment.objects.present().long_lived().filter(project=job.project)
    environments = list(known.select_related("project"))
    if not environments:
        return Requeue(2, "Railway has not been read yet.")
    rest = pace.of_databases(job.project, now=now)
    databases = databases_of(job.project)
    if not databases:
        return Requeue(rest, "The project has no migrations.")
    railway, places = railway_of(job.project), places_of(environments, databases)
    remember([*places, *databases_status.due_previews(job.project, now=now)], railway)
    for place in places:
        read_revisions(place, now=now, railway=railway)
    databases_status.read_previews(job.project, now=now, railway=railway)
    try:
        databases_status.read(job.project, now=now)
    except (ApiError, GitError) as error:
        return Requeue(rest, f"Databases read, but not the branches: {error}")
    return Requeue(rest, "Databases read.")
