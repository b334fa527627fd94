"""The environment of a project: its packages, made once for its lock files, and the variables its
command needs.

Planning, rehearsal and every run of the *command* runner go through the same one.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from environments.databases.address import NoDatabase, instance_of, variables_of
from environments.git.repository import Mirror
from environments.models import Database, Environment, Runner, ServiceInstance
from environments.schema.run import virtualenvs
from environments.schema.run.command import Command
from environments.schema.run.process import Log, Redactor

# Values that reveal nothing; hiding them would make a log unreadable.
PLAIN = re.compile(
    r"(?i)true|false|yes|no|on|off|none|null|production|staging|development|test|info|debug|[\d.]{1,6}"
)
KEPT_LINES = 3  # of what an installation printed last, for the sentence about its failure


def command_for(
    environment: Environment,
    database: Database,
    mirror: Mirror,
    commit: str,
    *,
    url: str = "",
    on_lines: Callable[[list[str]], None] = lambda lines: None,
    alive: Callable[[], bool] = lambda: True,
    install: bool = True,
) -> Command | None:
    """Return the project's command with its packages and `environment`'s variables; None for
    another runner.

    `url`, the database's address, and telling values of the variables are kept out of the log.
    Raise `NoDatabase` (a variable is missing), `NotPrepared`, `ApiError` and `GitError`.
    """
    if database.runner != Runner.COMMAND:
        return None
    values = values_of(environment, database)
    place = None
    if install:
        redact = Redactor(secrets_of(url, values))
        place = prepared_for(database, mirror, commit, redact, on_lines=on_lines, alive=alive)
    return Command(database.migration_command, place, database.variable, values)


def prepared_for(
    database: Database,
    mirror: Mirror,
    commit: str,
    redact: Redactor,
    *,
    on_lines: Callable[[list[str]], None] = lambda lines: None,
    alive: Callable[[], bool] = lambda: True,
) -> Path | None:
    """Return the virtual environment of the database's install command at `commit`, made where it
    is missing; None without such a command.

    Raise `NotPrepared`, with what was printed last, and `GitError`.
    """
    if not database.install_command:
        return None
    last: list[str] = []

    def heard(lines: list[str]) -> None:
        last[:] = [*last, *(line.strip() for line in lines if line.strip())][-KEPT_LINES:]
        on_lines(lines)

    try:
        return virtualenvs.prepare(
            mirror,
            commit,
            database.alembic,
            database.install_command,
            root=settings.VAR_DIR / "prepared",
            log=Log(heard, redact),
            alive=alive,
        )
    except virtualenvs.NotPrepared as error:
        output = f" It said: {' / '.join(last)[:300]}" if last and not error.cancelled else ""
        raise virtualenvs.NotPrepared(f"{error}{output}", cancelled=error.cancelled) from None


def planning_command(
    database: Database, mirror: Mirror, commit: str, *, alive: Callable[[], bool] = lambda: True
) -> Command | None:
    """Return `command_for` with what production gives it, for work that runs nothing; None too
    where no long-lived environment is known. Raise what `command_for` does.
    """
    known = Environment.objects.present().long_lived().filter(project=database.project)
    environment = known.order_by("kind").select_related("project").first()
    if environment is None:
        return None
    return command_for(environment, database, mirror, commit, alive=alive)


def values_of(environment: Environment, database: Database) -> dict[str, str]:
    """Return the service's variables that the database's command needs, read from Railway now and
    never stored.

    Raise `NoDatabase`, naming what is missing, and `ApiError`.
    """
    names = database.migration_variables.replace(",", " ").split()
    if not names:
        return {}
    instance = instance_of(environment, database)
    values = readable(instance)
    if missing := [name for name in names if name not in values]:
        message = f"{instance} has no variable {', '.join(missing)} that can be read"
        raise NoDatabase(f"{message}; set it, or remove it from the migration's variables.")
    return {name: values[name] for name in names}


def readable(instance: ServiceInstance) -> dict[str, str]:
    """Return a service's variables as far as Railway shows them. Raise `ApiError`."""
    values = variables_of(instance)
    return {name: value.reveal() for name, value in values.items() if value is not None}


def secrets_of(url: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """Return what no log may show: the address, its password as written, every telling value."""
    secrets = [url]
    for name, value in [("", url), *values.items()]:
        of_railway = name.startswith("RAILWAY_") and not name.endswith("_TOKEN")
        if of_railway or PLAIN.fullmatch(value):
            continue
        secrets.append(value)
        with suppress(ValueError):
            secrets.append(urlsplit(value).password or "")
    return tuple(secret for secret in secrets if len(secret) >= 3)
