"""What work on a scratch copy of a database is told: a rehearsal's, and the proof of a stamp."""

from collections.abc import Callable

from django.conf import settings

from environments.databases.address import url_of
from environments.databases.project_environment import command_for
from environments.git.repository import Mirror
from environments.models import Rehearsal, Stamp, place_of
from environments.schema.rehearsal.report import Request


def request_of(job: Rehearsal | Stamp, mirror: Mirror, alive: Callable[[], bool]) -> Request:
    """Return the request for the job's commit and database, whose command ends when `alive` says
    no.

    Raises `ApiError`, `GitError`, `NoDatabase` and `NotPrepared`.
    """
    project, url = job.environment.project, url_of(place_of(job.environment, job.database))
    return Request(
        commit=job.commit,
        alembic=job.database.alembic,
        url=url,
        root=settings.VAR_DIR / "rehearsals",
        version_table=job.database.version_table,
        lock_timeout_ms=project.lock_seconds * 1000,
        statement_timeout_ms=project.statement_seconds * 1000,
        command=command_for(
            job.environment, job.database, mirror, job.commit, url=url, alive=alive
        ),
    )
