"""Checks whether Railway has migrated a database while it deployed."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime

from environments.clients import railway_of
from environments.databases.address import instance_of
from environments.models import SERVING, UNDER_WAY, MigrationRun
from environments.railway import LogLine
from environments.schema.history.graph import History
from environments.schema.run.database import invalid_indexes
from environments.schema.run.output import Output
from environments.schema.run.process import Log, Redactor
from environments.schema.run.request import Outcome
from portal.jobs import Requeue

MOVING = UNDER_WAY | {"NEEDS_APPROVAL"}
RECENT = 10


class Shown:
    """The part of a deployment's log that was handed on: Railway repeats the last lines."""

    def __init__(self) -> None:
        self.seen: Counter[LogLine] = Counter()

    def more(self, lines: tuple[LogLine, ...], log: Log) -> None:
        """Hand on what is new. Equal lines of one moment are told apart by their number."""
        counts: Counter[LogLine] = Counter()
        for line in lines:
            counts[line] += 1
            if counts[line] > self.seen[line]:
                log.feed(line.message.encode() + b"\n")
        self.seen |= counts


def verify(
    job: MigrationRun,
    history: History,
    current: Collection[str],
    url: str,
    *,
    secrets: tuple[str, ...],
    now: datetime,
) -> Requeue | Outcome:
    """Look once at a database that Railway migrates while it deploys: there, on its way, or not to
    come.

    Raise `ApiError`, `NoDatabase`.
    """
    before, after = tuple(job.before or ()), tuple(current)
    at = f"the database is at {', '.join(after) or 'no revision'}"
    if history.ancestors(after) == history.ancestors(history.effective_heads):
        applied = tuple((planned["id"], None) for planned in job.planned)
        message = f"Railway migrated while it deployed: {at}."
        return Outcome(
            "succeeded", message, before, after, applied, invalid_indexes=invalid_indexes(url)
        )
    place, commit = instance_of(job.environment, job.database), job.commit[:7]
    railway = railway_of(job.environment.project)
    deployments = railway.deployments(*place.at_railway, RECENT)
    deployment = next(
        (deployment for deployment in deployments if deployment.commit == job.commit), None
    )
    late = (now - job.created_at).total_seconds() > job.environment.project.deploy_minutes * 60
    if deployment is None:
        if not late:
            return Requeue(5, f"Waiting until Railway deploys {commit} on {place}; {at}.")
        message = f"Railway has not deployed {commit} on {place}; {at}."
        return Outcome("failed", f"{message} Deploy that commit, then retry.", before, after)
    output = _told(job, railway.deployment_log(deployment.id, 5000), secrets)
    if deployment.status in MOVING and not late:
        return Requeue(3, f"Railway is deploying {commit} on {place}; {at}.")
    named = f"The deployment of {place} is {deployment.status}"
    message = _not_migrated(named, deployment.status in SERVING, output.error, at, history)
    failed = output.revision if output.revision in history.revisions else ""
    return Outcome(
        "failed", message, before, after, (), failed, output.statement, invalid_indexes(url)
    )


def _not_migrated(named: str, serves: bool, error: str, at: str, history: History) -> str:
    """Return what is said of a deployment after which the database is not at the heads."""
    how = f"{error.rstrip('.')}; " if error and not serves else ""
    message = f"{named}: {how}{at} and not at {', '.join(history.heads)}."
    return f"{message} Does its pre-deploy or start command run Alembic?" if serves else message


def _told(job: MigrationRun, lines: tuple[LogLine, ...], secrets: tuple[str, ...]) -> Output:
    """Keep the deployment's log on the run, without secrets, and read it."""
    kept: list[str] = []
    output, log = Output(), Log(kept.extend, Redactor(secrets))
    Shown().more(lines, log)
    log.finish()
    output.read(kept)
    text = "".join(f"{line}\n" for line in kept)
    job.keep(log=text, log_bytes=len(text))
    return output
