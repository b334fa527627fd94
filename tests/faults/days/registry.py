"""All bad days, in the order of the table."""

from tests.faults.days import afterwards, deploying, merging, stories
from tests.faults.days.stories import DAYS

MODULES = (stories, merging, deploying, afterwards)

__all__ = ["DAYS", "MODULES"]
