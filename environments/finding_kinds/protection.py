"""Rules of the long-lived branches."""

from environments.finding_kinds.registry import Reading, kind

PROTECTION = kind(
    "protection",
    "not protected as it should be",
    reading=Reading.PROTECTION,
    blocks=False,
    sign_off=True,
)
