"""Items that count for every release."""

from releases.conditions.registry import condition


@condition("always")
def always(release: object) -> bool:
    """Return True."""
    return True
