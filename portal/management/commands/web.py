"""`manage.py web`: the web server by itself, where it is not `manage.py run` that starts it."""

import os

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from portal.first_start import codes
from portal.server.ports import refuse_taken_port
from portal.server.postgres_wheel import StartError
from portal.server.start_checks import settle_or_leave
from portal.server.web import serve


class Command(BaseCommand):
    help = "Serves the pages and takes the webhooks until it is told to stop."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        every, port = "0.0.0.0", os.environ.get("PORT", "8000")  # noqa: S104 - PORT is Railway's
        add = parser.add_argument
        add("--host", default=every, help="address to serve on (all of this machine's)")
        add("--port", type=int, default=port, help="port to serve on (PORT, or 8000)")

    def handle(self, *, host: str, port: int, **options: object) -> None:
        try:
            refuse_taken_port(host, port)
        except StartError as error:
            raise CommandError(str(error)) from None
        settle_or_leave()
        codes.announce()
        connections.close_all()  # a fork must not share them
        serve(host, port)
