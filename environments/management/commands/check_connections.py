"""Says of every credential what it is, what it can do, what it cannot, and how to fix it.

Exit code 1: one fails.
"""

from django.core.management.base import BaseCommand

from environments.connections import check, connection


class Command(BaseCommand):
    """The same diagnosis as the page Connections, made now."""

    help = __doc__

    def handle(self, *args: object, **options: object) -> None:
        found = check.diagnose()
        for one in found:
            self.stdout.write(f"{one.name} ({one.kind}): {one.state}. {one.sentence}")
            for line in one.can:
                self.stdout.write(f"  can      {line}")
            for line in one.cannot:
                self.stdout.write(f"  cannot   {line}")
            for kind, _, fingerprint, known in one.offers:
                published = " (as GitHub publishes it)" if known else ""
                self.stdout.write(f"  not pinned  {kind} {fingerprint}{published}")
            if one.fix:
                self.stdout.write(f"  to fix  {one.fix}")
        if any(one.state != connection.PASS for one in found):
            raise SystemExit(1)
