"""All bad days, in the order of the table."""

from tests.faults.days import stories
from tests.faults.days.stories import DAYS

MODULES = (stories,)

__all__ = ["DAYS", "MODULES"]
