"""Notifications that somebody decided."""

from releases.notifications.kinds.registry import done, kind

DECIDED = kind(
    "decided",
    "Approved, abandoned, frozen",
    {
        "release.approved": done,
        "release.promoted": done,
        "release.abandoned": done,
        "promotion.abandoned": done,
        "rollback.abandoned": done,
        "risk.accepted": done,
        "project.frozen": done,
        "project.unfrozen": done,
        "configuration.confirmed": done,
    },
)
