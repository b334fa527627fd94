"""`manage.py verify_audit`: proves the audit trail, or names the first event not as written."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from portal.audit.verification import Anchor, UnreadableAnchors, read_anchors, verify
from portal.database_role import role_fault


class Command(BaseCommand):
    help = "Proves the audit chain and compares it with its anchors. Exit status 1 when broken."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--json", action="store_true", help="print one JSON object")
        add("--full", action="store_true", help="recompute sealed events link by link too")
        add("--offline", action="store_true", help="do not ask for the anchors on GitHub")
        add("--anchors", type=Path, help="file of anchors, such as a copy kept elsewhere")

    def handle(self, *args: object, **options: Any) -> None:
        anchors = self._anchors(options["anchors"]) if options["anchors"] else None
        progress = self._progress if sys.stderr.isatty() and not options["json"] else None
        verdict = verify(
            anchors=anchors, progress=progress, full=options["full"], outside=not options["offline"]
        )
        connection.ensure_connection()
        if fault := role_fault(connection.connection):
            self.stderr.write(fault)
        fields = asdict(verdict)
        del fields["checkpoint"]
        self.stdout.write(json.dumps(fields) if options["json"] else verdict.sentence)
        if not verdict.ok:
            sys.exit(1)

    def _anchors(self, path: Path) -> list[Anchor]:
        if not path.exists():
            raise CommandError(f"There is no file of anchors at {path}.")
        try:
            return read_anchors(path)
        except UnreadableAnchors as error:
            raise CommandError(str(error)) from error

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"\r{done:,} of {total:,}", ending="" if done < total else "\n")
