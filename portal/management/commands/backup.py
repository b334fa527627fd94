"""`manage.py backup FILE`: everything of the portal that cannot be made again, in one file."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from portal.backup.archive import BackupError, back_up


class Command(BaseCommand):
    help = "Writes database and audit anchors to one new file; the portal may run meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the file to make")

    def handle(self, *, file: Path, **options: object) -> None:
        try:
            manifest = back_up(file, now=timezone.now())
        except BackupError as error:
            raise CommandError(str(error)) from error
        size = file.stat().st_size / 1024 / 1024
        self.stdout.write(
            f"{file}: {size:.1f} MB, the audit trail up to event {manifest.position}.\n"
            "Keep SECRET_KEY and FIELD_ENCRYPTION_KEYS apart from it: they read the secrets in it."
        )
