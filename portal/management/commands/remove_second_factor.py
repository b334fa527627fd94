"""Removes the second factor of somebody who has lost both phone and recovery codes."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from portal.accounts import second_factor
from portal.ui.actions import Refused


class Command(BaseCommand):
    help = "Removes a person's second factor, for a reason that the audit trail keeps."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: object, **options: Any) -> None:
        person = User.objects.filter(username=options["name"]).first()
        if person is None:
            raise CommandError("There is no account of that name.")
        try:
            second_factor.remove(person, actor=None, reason=options["reason"])
        except Refused as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"{person} has no second factor any more.")
