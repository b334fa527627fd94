"""The kinds of notification. A new one is one `Kind` in `KINDS`: which events it tells, and whom they await."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse

from portal.models.audit import AuditEvent
from portal.secrets import known_secrets, redact

BACKEND = "django.contrib.auth.backends.ModelBackend"
APPROVE, PROMOTE = "releases.approve_release", "releases.promote_release"
NAMED = 5  # of the people who are awaited

Test = Callable[[AuditEvent], bool]


@dataclass(frozen=True)
class Message:
    """What is sent, whatever the transport. No secret is in it; `link` leads to the page where to act."""

    kind: str
    title: str
    text: str
    link: str
    project: str  # its slug; "" for the whole portal
    at: str  # ISO 8601


@dataclass(frozen=True)
class Kind:
    """A kind of notification: the events that it tells, each with a further condition, and whom they await.

    `awaits`: event → permission. A person's own channel is told of such an event only if they have it and did not act
    themselves.
    """

    name: str
    label: str
    events: Mapping[str, Test]
    awaits: Mapping[str, str] = field(default_factory=dict)

    def tells(self, event: AuditEvent) -> bool:
        """Return whether this kind is about `event`."""
        test = self.events.get(event.action)
        return event.outcome != AuditEvent.Outcome.REFUSED and test is not None and test(event)


def always(event: AuditEvent) -> bool:
    """Return True: every event of this name is told."""
    return True


def failed(event: AuditEvent) -> bool:
    """Return whether the event says that something failed."""
    return event.outcome == AuditEvent.Outcome.FAILED


def done(event: AuditEvent) -> bool:
    """Return whether the event says that something was done."""
    return event.outcome == AuditEvent.Outcome.DONE


def ready(event: AuditEvent) -> bool:
    """Return whether the verdict is that the release can be promoted."""
    return event.data.get("state") == "success"


_AWAITS = {
    "release.cut": APPROVE,
    "hotfix.cut": APPROVE,
    "release.candidate_moved": APPROVE,
    "rollback.requested": APPROVE,
    "downgrade.requested": APPROVE,
    "staging.reset_requested": "environments.sign_reset",
    "configuration.proposed": "portal.confirm_configurationchange",
    "release.verdict": PROMOTE,
}
KINDS = (
    Kind(
        "awaited", "Waiting for a person",
        dict.fromkeys(_AWAITS, always) | {"release.verdict": ready}, _AWAITS,
    ),
    Kind(
        "failed", "Failed or stopped",
        dict.fromkeys(
            ("promotion.ended", "rollback.ended", "migration.ended", "repair.ended", "staging.smoked"), failed)
        | {"release.upkeep_failed": always, "sync.failed": always},
    ),
    Kind(
        "shipped", "In production",
        {"release.in_production": always, "release.done": always, "promotion.ended": done, "rollback.ended": done},
    ),
    Kind("decided", "Approved, abandoned, frozen", dict.fromkeys(
        ("release.approved", "release.promoted", "release.abandoned", "promotion.abandoned", "rollback.abandoned",
         "risk.accepted", "project.frozen", "project.unfrozen", "configuration.confirmed"), done)),
    Kind("finding", "Drift and out-of-band changes", {"finding.opened": always}),
    Kind("preview", "Previews", {"preview.live": always, "preview.failed": always}),
    Kind("health", "Health of the portal", dict.fromkeys(
        ("health.failing", "health.warning", "health.recovered", "health.restarted"), always)),
)  # fmt: skip
BY_NAME = {kind.name: kind for kind in KINDS}


def message_of(event: AuditEvent, kind: Kind) -> Message:
    """Return what is told of `event`: its own sentence, and who is awaited."""
    said = event.sentence or f"{event.actor_name}: {event.action} {event.subject_label}"
    about = event.subject_label or event.scope or "Release portal"
    if permission := kind.awaits.get(event.action):
        names = [user.get_full_name() or user.username for user in awaited(permission, event)[:NAMED]]
        said += f" Waiting for: {', '.join(names)}." if names else " Nobody can do this yet: give somebody the role."
    return Message(
        kind=kind.name,
        title=without_secrets(f"{about}: {kind.label}"),
        text=without_secrets(said),
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
    """The page where one can act on the event."""
    if event.subject_kind == "releases.release":
        return reverse("releases:release", args=[event.subject_id])
    if event.subject_kind == "environments.migrationrun":
        return reverse("environments:migration", args=[event.subject_id])
    named = {"health": "portal:status", "configuration": "portal:changes",
             "staging": "environments:environments", "preview": "environments:previews",
             "finding": "environments:environments", "repair": "environments:environments"}  # fmt: skip
    return reverse(named.get(event.action.partition(".")[0], "releases:board"))


def without_secrets(said: str) -> str:
    """Return `said` without any secret of the settings, should a vendor's words have carried one."""
    return redact(said, known_secrets())
