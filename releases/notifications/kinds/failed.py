"""Notifications that something failed or stopped."""

from releases.notifications.kinds.registry import always, failed, kind

FAILED = kind(
    "failed",
    "Failed or stopped",
    {
        "promotion.ended": failed,
        "rollback.ended": failed,
        "migration.ended": failed,
        "repair.ended": failed,
        "staging.smoked": failed,
        "release.upkeep_failed": always,
        "sync.failed": always,
    },
)
