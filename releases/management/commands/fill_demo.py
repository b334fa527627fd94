"""Brings the demo's empty databases to the head of each branch; `demo` calls it before the worker
starts.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from environments.git_mirrors.clone import mirror_of
from environments.models import Project
from releases.demo.fill import NotFilled, fill


class Command(BaseCommand):
    """Appends what the runs print to `fill.log` beside the demo's data."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--ready", required=True, help="the line that `manage.py sandbox` printed"
        )
        parser.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="a variable it needs"
        )

    def handle(self, *args: object, **options: Any) -> None:
        project = Project.objects.select_related("github_sync", "railway_sync").get()
        pairs = [pair.partition("=") for pair in options["set"]]
        variables = {name: value for name, _, value in pairs}
        with (settings.VAR_DIR / "fill.log").open("a") as log:
            try:
                fill(
                    project,
                    mirror_of(project),
                    json.loads(options["ready"])["unfilled"],
                    variables,
                    lambda lines: log.writelines(f"{line}\n" for line in lines),
                )
            except NotFilled as problem:
                raise CommandError(str(problem)) from None
