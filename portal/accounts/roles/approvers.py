"""Approvers sign for what others prepared."""

from portal.accounts.roles.registry import role
from portal.accounts.roles.seeing import SEE

role(
    "Approvers",
    *SEE,
    "releases.approve_release",
    "releases.tick_checklistitem",
    "releases.write_tasklog",
    "environments.sign_reset",
    "portal.confirm_configurationchange",
)
