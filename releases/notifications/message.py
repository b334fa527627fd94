"""What is told of an event, in words, and whom it awaits."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse

from portal.invisible_characters import visible
from portal.models.audit import AuditEvent
from portal.redaction import known_secrets, redact
from releases.notifications.kinds.registry import Kind

BACKEND = "django.contrib.auth.backends.ModelBackend"
NAMED = 5  # of the people who are awaited


@dataclass(frozen=True)
class Message:
    """What is sent, whatever the transport.

    No secret is in it; `link` leads to the page where to act.
    """

    kind: str
    title: str
    text: str
    link: str
    project: str  # its slug; "" for the whole portal
    at: str  # ISO 8601


def message_of(event: AuditEvent, kind: Kind) -> Message:
    """Return what is told of `event`: its own sentence, and who is awaited."""
    message = event.sentence or f"{event.actor_name}: {event.action} {event.subject_label}"
    about = event.subject_label or event.scope or "Release portal"
    if permission := kind.awaits.get(event.action):
        people = awaited(permission, event)[:NAMED]
        names = ", ".join(user.get_full_name() or user.username for user in people)
        nobody = "Nobody can do this yet. Give somebody the role."
        message += f" Waiting for: {names}." if names else f" {nobody}"
    return Message(
        kind=kind.name,
        title=visible(without_secrets(f"{about}: {kind.label}")),
        text=visible(without_secrets(message)),
        link=settings.PORTAL_URL + _path(event),
        project=event.scope,
        at=event.at.isoformat(),
    )


def awaited(permission: str, event: AuditEvent) -> list[User]:
    """Return the active people who may do what `event` awaits, without the one who acted."""
    people = User.objects.with_perm(permission, backend=BACKEND).filter(is_active=True)
    acted = event.actor_id or 0  # the portal itself is nobody of them
    return list(people.exclude(pk=acted).order_by("username"))


def _path(event: AuditEvent) -> str:
    """Return the page where one can act on the event."""
    if event.subject_kind == "releases.release":
        return reverse("releases:release", args=[event.subject_id])
    if event.subject_kind == "environments.migrationrun":
        return reverse("environments:migration", args=[event.subject_id])
    named = {
        "health": "portal:status",
        "configuration": "portal:changes",
        "staging": "environments:environments",
        "preview": "environments:previews",
        "finding": "environments:environments",
        "repair": "environments:environments",
    }
    return reverse(named.get(event.action.partition(".")[0], "releases:board"))


def without_secrets(message: str) -> str:
    """Return the message without the settings' secrets: a vendor's words may carry one."""
    return redact(message, known_secrets())
