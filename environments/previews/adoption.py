"""Environments that look like previews and are not the portal's, and how a person adopts one."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils import timezone

from environments.models import Environment as EnvironmentRow
from environments.models import Preview, Project, RailwaySync
from environments.previews.wanted import FRESH, requeue


@dataclass(frozen=True)
class Outsider:
    """An environment that looks like a preview and is not the portal's.

    `why_not`: why it cannot be adopted.
    """

    environment: EnvironmentRow
    sentence: str
    why_not: str = ""


def outsiders(project: Project) -> list[Outsider]:
    """Return environments that look like previews and that the portal did not make, with whose they
    are.

    Three queries.
    """
    rows = {row.number: row for row in Preview.objects.filter(project=project)}
    own = [row.environment_id for row in rows.values() if row.environment_id]
    there = EnvironmentRow.objects.present().previews().filter(project=project)
    environments, railway = there.exclude(railway_id__in=own), railway_makes(project)
    return [
        Outsider(
            environment, _whose(environment, railway), _unadoptable(environment, rows, railway)
        )
        for environment in environments
    ]


def railway_makes(project: Project) -> bool:
    """Return whether Railway makes environments of the project's pull requests itself."""
    return RailwaySync.objects.filter(project=project, pr_environments=True).exists()


def _whose(row: EnvironmentRow, railway: bool) -> str:
    if row.by_railway:
        does = "made it while PR Environments were on"
        if railway:
            does = "deploys it, and deletes it when that is closed"
        return f"For #{row.pull_number}: Railway {does}."
    number = f" for #{row.pull_number}" if row.pull_number else ""
    creator = "Its creator is not known; perhaps a GitHub Action of the team."
    return f"Named like a preview{number}. {creator}"


def _unadoptable(environment: EnvironmentRow, rows: Mapping[int, Preview], railway: bool) -> str:
    """Return why a person cannot have the portal take the environment over; "" when they can."""
    if environment.pull_number is None:
        return "It names no pull request, so it cannot be adopted."
    if environment.by_railway and railway:
        return (
            "Railway owns it. Switch off PR Environments in the project's settings on Railway, then"
            " adopt it."
        )
    row = rows.get(environment.pull_number)
    if row is None or not row.wanted:
        return f"No preview of #{environment.pull_number} is wanted, so it cannot be adopted."
    if row.environment_id:
        return f"#{environment.pull_number} already has a preview of the portal."
    return ""


def adopt(environment: EnvironmentRow) -> tuple[Preview | None, str]:
    """Take an environment of others over for its pull request; return the preview, or None and why
    not.

    To be called in a transaction. From then on the portal deploys it and deletes it with the pull
    request.
    """
    rows = Preview.objects.select_for_update().filter(project=environment.project)
    row = rows.filter(number=environment.pull_number or 0).first()
    railway = railway_makes(environment.project)
    gone = "" if environment.gone_at is None else f"{environment} is gone from Railway."
    why_not = gone or _unadoptable(environment, {row.number: row} if row else {}, railway)
    if why_not or row is None:
        return None, why_not
    now = timezone.now()
    adopted = {"environment_id": environment.railway_id, "made_at": now, "adopted": True}
    requeue(row, now=now, **FRESH | adopted)
    return row, ""
