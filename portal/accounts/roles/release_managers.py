"""Release managers prepare, promote and repair."""

from portal.accounts.roles.registry import role
from portal.accounts.roles.seeing import SEE

role(
    "Release managers",
    *SEE,
    "releases.cut_release",
    "releases.tick_checklistitem",
    "releases.promote_release",
    "releases.abandon_release",
    "releases.repair_release",
    "releases.freeze_project",
    "releases.manage_channels",
    "releases.roll_back_release",
    "releases.write_tasklog",
    "environments.migrate_environment",
    "environments.repair_environment",
    "environments.place_service",
    "environments.manage_preview",
    "environments.resolve_finding",
    "environments.protect_branch",
    "environments.check_connections",
    "environments.sign_reset",
)
