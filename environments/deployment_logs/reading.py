"""Reads the logs of deployments that failed: the end of each, once more when it may have grown."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db.models import Q

from environments.databases.project_environment import secrets_of
from environments.models import Deployment, DeploymentLog, Project
from environments.railway import LogLine, Railway
from environments.schema.run.process import Redactor
from portal.outbound.http import ApiError
from portal.redaction import known_secrets
from portal.secrets import hold_stored

WITH_LOG = ("FAILED", "CRASHED")  # what was skipped or removed has nothing to say
LINES, CHARACTERS = 200, 20_000  # of each log, from its end
AT_ONCE = 4  # deployments in one look: each takes three requests
READS = 2  # the last lines may come late
AGAIN = timedelta(seconds=20)
KEPT = timedelta(days=30)  # as long as Railway keeps its own at most


def read_logs(
    project: Project, railway: Railway, newest: Iterable[Deployment], *, now: datetime
) -> int:
    """Keep the logs of those that failed; `newest`: the newest deployment of each service of
    staging and production.

    Return how many were read. Trouble with a log is written on its row: it is no trouble of the
    reading.
    """
    DeploymentLog.objects.filter(
        deployment__instance__environment__project=project, read_at__lt=now - KEPT
    ).delete()
    due = _due(newest, now)
    for deployment in due:
        DeploymentLog.objects.update_or_create(
            deployment=deployment, defaults=_read(project, railway, deployment) | {"read_at": now}
        )
    return len(due)


def _due(newest: Iterable[Deployment], now: datetime) -> list[Deployment]:
    failed = [
        deployment.pk
        for deployment in newest
        if deployment.status in WITH_LOG and deployment.seen_at > now - KEPT
    ]
    if not failed:
        return []
    rows = Deployment.objects.filter(pk__in=failed)
    rows = rows.filter(Q(log=None) | Q(log__reads__lt=READS, log__read_at__lt=now - AGAIN))
    return list(rows.select_related("log", "instance__service", "instance__environment")[:AT_ONCE])


def _read(project: Project, railway: Railway, deployment: Deployment) -> dict[str, object]:
    """Return the fields of its row; a log whose secrets are not known is not kept."""
    instance = deployment.instance
    place, service = instance.environment.railway_id, instance.service.railway_id
    try:
        variables = railway.variables(project.railway_project_id, place, service, unrendered=False)
        values = {name: value.reveal() for name, value in variables.items() if value is not None}
        hold_stored()
        redact = Redactor([*secrets_of("", values), *known_secrets()])
        build = _text(railway.build_log, deployment, redact)
        deploy = _text(railway.deployment_log, deployment, redact)
    except ApiError as error:
        return {"problem": str(error)[:500]}
    known = getattr(deployment, "log", None)
    reads = (known.reads if known else 0) + 1
    return {"build": build, "deploy": deploy, "problem": "", "reads": reads}


def _text(
    read: Callable[..., tuple[LogLine, ...]], deployment: Deployment, redact: Redactor
) -> str:
    lines = read(deployment.railway_id, limit=LINES)
    text = redact("\n".join(line.message for line in lines))
    return text if len(text) <= CHARACTERS else "…" + text[1 - CHARACTERS :]
