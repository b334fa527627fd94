"""`manage.py sandbox`: the GitHub and Railway stand-ins on loopback, over any local git
repository.
"""

import json
import os
import signal
import threading
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.sandbox import databases, shapes
from portal.sandbox.stand_ins import Sandbox


class Command(BaseCommand):
    help = "Serves stand-ins for GitHub and Railway on loopback until it is told to stop."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--repository", type=Path, help="a local git repository (default: the sample)"
        )
        parser.add_argument(
            "--staging", default="staging", help="what staging starts from (default: staging)"
        )
        parser.add_argument(
            "--production", default="main", help="what production starts from (default: main)"
        )
        parser.add_argument("--alembic", help="ini file or script directory inside the repository")
        parser.add_argument(
            "--command", default="", help="the project's own, which runs its migrations"
        )
        parser.add_argument(
            "--install", default="", help="what installs the packages that the command needs"
        )
        parser.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="a variable it needs"
        )
        parser.add_argument(
            "--version-table",
            default="alembic_version",
            help="where the project keeps its revisions",
        )
        parser.add_argument(
            "--shape",
            action="append",
            default=[],
            help=f"what the project looks like, of {', '.join(shapes.names())}",
        )
        parser.add_argument(
            "--unfilled",
            action="store_true",
            help="leave the databases empty, as with --command: whoever started this fills them",
        )
        parser.add_argument(
            "--github-port", type=int, default=0, help="default: the last one, or a free one"
        )
        parser.add_argument(
            "--railway-port", type=int, default=0, help="default: the last one, or a free one"
        )
        parser.add_argument("--directory", type=Path, default=settings.VAR_DIR / "sandbox")

    def handle(self, **options: object) -> None:
        parent, stopping = os.getppid(), threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        try:
            sandbox = Sandbox(options)
        except databases.DatabaseProblem as problem:
            raise CommandError(str(problem)) from None
        except KeyError as unknown:
            raise CommandError(unknown.args[0]) from None
        ready = sandbox.ready()
        for server in sandbox.servers:
            server.ready = ready
        print(json.dumps(ready), flush=True)
        while not stopping.wait(0.25) and os.getppid() == parent:
            pass
        sandbox.stop()
