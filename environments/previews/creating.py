"""Makes the environment of a preview, once, and waits for its services."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from environments.models import Preview, PreviewState
from environments.previews.failing import fail, patience
from environments.previews.on_railway import Seen
from environments.previews.wanted import FRESH
from environments.railway import Environment as Place
from portal import audit
from portal.jobs import Outcome, Requeue, holds
from portal.outbound.http import ApiError

NOTHING_HAPPENED = (
    "watch_only",
    "too_quickly",
    "unavailable",
    "refused",
    "forbidden",
    "unauthorized",
    "wrong_header",
    "rate_limited",
)
ASKED = "asked: "  # before a service in `Preview.quiet`, until Railway has answered
RAILWAY_MAKES = (
    "To have previews from the portal, switch off PR Environments in the project's settings on"
    " Railway; to keep Railway's, switch off previews under Projects."
)


def make(job: Preview, seen: Seen, now: datetime) -> Outcome:
    """Ask Railway once for the environment, if there is none and none was made just now."""
    if not seen.tree.complete:
        return Requeue(5, "Railway does not show every environment, so no preview is created.")
    if (message := _owned_by_others(job, seen)) is not None:
        job.keep(state=PreviewState.BLOCKED)
        return Requeue(30, message)
    if seen.staging is None:
        return Requeue(30, "There is no environment “staging” on Railway to copy.")
    if job.environment_id:
        _forget_deleted(job, now)
    if job.asked_at is not None and now - job.asked_at < patience():
        return Requeue(3, "Waiting for Railway to show the new environment…")
    wait = _pause(job, now)
    if wait > 0:
        return Requeue(wait, "Waiting: Railway allows one new environment per 30 seconds.")
    if not holds(job):
        return Requeue(0)
    _create(job, seen, seen.staging.id, now)
    return Requeue(0, "The environment was made.")


def _forget_deleted(job: Preview, now: datetime) -> None:
    """Begin again after somebody deleted the environment."""
    with transaction.atomic():
        job.keep(**FRESH)
        message = f"{job} was deleted outside the portal. Recreating it…"
        audit.record_by_portal("preview.vanished", job, message, outcome="found", now=now)


def _create(job: Preview, seen: Seen, staging: str, now: datetime) -> None:
    """Write, noted before and after. Raise `ApiError`."""
    job.keep(asked_at=now, state=PreviewState.CREATING)
    project = job.project.railway_project_id
    try:
        made = seen.railway.create_environment(project, job.name, source=staging)
    except ApiError as error:
        if error.kind in NOTHING_HAPPENED:
            job.keep(asked_at=None)
        raise
    with transaction.atomic():
        job.keep(environment_id=made, made_at=now)
        message, data = f"Environment {job} was made as a copy of staging.", {"environment": made}
        audit.record_by_portal("preview.made", job, message, data=data, now=now)


def _owned_by_others(job: Preview, seen: Seen) -> str | None:
    """Return why the portal makes none: others have one for this pull request, or make them."""
    other, hands_off = seen.other, "The portal does not touch it."
    if other is not None and other.pr_number is not None:
        return f"Railway made {other.name} for #{job.number}. {hands_off} {RAILWAY_MAKES}"
    if other is not None:
        theirs = f"Somebody else created the environment {other.name}. {hands_off}"
        return f"{theirs} Adopt it below, rename it, or delete it."
    if seen.tree.pr_environments:
        makes = "Railway makes environments of pull requests itself, so the portal makes none."
        return f"{makes} {RAILWAY_MAKES}"
    return None


def _pause(job: Preview, now: datetime) -> float:
    """Return seconds until Railway will make another environment, as far as is known."""
    pause = timedelta(seconds=settings.PREVIEW_PAUSE_SECONDS)
    recent = Preview.objects.filter(project=job.project, asked_at__gt=now - pause).exclude(
        pk=job.pk
    )
    latest = recent.order_by("-asked_at").values_list("asked_at", flat=True).first()
    return 0.0 if latest is None else max(0.0, (latest + pause - now).total_seconds()) + 1


def wait_for_services(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    here = {instance.service_id for instance in place.instances}
    copied = seen.staging.instances if seen.staging else ()
    missing = sorted(service.service_name for service in copied if service.service_id not in here)
    if not missing and place.readable:
        applying = job.variables_at is None and seen.railway.being_changed(place.id)
        return Requeue(2, "Railway is still copying staging.") if applying else None
    message = f"Railway does not show {', '.join(missing) or 'every service'} in {job} yet."
    if now - (job.made_at or now) < patience():
        return Requeue(2, message)
    return fail(job, message, now)


def silence(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Switch push deployments off: a push to staging must not deploy staging's code here; the
    copies follow staging's branch.

    What Railway is asked for is written down: whoever finds that after a crash looks before they
    ask again.
    """
    loud = {trigger.service_id for trigger in place.triggers if trigger.service_id}
    if not loud - set(job.quiet):
        return None
    service = min(loud - set(job.quiet))
    where, marked = (job.project.railway_project_id, place.id, service), f"{ASKED}{service}"
    others = [id for id in job.quiet if id != marked]
    if marked not in job.quiet or seen.railway.push_deploys(*where).enabled:
        job.keep(quiet=[*others, marked])
        seen.railway.set_autodeploy(*where, enabled=False)
    job.keep(quiet=[*others, service])
    return Requeue(0, "Setting variables…")
