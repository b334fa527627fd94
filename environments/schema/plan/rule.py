"""How a rule describes a risk: its severity, what it means, and how to avoid it."""

from dataclasses import dataclass

INFO, CAUTION, DANGER = "info", "caution", "danger"


RANK = {INFO: 0, CAUTION: 1, DANGER: 2}


@dataclass(frozen=True)
class Rule:
    """`about_time`: harmless on a small table.

    `breaks_old`: code that runs now may trip over it.
    """

    severity: str
    words: str  # {table} is the table's name, with its size where it is known
    rewrite: str = ""
    about_time: bool = False
    breaks_old: bool = False
    loses_data: bool = False
