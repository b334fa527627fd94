"""`manage.py rotate_secrets`: encrypts every stored secret under the newest key."""

from typing import Any

from django.core.management.base import BaseCommand

from portal.secrets import rotate


class Command(BaseCommand):
    help = "Put a new key first in FIELD_ENCRYPTION_KEYS, run this, then drop the old key."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{rotate()} secrets are stored under the newest key.")
