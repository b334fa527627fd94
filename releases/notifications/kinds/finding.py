"""The environments drifted, or somebody worked around the portal."""

from releases.notifications.kinds.registry import always, kind

FINDING = kind("finding", "Drift and out-of-band changes", {"finding.opened": always})
