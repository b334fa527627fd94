"""Says of every credential what it is, what it can do, what it cannot, and how to fix it.

Exit code 1: one fails.
"""

from django.core.management.base import BaseCommand

from environments.connections import check, connection


class Command(BaseCommand):
    """The same diagnosis as the page Connections, made now."""

    help = __doc__

    def handle(self, *args: object, **options: object) -> None:
        results = check.diagnose()
        for result in results:
            self.stdout.write(f"{result.name} ({result.kind}): {result.state}. {result.sentence}")
            for line in result.can:
                self.stdout.write(f"  can      {line}")
            for line in result.cannot:
                self.stdout.write(f"  cannot   {line}")
            for kind, _, fingerprint, known in result.offers:
                published = " (as GitHub publishes it)" if known else ""
                self.stdout.write(f"  not pinned  {kind} {fingerprint}{published}")
            if result.fix:
                self.stdout.write(f"  to fix  {result.fix}")
        if any(diagnosis.state != connection.PASS for diagnosis in results):
            raise SystemExit(1)
