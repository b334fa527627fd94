"""What a project demands that a person proves before they act."""

from typing import NamedTuple


class Policy(NamedTuple):
    """What is demanded: a second factor, and both not longer ago than `minutes` (None or 0: once
    in the session).
    """

    second_factor: bool = False
    minutes: int | None = None
