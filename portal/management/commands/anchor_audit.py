"""`manage.py anchor_audit`: notes the head of the audit chain outside the database."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from portal.audit_proof import BrokenChain, UnreadableAnchors, anchor, anchors_path


class Command(BaseCommand):
    help = "Appends the head of the audit chain to the file of anchors; the worker does so by itself."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            noted = anchor(timezone.now())
        except (BrokenChain, UnreadableAnchors) as error:
            raise CommandError(f"No anchor was made. {error}") from error
        self.stdout.write(f"Anchored event {noted.position} in {anchors_path()}.")
