"""Notifications that a preview is ready or failed."""

from releases.notifications.kinds.registry import always, kind

PREVIEW = kind("preview", "Previews", {"preview.live": always, "preview.failed": always})
