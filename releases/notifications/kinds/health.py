"""Notifications that the portal itself has a problem."""

from releases.notifications.kinds.registry import always, kind

HEALTH = kind(
    "health",
    "Health of the portal",
    {
        "health.failing": always,
        "health.warning": always,
        "health.recovered": always,
        "health.restarted": always,
    },
)
