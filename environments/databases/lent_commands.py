"""Pre-deploy commands that migration runs have set on Railway and will put back."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from environments.models import MigrationRun, Project


@dataclass(frozen=True)
class Lent:
    """The pre-deploy command that a run has set on a service, and the command that was there
    before.
    """

    command: tuple[str, ...]
    was: tuple[str, ...]


def lent_commands(project: Project, *, now: datetime) -> dict[tuple[str, str], Lent]:
    """Return what runs have set, or had set until just now, by Railway's ids of environment and
    service. One query.

    A reading of Railway may be older than the moment at which a run put its command back.
    """
    lately = Q(finished_at=None) | Q(finished_at__gt=now - timedelta(minutes=10))
    runs = MigrationRun.objects.filter(
        lately | ~Q(railway__has_key="put_back"),
        environment__project=project,
        railway__has_key="command",
    )
    rows = runs.order_by("pk").values_list("environment__railway_id", "railway")
    return {
        (place, noted["service"]): Lent(tuple(noted["command"]), tuple(noted["was"]))
        for place, noted in rows
    }
