"""Who runs a project's migrations: the portal, the project's command here, or Railway."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from environments.databases import railway_runner
from environments.databases.address import NoDatabase, instance_of
from environments.databases.project_environment import command_for, readable, secrets_of
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.models import MigrationRun, Runner
from environments.schema.history.graph import History
from environments.schema.run import runner, virtualenvs
from environments.schema.run.progress import Progress
from environments.schema.run.request import Outcome, Run
from portal.outbound.http import ApiError
from portal.outbound.parsing import JsonObject

# Words that end a run before anything was changed.
UNPREPARED = (ApiError, GitError, NoDatabase, virtualenvs.NotPrepared)


def run(
    job: MigrationRun,
    mirror: Mirror,
    history: History,
    url: str,
    *,
    expected: Mapping[str, list[str]],
    on_lines: Callable[[list[str]], None],
    on_progress: Callable[[Progress], None],
    alive: Callable[[], bool],
) -> Outcome:
    """Run once with the job's runner; raise only what `environments.schema.run.runner.run` does."""
    project, database = job.environment.project, job.database
    before = tuple(job.before or ())
    changes: JsonObject = {}
    request = Run(
        commit=job.commit,
        target=tuple(job.target),
        direction=job.direction,
        alembic=database.alembic,
        url=url,
        lock_timeout_ms=project.lock_seconds * 1000,
        statement_timeout_ms=project.statement_seconds * 1000,
        version_table=database.version_table,
        lock_wait_s=5,
        expected=expected,
        on_progress=on_progress,
    )
    try:
        if job.runner == Runner.COMMAND:
            changes = _command(job, mirror, history, url, on_lines, alive)
        elif job.runner == Runner.RAILWAY:
            changes = _railway(job, mirror, url)
    except UNPREPARED as error:
        status = "cancelled" if getattr(error, "cancelled", False) else "failed"
        return Outcome(status, f"Nothing was changed: {error}", before, before)
    return runner.run(mirror, replace(request, **changes), on_lines=on_lines, alive=alive)


def _railway(job: MigrationRun, mirror: Mirror, url: str) -> JsonObject:
    """Return what of the request is other where Railway runs the migrations."""
    instance = instance_of(job.environment, job.database)
    railway_runner.refuse_command_in_repository(job, instance, mirror)
    secrets = secrets_of(url, readable(instance))
    return {"secrets": secrets, "elsewhere": railway_runner.elsewhere(job, instance)}


def _command(
    job: MigrationRun,
    mirror: Mirror,
    history: History,
    url: str,
    on_lines: Callable[[list[str]], None],
    alive: Callable[[], bool],
) -> dict[str, object]:
    """Return the command with its variables and its environment, made here where it is missing."""
    command = command_for(
        job.environment,
        job.database,
        mirror,
        job.commit,
        url=url,
        on_lines=on_lines,
        alive=alive,
        install=set(job.before or ()) != set(history.heads),
    )
    return {"command": command, "secrets": secrets_of(url, command.variables if command else {})}
