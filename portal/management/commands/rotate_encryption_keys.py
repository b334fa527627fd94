"""Encrypts every stored secret again with the first of FIELD_ENCRYPTION_KEYS; the others may then
be removed.
"""

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.template.defaultfilters import pluralize

from portal import audit, secrets
from portal.audit import row_changes


class Command(BaseCommand):
    """All or nothing, and harmless when repeated."""

    help = __doc__

    def handle(self, *args: object, **options: object) -> None:
        try:
            with transaction.atomic():
                count = secrets.rotate()
                shell = row_changes.at_the_shell("rotate_encryption_keys")
                message = f"{count} stored secrets were encrypted again {shell}."
                audit.record("secrets.rotated", actor=None, sentence=message, data={"count": count})
        except secrets.Unreadable as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{count} secret{pluralize(count)} encrypted with the newest key.")
