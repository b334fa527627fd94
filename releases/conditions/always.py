"""Items that count for every release."""

from typing import Any

from releases.conditions.registry import condition


@condition("always")
def always(release: Any) -> bool:
    """Return True."""
    return True
