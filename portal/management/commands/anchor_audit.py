"""`manage.py anchor_audit`: notes the head of the audit chain outside the database."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.audit import row_changes
from portal.audit.anchors import ACCEPTED, Kept
from portal.audit.verification import (
    BrokenChain,
    UnreadableAnchors,
    anchor,
    anchors_path,
    read_anchors,
)


class Command(BaseCommand):
    help = "Appends the head of the audit chain to the file of anchors, as the worker does itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--accept",
            metavar="REASON",
            help="accept that this worker began a file of its own, after you compared the events",
        )
        parser.add_argument(
            "--new-file",
            "--anew",
            metavar="REASON",
            dest="new_file",
            help="begin a new file, as after restoring a backup",
        )

    def handle(self, *args: object, **options: object) -> None:
        now, reason, accepts = timezone.now(), options["new_file"], options["accept"]
        try:
            if reason:
                _record("audit.anchored_anew", "A new file of anchors begins", reason)
                old = f"audit-anchors-until-{now:%Y%m%dT%H%M%S}.jsonl"
                if anchors_path().exists():
                    anchors_path().rename(anchors_path().with_name(old))
            if accepts:
                if not Kept(read_anchors()).begun:
                    message = "Nothing has to be accepted: these anchors began with the chain."
                    raise CommandError(message)
                what = "The beginning of this worker's anchors is accepted"
                _record("audit.anchors_accepted", what, accepts)
            note = ACCEPTED if accepts else ""
            noted = anchor(now, new_file=bool(reason), note=note)
        except (BrokenChain, UnreadableAnchors) as error:
            raise CommandError(f"No anchor was made. {error}") from error
        self.stdout.write(f"Anchored event {noted.position} in {anchors_path()}.")


def _record(action: str, what: str, reason: object) -> None:
    message = f"{what}, {row_changes.at_the_shell('anchor_audit')}: “{reason}”"
    with transaction.atomic():
        audit.record(action, actor=None, sentence=message)
