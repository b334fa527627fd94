"""Carries the sandbox's release through, through the actions and the worker; `demo` starts what
it needs.
"""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from environments.models import Project
from releases.demo import demo
from releases.demo.report import now_line, summary


class Command(BaseCommand):
    """Prints each step as it happens; exits with 1 when anything differs from what is expected."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, default=900, help="the longest it may take")
        parser.add_argument("--json", action="store_true", help="one JSON object on the last line")

    def handle(self, *args: object, **options: Any) -> None:
        started = time.monotonic()

        def say(text: str) -> None:
            self.stdout.write(now_line(started, text))
            self.stdout.flush()

        project = Project.objects.select_related("github_sync", "railway_sync").get()
        report = demo.ship(project, say=say, seconds=options["seconds"])
        for line in summary(report):
            self.stdout.write(line)
        if options["json"]:
            self.stdout.write(report.line())
        if not report.ok:
            self.stdout.flush()
            raise CommandError(report.problem or report.audit["sentence"])
