"""`manage.py restore FILE`: what a backup holds, into an empty portal."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from portal.audit.verification import verify
from portal.backup.archive import BackupError, restore
from portal.secrets import Unreadable, check_readable


class Command(BaseCommand):
    help = (
        "Restores a backup into an empty database, and verifies the audit trail against all"
        " anchors."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a file that `manage.py backup` made")

    def handle(self, *, file: Path, **options: object) -> None:
        try:
            manifest = restore(file, now=timezone.now())
            check_readable()
        except (BackupError, Unreadable) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Restored what was backed up at {manifest.made_at}. Start web and worker."
        )
        verdict = verify(outside=True)
        self.stdout.write(verdict.sentence)
        if not verdict.ok:
            self.stdout.write(
                "What came after the backup is lost. Begin again: `manage.py anchor_audit"
                ' --new-file "why"`.'
            )
