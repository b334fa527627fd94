#!/usr/bin/env python
"""Django's command line for the portal, with the portal's own database around commands that need
one.
"""

import os
import sys
from pathlib import Path

from dotenv import load_dotenv

from portal.invisible_characters import VisibleStream
from portal.server.private_files import keep_private

# In a wheel this file is portal/__main__.py, and .env and var/ lie where it is started.
BASE_DIR = Path(__file__).resolve().parent if Path(__file__).name == "manage.py" else Path.cwd()
# These set up their own database, or need none.
WITHOUT_DATABASE = {
    *("demo", "git_remote_check", "task_log"),
    *("check", "collectstatic", "findstatic", "diffsettings", "makemigrations", "help", "version"),
}


def main() -> None:
    """Run one management command with the portal's settings."""
    show_all_that_is_printed()
    load_dotenv(os.environ.get("PORTAL_ENV_FILE") or BASE_DIR / ".env", interpolate=False)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    if sys.argv[1:2] == ["run"]:
        from portal.server.run_command import main as run

        return run(sys.argv[2:])
    var = Path(os.environ.get("PORTAL_VAR_DIR") or BASE_DIR / "var")
    if needs_database(sys.argv):
        keep_private(var)
    if os.environ.get("DATABASE_URL") or not needs_database(sys.argv):
        return execute()
    from portal.server.embedded_owner import owned
    from portal.server.embedded_postgres import running
    from portal.server.postgres_wheel import StartError

    try:
        with running(var / "postgres") as server:
            os.environ["DATABASE_URL"] = owned(server).url
            execute()
    except StartError as error:
        sys.exit(str(error))


def show_all_that_is_printed() -> None:
    """Terminals get no escape sequences: neither Django's colours nor what somebody wrote into a
    commit.
    """
    os.environ["DJANGO_COLORS"] = "nocolor"
    sys.stdout, sys.stderr = VisibleStream(sys.stdout), VisibleStream(sys.stderr)  # type: ignore[assignment]


def execute() -> None:
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


def needs_database(argv: list[str]) -> bool:
    """Whether the command line `argv` names a command that works on the portal's data."""
    return (
        len(argv) > 1
        and argv[1] not in WITHOUT_DATABASE
        and not {"-h", "--help", "--version"} & set(argv[1:])
    )


if __name__ == "__main__":
    main()
