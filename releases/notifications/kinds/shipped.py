"""Notifications that production runs something else."""

from releases.notifications.kinds.registry import always, done, kind

SHIPPED = kind(
    "shipped",
    "In production",
    {
        "release.in_production": always,
        "release.done": always,
        "promotion.ended": done,
        "rollback.ended": done,
    },
)
