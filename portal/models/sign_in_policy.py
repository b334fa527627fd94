"""What a project demands that a person proves before they act."""

from typing import NamedTuple


class Policy(NamedTuple):
    """A second factor or not, and proof within `minutes` (None or 0: once in the session)."""

    second_factor: bool = False
    minutes: int | None = None
