"""Kinds of findings about branch protection."""

from environments.finding_kinds.registry import Reading, kind

PROTECTION = kind(
    "protection",
    "branch protection differs from policy",
    reading=Reading.PROTECTION,
    blocks=False,
    sign_off=True,
)
