"""Lists and counts in words, for sentences."""

from collections.abc import Iterable


def and_(names: Iterable[str]) -> str:
    """Return “a”, “a and b”, “a, b and c”."""
    listed = list(names)
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def number_of(count: int, noun: str) -> str:
    """Return “1 commit”, “2 commits”."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
