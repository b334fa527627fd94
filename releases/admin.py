"""The stock admin of releases: configuration of what ships, and rows to look at.

Each folder has an admin of its own.
"""

from releases.checklist import admin as checklist
from releases.freezes import admin as freezes
from releases.lifecycle import admin as lifecycle
from releases.project_settings import admin as project_settings
from releases.promotion import admin as promotion
from releases.pull_requests import admin as pull_requests
from releases.rollback import admin as rollback
from releases.steps import admin as steps

__all__ = [
    "checklist",
    "freezes",
    "lifecycle",
    "project_settings",
    "promotion",
    "pull_requests",
    "rollback",
    "steps",
]
