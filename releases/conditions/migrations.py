"""Items that count only for a release which brings migrations."""

from typing import Any

from releases.conditions.registry import condition


@condition("only with migrations")
def migrations(release: Any) -> bool | None:
    """Return whether the release brings migrations; None where they cannot be read."""
    return None if release.migrations_problem else bool(release.migrations)
