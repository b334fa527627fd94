"""Makes the environment of a preview, once, and waits for its services."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from environments.models import Preview, PreviewState
from environments.previews.failing import or_fail, patience
from environments.previews.place import Seen
from environments.previews.wanted import FRESH
from environments.railway import Environment as Place
from environments.railway import Railway
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
    """Ask Railway for the environment, once, when there is none of that name and none was made just
    now.
    """
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
        audit.record(
            "preview.vanished", actor=None, subject=job, outcome="found", sentence=message, now=now
        )


def _create(job: Preview, seen: Seen, staging: str, now: datetime) -> None:
    """Write, noted before and after. Raise `ApiError`."""
    job.keep(asked_at=now, state=PreviewState.CREATING)
    try:
        made = seen.railway.create_environment(
            job.project.railway_project_id, job.name, source=staging
        )
    except ApiError as error:
        if error.kind in NOTHING_HAPPENED:
            job.keep(asked_at=None)
        raise
    with transaction.atomic():
        job.keep(environment_id=made, made_at=now)
        message = f"Environment {job} was made as a copy of staging."
        audit.record(
            "preview.made",
            actor=None,
            subject=job,
            sentence=message,
            data={"environment": made},
            now=now,
        )


def _owned_by_others(job: Preview, seen: Seen) -> str | None:
    """Return why the portal makes no environment: others have one for this pull request, or make
    one themselves.
    """
    if seen.other is not None and seen.other.pr_number is not None:
        return (
            f"Railway made {seen.other.name} for #{job.number}. The portal does not touch it."
            f" {RAILWAY_MAKES}"
        )
    if seen.other is not None:
        message = (
            f"Somebody else created the environment {seen.other.name}. The portal does not touch it"
        )
        return f"{message}. Adopt it below, rename it, or delete it."
    if seen.tree.pr_environments:
        return (
            "Railway makes environments of pull requests itself, so the portal makes none."
            f" {RAILWAY_MAKES}"
        )
    return None


def _pause(job: Preview, now: datetime) -> float:
    """Return seconds until Railway will make another environment, as far as we know who asked
    last.
    """
    pause = timedelta(seconds=settings.PREVIEW_PAUSE_SECONDS)
    asked = Preview.objects.filter(project=job.project, asked_at__gt=now - pause).exclude(pk=job.pk)
    latest = asked.order_by("-asked_at").values_list("asked_at", flat=True).first()
    return 0.0 if latest is None else max(0.0, (latest + pause - now).total_seconds()) + 1


def wait_for_services(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    here = {instance.service_id for instance in place.instances}
    expected = {
        instance.service_id: instance.service_name
        for instance in (seen.staging.instances if seen.staging else ())
    }
    missing = sorted(name for service, name in expected.items() if service not in here)
    if not missing and place.readable:
        applying = job.variables_at is None and seen.railway.being_changed(place.id)
        return Requeue(2, "Railway is still copying staging.") if applying else None
    message = f"Railway does not show {', '.join(missing) or 'every service'} in {job} yet."
    return or_fail(job, message, job.made_at or now, now)


def silence(job: Preview, seen: Seen, place: Place, now: datetime) -> Outcome | None:
    """Switch push deployments off: a push to staging must not deploy staging's code here; the
    copies follow staging's branch.
    """
    for service in sorted(
        {trigger.service_id for trigger in place.triggers if trigger.service_id} - set(job.quiet)
    ):
        _switch_off(job, seen.railway, place, service)
        return Requeue(0, "Setting variables…")
    return None


def _switch_off(job: Preview, railway: Railway, place: Place, service: str) -> None:
    """Write down what Railway is asked for: whoever finds that after a crash looks before they
    ask again.
    """
    where, asked = (job.project.railway_project_id, place.id, service), f"{ASKED}{service}"
    others = [one for one in job.quiet if one != asked]
    if asked not in job.quiet or railway.push_deploys(*where).enabled:
        job.keep(quiet=[*others, asked])
        railway.set_autodeploy(*where, enabled=False)
    job.keep(quiet=[*others, service])
