"""Deployments of staging and production that came neither of a push nor of the portal."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from environments.findings import out_of_band
from environments.git.calls import GitError
from environments.git.repository import Mirror
from environments.git_mirrors.clone import mirror_of
from environments.models import Deployment as Row
from environments.models import Project, ServiceInstance
from environments.railway import Deployment, Railway
from environments.services.liveness import Live
from portal.outbound.http import ApiError

REASONS = {"redeploy": "deployed again", "rollback": "rolled back to"}
HISTORY = 25
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def judge(project: Project, railway: Railway, lives: Iterable[Live], *, now: datetime) -> None:
    """Look at each deployment of these services that was made since the last look. No query when
    there is none.

    What was there when an instance is first looked at is taken as it is. Raise `ApiError`.
    """
    fresh, asked = [], []
    for live in lives:
        instance, row = live.instance, live.latest
        if row is None or not project.is_own(instance.repository):
            continue
        if not instance.judged:
            instance.judged = row.railway_id
            fresh.append(instance)
        elif instance.judged != row.railway_id and _is_due_run(instance, row):
            _judged(instance, row.railway_id)
        elif instance.judged != row.railway_id:
            asked.append(instance)
    ServiceInstance.objects.bulk_update(fresh, ["judged"])
    places = [(instance.environment.railway_id, instance.service.railway_id) for instance in asked]
    histories = railway.deployments_of(project.railway_project_id, places, HISTORY) if asked else []
    for instance, history in zip(asked, histories, strict=True):
        _judge(project, instance, history, now)


def _is_due_run(instance: ServiceInstance, row: Row) -> bool:
    """Return whether this is a scheduled service's next run of the commit that ran before."""
    if not instance.cron or not row.commit:
        return False
    return Row.objects.filter(railway_id=instance.judged, commit=row.commit).exists()


def _judge(
    project: Project, instance: ServiceInstance, deployments: Sequence[Deployment], now: datetime
) -> None:
    history = sorted(deployments, key=lambda deployment: deployment.created_at or _EVER)
    seen = Row.objects.filter(railway_id=instance.judged).values_list("created_at", flat=True)
    seen_at = seen.first() or now
    known = next(
        (n for n, deployment in enumerate(history) if deployment.id == instance.judged), None
    )
    for n, deploy in enumerate(history):
        if n <= known if known is not None else (deploy.created_at or _EVER) <= seen_at:
            continue
        try:
            message = _accused(project, instance, deploy, history[:n])
        except (GitError, ApiError):
            return  # git cannot tell now; the next reading asks again
        if message:
            out_of_band.note(project, f"deployment {deploy.id} on {instance}", message, now=now)
        if not _judged(instance, deploy.id):
            return  # somebody else looks at it too


def _judged(instance: ServiceInstance, railway_id: str) -> bool:
    rows = ServiceInstance.objects.filter(pk=instance.pk, judged=instance.judged)
    instance.judged = railway_id[:64]
    return bool(rows.update(judged=instance.judged))


def _accused(
    project: Project,
    instance: ServiceInstance,
    deployment: Deployment,
    earlier: Sequence[Deployment],
) -> str:
    """Return what must be said of a deployment, or nothing: it was pushed, or asked for here."""
    if deployment.status == "SKIPPED" or out_of_band.is_ours(
        instance, deployment.id, deployment.commit or "", deployment.created_at
    ):
        return ""
    reason = (deployment.reason or "").lower()
    before = earlier[-1].commit if earlier else None
    same = bool(deployment.commit) and deployment.commit == before
    if instance.cron and same and reason != "rollback":
        return ""  # a run that was due
    if reason in REASONS:
        return _said(instance, deployment, REASONS[reason])
    if deployment.commit is None:
        return _said(instance, deployment, "deployed from something that is no commit")
    if any(before.commit == deployment.commit for before in earlier):
        return _said(instance, deployment, "deployed again")
    if not _on_branch(mirror_of(project), deployment.commit, instance.branch):
        deed = f"deployed, although {instance.branch or 'no branch'} does not hold it"
        return _said(instance, deployment, deed)
    return ""


def _on_branch(mirror: Mirror, commit: str, branch: str) -> bool:
    if _holds(mirror, commit, branch):
        return True
    mirror.fetch()
    return _holds(mirror, commit, branch)


def _holds(mirror: Mirror, commit: str, branch: str) -> bool:
    head = mirror.head(branch) if branch and mirror.has(commit) else None
    return head is not None and mirror.is_ancestor(commit, head)


def _said(instance: ServiceInstance, deployment: Deployment, deed: str) -> str:
    what = (deployment.commit or "")[:7] or "Something"
    at = f" on {deployment.created_at:%Y-%m-%d at %H:%M} UTC" if deployment.created_at else ""
    by = f"outside the portal; {out_of_band.NOT_KNOWN}"
    if deployment.creator:
        by = f"by {deployment.creator}, outside the portal"
    words = f"was {deed}" if deed != REASONS["rollback"] else "was brought back by a rollback"
    return f"On {instance}, {what} {words}{at} {by}."


def read_autodeploy(project: Project, railway: Railway, *, now: datetime) -> None:
    """See whether pushes deploy each service of staging and production: one request.

    Raise `ApiError`.
    """
    rows = ServiceInstance.objects.long_lived().filter(environment__project=project)
    instances = rows.exclude(branch="").select_related("service__project", "environment")
    places = [(row.environment.railway_id, row.service.railway_id) for row in instances]
    read = railway.push_deploys_of(project.railway_project_id, places)
    for instance, push_deploys in zip(instances, read, strict=True):
        out_of_band.autodeploy_switched(instance, push_deploys.enabled, now=now)
