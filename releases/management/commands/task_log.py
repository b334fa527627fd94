"""Begins a task log: a Markdown file in .task_logs/ of this repository, which git ignores."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from releases.task_logs import markdown as task_logs_markdown


class Command(BaseCommand):
    """Makes .task_logs/<time>-<slug>.md with the usual headings, and prints where it is."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("description", help="the task in a few words")

    def handle(self, *args: object, **options: Any) -> None:
        try:
            path = task_logs_markdown.start(
                options["description"], Path.cwd(), at=timezone.localtime()
            )
        except task_logs_markdown.NoFile as error:
            self.stderr.write(str(error))
            raise SystemExit(1) from None
        self.stdout.write(str(path))
