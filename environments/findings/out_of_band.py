"""Out-of-band changes: each is recorded once, as a finding that a person resolves. The portal's own
requests are recorded too, so that they are not reported as out-of-band changes.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from environments.finding_kinds.out_of_band import BYPASS
from environments.findings.writer import record_opened
from environments.models import (
    DeploymentRequest,
    Finding,
    Project,
    Repair,
    RepairKind,
    ServiceInstance,
)
from portal.jobs import OPEN

NOT_KNOWN = "who did it is not known"
# How far an answer that was lost may lie from the deployment that came of it; clocks differ.
EARLY, LATE = timedelta(minutes=1), timedelta(minutes=15)


def note(project: Project, subject: str, sentence: str, *, now: datetime) -> bool:
    """Open a finding for one event, named by `subject` for good.

    False: it is known, open or resolved.
    """
    with transaction.atomic():
        row, created = Finding.objects.get_or_create(
            project=project,
            kind=BYPASS,
            subject=subject[:300],
            defaults={"sentence": sentence, "opened_at": now, "seen_at": now},
        )
        if created:
            record_opened(row, now)
    return created


def ask(instance: ServiceInstance, commit: str, *, now: datetime) -> DeploymentRequest:
    """Write down, before Railway is asked, that the portal wants this deployment."""
    return DeploymentRequest.objects.create(instance=instance, commit=commit, asked_at=now)


def asked(row: DeploymentRequest, railway_id: str) -> None:
    """Write down which deployment came of it."""
    DeploymentRequest.objects.filter(pk=row.pk).update(railway_id=railway_id)


def is_ours(instance: ServiceInstance, railway_id: str, commit: str, at: datetime | None) -> bool:
    """Return whether the portal asked for this deployment; one whose answer was lost is told by
    commit and time, once.
    """
    rows = DeploymentRequest.objects.filter(instance=instance)
    if rows.filter(railway_id=railway_id).exists():
        return True
    if at is None:
        return False
    span = (at - LATE, at + EARLY)
    lost = rows.filter(railway_id="", commit=commit, asked_at__range=span)
    with transaction.atomic():
        row = lost.select_for_update().order_by("asked_at").first()
        return row is not None and bool(rows.filter(pk=row.pk).update(railway_id=railway_id))


def trigger_moved(instance: ServiceInstance, before: ServiceInstance, *, now: datetime) -> None:
    """Record that `instance` follows something else than `before`, unless by a repair of ours."""
    was, follows = (_followed(setting, instance) for setting in (before, instance))
    if was == follows or before.seen_at is None or before.seen_at > now:
        return  # nothing changed, nothing was known, or this reading is older than the one before
    ours = _since(RepairKind.BRANCH, before.seen_at)
    if ours.filter(instance_id=before.pk, wanted=instance.branch).exists():
        return
    differs = f"{instance} follows {follows}; before, it followed {was}."
    message = f"{differs} Somebody changed it on Railway; {NOT_KNOWN}."
    note(instance.service.project, f"trigger of {instance}, {_read(now)}", message, now=now)


def _followed(instance: ServiceInstance, now: ServiceInstance) -> str:
    branch = instance.branch or "no branch"
    if instance.repository.lower() == now.repository.lower():
        return branch
    return f"{branch} of {instance.repository or 'no source'}"


def autodeploy_switched(instance: ServiceInstance, enabled: bool, *, now: datetime) -> None:
    """Record that pushes deploy `instance`, or no longer do, if that was known otherwise."""
    with transaction.atomic():
        row = ServiceInstance.objects.select_for_update().filter(pk=instance.pk).first()
        if row is None or row.autodeploy == enabled:
            return
        ServiceInstance.objects.filter(pk=row.pk).update(autodeploy=enabled)
        if row.autodeploy is None:
            return
        does = "deploys" if enabled else "no longer deploys"
        subject = f"deploying {instance} on push, {_read(now)}"
        message = f"A push {does} {instance}. Somebody switched that on Railway; {NOT_KNOWN}."
        note(instance.service.project, subject, message, now=now)


def variables_edited(
    project: Project, where: str, edits: Mapping[str, Sequence[str]], now: datetime
) -> None:
    """Record the names of the variables of `where` that were edited, by what became of them."""
    sentences = [f"{_names(names)} {what}" for what, names in edits.items() if names]
    if sentences:
        edited = f"Variables of {where} were edited on Railway: {'; '.join(sentences)}."
        message = f"{edited} {NOT_KNOWN.capitalize()}."
        note(project, f"variables of {where}, {_read(now)}", message, now=now)


def protection_changed(
    project: Project,
    branch: str,
    changes: Sequence[tuple[str, str, str, str]],
    since: datetime,
    now: datetime,
) -> None:
    """Note rules of `branch` that were changed; each change is (rule, before, after, state after).

    What a repair of ours put right is none of them.
    """
    ours = _since(RepairKind.PROTECT, since).filter(project=project, subject=branch).exists()
    edits = [
        f"{rule.lower()}: {was} became {is_}"
        for rule, was, is_, state in changes
        if not (ours and state == "pass")
    ]
    if edits:
        message = f"The protection of {branch} was changed ({'; '.join(edits)}); {NOT_KNOWN}."
        note(project, f"protection of {branch}, {_read(now)}", message, now=now)


def _read(now: datetime) -> str:
    return f"read {now:%Y-%m-%d %H:%M:%S.%f}"


def _since(kind: RepairKind, since: datetime) -> QuerySet[Repair]:
    """Repairs that wrote something, and were not over before `since`."""
    under_way = Q(status__in=OPEN) | Q(finished_at__gte=since)
    return Repair.objects.filter(under_way, kind=kind, wrote_at__isnull=False)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(sorted(names)[:8]) + more
