"""The databases of a demo, brought to the head of each branch before the portal first looks.

By the portal's own run, as later in the release: what `env.py` means is kept, and the packages of
the project's own command are installed once.
"""

from collections.abc import Callable, Mapping

from environments.databases.project_environment import prepared_for
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.models import Database, Project, Runner, databases_of
from environments.schema.history import reader
from environments.schema.run import runner, virtualenvs
from environments.schema.run.command import Command
from environments.schema.run.process import Redactor
from environments.schema.run.request import Run

Heard = Callable[[list[str]], None]


class NotFilled(Exception):
    """A database that could not be brought to the head of its branch, in one sentence."""


def fill(
    project: Project,
    mirror: Mirror,
    empty: list[dict[str, str]],
    variables: Mapping[str, str],
    on_lines: Heard,
) -> None:
    """Run the revisions of each branch in the databases of `empty` (kind of the environment,
    Alembic path, address), as `project` says they are run; `variables` are those of its command.

    `mirror` is fetched first. A branch without revisions leaves its database empty. Raise
    `NotFilled`.
    """
    known = {database.alembic: database for database in databases_of(project)}
    try:
        if mirror.url:
            mirror.fetch()
        for values in empty:
            if database := known.get(values["alembic"]):
                _fill(project, mirror, database, values, variables, on_lines)
    except virtualenvs.NotPrepared as error:
        raise NotFilled(f"{error} Name another install command with --install.") from None
    except GitError as error:
        raise NotFilled(str(error)) from None


def _fill(
    project: Project,
    mirror: Mirror,
    database: Database,
    empty: Mapping[str, str],
    variables: Mapping[str, str],
    on_lines: Heard,
) -> None:
    branch = {"staging": project.staging_branch}.get(empty["kind"], project.production_branch)
    commit = mirror.commit(branch)
    if not reader.read(mirror, commit, database.alembic).revisions:
        return
    command = None
    if database.runner == Runner.COMMAND:
        # The environment of what will be released serves the older branch too.
        latest = mirror.commit(project.staging_branch)
        prepared = prepared_for(database, mirror, latest, Redactor([]), on_lines=on_lines)
        command = Command(database.migration_command, prepared, database.variable, variables)
    outcome = runner.run(
        mirror,
        Run(
            commit=commit,
            alembic=database.alembic,
            url=empty["url"],
            version_table=database.version_table,
            command=command,
        ),
        on_lines=on_lines,
        alive=lambda: True,
    )
    if outcome.status != "succeeded":
        raise NotFilled(
            f"An empty database could not be brought to the head of {branch}: {outcome.sentence}"
        )
