"""Notifications of drift and of out-of-band changes."""

from releases.notifications.kinds.registry import always, kind

FINDING = kind("finding", "Drift and out-of-band changes", {"finding.opened": always})
