"""`manage.py verify_audit`: proves the audit trail, or names the first event that is not as written."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from portal.audit_proof import read_anchors, verify


class Command(BaseCommand):
    help = "Recomputes the audit chain and holds it against its anchors. Exit status 1 when it is broken."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--anchors", type=Path, help="file of anchors, such as a copy kept elsewhere")
        parser.add_argument("--processes", type=int, help="how many read at once (default: one per core, up to 4)")

    def handle(self, *args: Any, **options: Any) -> None:
        anchors = None
        if options["anchors"]:
            anchors = read_anchors(options["anchors"])
        progress = self._progress if sys.stderr.isatty() and not options["json"] else None
        verdict = verify(anchors=anchors, progress=progress, processes=options["processes"])
        if options["json"]:
            fields = asdict(verdict)
            del fields["checkpoint"]
            self.stdout.write(json.dumps(fields))
        else:
            self.stdout.write(verdict.sentence)
        if not verdict.ok:
            sys.exit(1)

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"\r{done:,} of {total:,}", ending="" if done < total else "\n")
