"""Notifications that somebody must act."""

from portal.models.audit import AuditEvent
from releases.notifications.kinds.registry import always, kind

APPROVE, PROMOTE = "releases.approve_release", "releases.promote_release"


def ready(event: AuditEvent) -> bool:
    """Return whether the verdict is that the release can be promoted."""
    return event.data.get("state") == "success"


AWAITS = {
    "release.cut": APPROVE,
    "hotfix.cut": APPROVE,
    "release.candidate_moved": APPROVE,
    "rollback.requested": APPROVE,
    "downgrade.requested": APPROVE,
    "staging.reset_requested": "environments.sign_reset",
    "configuration.proposed": "portal.confirm_configurationchange",
    "release.verdict": PROMOTE,
}
AWAITED = kind(
    "awaited",
    "Waiting for a person",
    dict.fromkeys(AWAITS, always) | {"release.verdict": ready},
    AWAITS,
)
