"""`manage.py run`, for Django's list of commands: `portal.server.run_command` does it, alone."""

import os
import sys

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from portal.server.run_command import HELP, add_arguments


class Command(BaseCommand):
    help = HELP
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, **options: object) -> None:
        manage = str(settings.BASE_DIR / "manage.py")
        os.execv(sys.executable, [sys.executable, manage, "run", *sys.argv[2:]])  # noqa: S606
