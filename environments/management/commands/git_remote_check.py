"""Tells a developer whose push fails what to run: looks at the remotes of a clone and tries them,
changing nothing.

Exit code 0 when every remote can be read and written, else 1. It needs no database and shows no
credential.
"""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from environments.git import remotes


class Command(BaseCommand):
    """One diagnosis for each remote, with the exact commands."""

    help = __doc__
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--path", default=".", help="a clone, or a directory in it; else the current directory"
        )
        parser.add_argument(
            "--seconds", type=float, default=remotes.SECONDS, help="longest wait for each answer"
        )

    def handle(self, *args: object, **options: Any) -> None:
        try:
            results = remotes.look(
                Path(options["path"]).expanduser(), seconds=max(1.0, options["seconds"])
            )
        except remotes.NoClone as error:
            sentence, _, command = str(error).partition("\n")
            self.stdout.write(sentence)
            if command:
                self.stdout.write(f"  run  {command}")
            raise SystemExit(1) from None
        for result in results:
            self.stdout.write(f"{result.name}: {'works' if result.works else 'does not work'}")
            for fact in result.facts:
                self.stdout.write(f"  {fact}")
            self.stdout.write(f"  {result.diagnosis}")
            for command in result.commands:
                self.stdout.write(f"  run  {command}")
        if not all(outcome.works for outcome in results):
            raise SystemExit(1)
