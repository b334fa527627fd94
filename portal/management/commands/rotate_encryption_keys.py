"""Encrypts every stored secret anew with the first of FIELD_ENCRYPTION_KEYS; the others may then be removed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal import secrets


class Command(BaseCommand):
    """All or nothing, and harmless when repeated."""

    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = secrets.rotate()
        except secrets.Unreadable as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{count} secret{'' if count == 1 else 's'} encrypted with the newest key.")
