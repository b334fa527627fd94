"""Actions on preview environments."""

from datetime import datetime

from django.utils import timezone

from environments.findings.repair_queue import _repair
from environments.models import (
    Environment,
    EnvironmentKind,
    Preview,
    PreviewState,
    PreviewVariable,
    Project,
    Repair,
    RepairKind,
    Service,
)
from environments.previews import adoption, wanted
from portal import audit
from portal.audit import Actor
from portal.ui.actions import Refused, action

FORGIVEN = (wanted.BY_A_PERSON, wanted.TOO_OLD)  # what a person may overrule


@action("preview.rebuild_requested", "environments.manage_preview")
def rebuild_preview(preview: Preview, *, actor: Actor, now: datetime | None = None) -> None:
    """Have a preview's variables and deployments made again, at the pull request's head."""
    now = now or timezone.now()
    if not preview.wanted and preview.why_not not in FORGIVEN:
        raise Refused(f"{preview} is not wanted: {preview.why_not}.")
    wanted.requeue(
        preview,
        now=now,
        wanted=True,
        why_not="",
        variables_at=None,
        deployed={},
        live_at=None,
        log="",
        head_at=now,
        state=PreviewState.CREATING,
    )
    message = f"Rebuild {preview} at {preview.head[:7]}."
    audit.record(
        "preview.rebuild_requested", actor=actor, subject=preview, sentence=message, now=now
    )


@action("preview.removal_requested", "environments.manage_preview")
def remove_preview(preview: Preview, *, actor: Actor, now: datetime | None = None) -> None:
    """Have a preview deleted; the next push, or a rebuild, brings it back."""
    now = now or timezone.now()
    if not preview.wanted:
        raise Refused(f"{preview} is already being removed.")
    wanted.requeue(preview, now=now, wanted=False, why_not=wanted.BY_A_PERSON)
    audit.record(
        "preview.removal_requested",
        actor=actor,
        subject=preview,
        sentence=f"Delete {preview}.",
        now=now,
    )


@action("preview.variable_set", "environments.manage_preview")
def set_preview_variable(
    project: Project,
    *,
    actor: Actor,
    service: str,
    name: str,
    value: str,
    now: datetime | None = None,
) -> None:
    """Give every preview this value of a variable; it is kept encrypted and never shown again."""
    now = now or timezone.now()
    if not Service.objects.filter(project=project, name=service, gone_at=None).exists():
        raise Refused(f"{project} has no service “{service[:80]}” on Railway.")
    row, _ = PreviewVariable.objects.update_or_create(
        project=project, service=service, name=name, defaults={"value": value}
    )
    waiting = Preview.objects.filter(project=project, wanted=True)
    for preview in waiting.filter(state__in=[PreviewState.ASKING, PreviewState.FAILED]):
        wanted.requeue(preview, now=now, variables_at=None, deployed={}, log="")
    message = f"Previews get a separate value for {name} of {service}."
    audit.record("preview.variable_set", actor=actor, subject=row, sentence=message, now=now)


@action("preview.variable_removed", "environments.manage_preview")
def remove_preview_variable(
    row: PreviewVariable, *, actor: Actor, now: datetime | None = None
) -> None:
    """Let new previews keep what is copied from staging, from now on."""
    message = f"Previews no longer get a separate value for {row.name} of {row.service}."
    audit.record("preview.variable_removed", actor=actor, subject=row, sentence=message, now=now)
    PreviewVariable.objects.filter(pk=row.pk).delete()


@action("preview.adopted", "environments.manage_preview")
def adopt_environment(
    environment: Environment, *, actor: Actor, typed: str, now: datetime | None = None
) -> None:
    """Have the portal take over a preview that others made; the person types its name."""
    if environment.kind != EnvironmentKind.PREVIEW:
        raise Refused(f"{environment} is not a preview, so it cannot be adopted.")
    if typed.strip() != environment.name:
        raise Refused(f"Type the name {environment} to adopt it. Nothing was done.")
    preview, why_not = adoption.adopt(environment)
    if preview is None:
        raise Refused(why_not)
    message = (
        f"{environment} was adopted for #{preview.number}: the portal deploys it, and deletes it"
        " with that."
    )
    data, now = {"environment": environment.railway_id}, now or timezone.now()
    audit.record(
        "preview.adopted", actor=actor, subject=preview, sentence=message, data=data, now=now
    )


@action("environment.delete_requested", "environments.manage_preview")
def delete_environment(
    environment: Environment, *, actor: Actor, typed: str, now: datetime | None = None
) -> Repair:
    """Have an environment deleted that the portal did not make; the person types its name."""
    if environment.kind != EnvironmentKind.PREVIEW:
        raise Refused(f"{environment} is not a preview, so the portal does not delete it.")
    if typed.strip() != environment.name:
        raise Refused(f"Type the name {environment} to delete it. Nothing was done.")
    message = f"Delete the environment {environment} with everything in it."
    return _repair(
        environment.project,
        RepairKind.DELETE,
        "environment.delete_requested",
        message,
        actor=actor,
        now=now,
        subject=environment.name,
        wanted=environment.railway_id,
    )
