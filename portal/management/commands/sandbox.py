"""`manage.py sandbox`: GitHub's and Railway's stand-ins on loopback, over a git repository."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.sandbox import databases, shapes
from portal.sandbox.stand_ins import Sandbox


class Command(BaseCommand):
    help = "Serves stand-ins for GitHub and Railway on loopback until it is told to stop."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("--repository", type=Path, help="a local git repository (default: the sample)")
        add("--staging", default="staging", help="what staging starts from (default: staging)")
        add("--production", default="main", help="what production starts from (default: main)")
        add("--alembic", help="ini file or script directory inside the repository")
        add("--command", default="", help="the project's own, which runs its migrations")
        add("--install", default="", help="what installs the packages that the command needs")
        several: Any = {"action": "append", "default": []}
        add("--set", **several, metavar="NAME=VALUE", help="a variable it needs")
        table = "where the project keeps its revisions"
        add("--version-table", default="alembic_version", help=table)
        shape = f"what the project looks like, of {', '.join(shapes.names())}"
        add("--shape", **several, help=shape)
        unfilled = "leave the databases empty, as with --command: whoever started this fills them"
        add("--unfilled", action="store_true", help=unfilled)
        for name in ("--github-port", "--railway-port"):
            add(name, type=int, default=0, help="default: the last one, or a free one")
        add("--directory", type=Path, default=settings.VAR_DIR / "sandbox")

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
